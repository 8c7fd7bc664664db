"""What CASME and CASME II share: episodes `sub01/EP02_01f`, annotated row by row in a spreadsheet."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.databases.annotation import Row
from pipeline.databases.recordings import Sample, unpadded
from pipeline.databases.tree import Tree, section
from pipeline.errors import InputError


class ClipFolders:
    """Frame folders `sub01/EP02_01f`, at any depth.

    Raises
    ------
    InputError
        There is no folder that holds `sub01`, `sub02`, ..., or more than one (sections apart): all are listed.
    """

    _SUBJECT = re.compile(r"sub(\d+)$", re.IGNORECASE)

    def __init__(self, tree: Tree) -> None:
        self._clips: dict[int, list[Path]] = {}
        self._folder: dict[int, Path] = {}
        filled, empty = set(), set()
        for folder in tree.walk():
            match = self._SUBJECT.match(folder.name)
            clips = [child for child in tree.children[folder] if not self._SUBJECT.match(child.name)]
            if match and clips:
                subject = int(match.group(1))
                self._clips.setdefault(subject, []).extend(clips)
                self._folder.setdefault(subject, folder)
                filled.add(self._root_of(folder, tree.root))
            elif match and not tree.children[folder]:
                empty.add(self._root_of(folder, tree.root))
        roots = filled or empty  # moving folders leaves empty ones behind
        if len(roots) != 1:
            names = ", ".join(str(path) for path in sorted(roots)) or "none"
            advice = ". Name one of them as the dataset's folder" if roots else ""
            raise InputError(f"{tree.root}: expected one folder that holds sub01, sub02, ...; found {names}{advice}")
        [self.root] = roots

    def _root_of(self, folder: Path, top: Path) -> Path:
        """The folder above the subjects, and above the sections of CASME."""
        parent = folder.parent
        while parent != top and (section(parent) or self._SUBJECT.match(parent.name)):
            parent = parent.parent
        return parent

    def find(self, subject: str, name: str) -> tuple[Path, str]:
        """Folder of the clip `name` of the subject `sub01`, and what is wrong with it, if anything.

        Upper and lower case do not matter, nor do leading zeros where no other folder differs by them alone.
        """
        number = int(subject.removeprefix("sub"))
        clips = self._clips.get(number, [])
        for key in (str, str.casefold, unpadded):
            found = [clip for clip in clips if key(clip.name) == key(name)]
            if len(found) == 1:
                return found[0], ""
            if found:
                return found[0], f"its frames may be in {' or '.join(map(str, found))}"
        return self._folder.get(number, self.root / subject) / name, ""


def samples(
    rows: Iterable[Row], folders: ClipFolders, clip: Callable[[str, Row], str], label: Callable[[str], str] = str
) -> Iterator[Sample]:
    """A sample for every row with the fields subject, name, onset, apex, offset and label.

    Parameters
    ----------
    rows
        The rows of the annotation.
    folders
        The folders in which the frames are.
    clip
        Id of the clip from `sub01/EP02_01f` and the row.
    label
        Puts the spelling of a label (in lower case) right.
    """
    for row in rows:
        subject, name = row.subject(), row.text("name")
        fault, frames = "", folders.root
        if not subject:
            fault = f"expected the number of a subject, found {row['subject']!r}"
        elif not name:
            fault = "expected the name of a clip, found none"
        else:
            frames, fault = folders.find(subject, name)
        yield Sample(
            clip=clip(f"{subject or '?'}/{name or '?'}", row),
            subject=subject,
            label=label(row.text("label").lower()),
            onset=row.number("onset"),
            apex=row.number("apex"),
            offset=row.number("offset"),
            frames=frames,
            source=row.source,
            fault=fault,
        )
