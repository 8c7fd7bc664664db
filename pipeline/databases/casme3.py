"""CAS(ME)³, part A: `part_A/spNO.1/a/color/116.jpg` and one annotation spreadsheet.

Li et al., CAS(ME)³: A Third Generation Facial Spontaneous Micro-Expression Database with Depth Information and High
Ecological Validity, IEEE Transactions on Pattern Analysis and Machine Intelligence 45(3), 2023,
doi:10.1109/TPAMI.2022.3174895.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.databases import annotation
from pipeline.databases.annotation import Row
from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, Sample, tabulate
from pipeline.databases.tree import Tree, survey
from pipeline.errors import InputError

FORM = annotation.Form(
    name=r"cas\(me\)3_part_A_ME",
    columns={
        "subject": "Subject",
        "name": "Filename",
        "onset": "Onset",
        "apex": "Apex",
        "offset": "Offset",
        "label": "emotion",
    },
    optional={},
    # The table of the macro-expressions lies beside it, with the same columns.
    not_named=r".*_MaE_",
)

_SUBJECT = re.compile(r"spno\.?\s*0*(\d+)", re.IGNORECASE)
_CLIP = re.compile(r"spno\.?0*(\d+)_([a-z]+)_(\d+)", re.IGNORECASE)
_PART_A = re.compile(r"part[ _-]?a(?![a-z])", re.IGNORECASE)
_SPELLINGS = {"other": "others"}


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["casme3"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read the micro-expressions of a tree of CAS(ME)³, part A.

    The frames are in folders `spNO.1/a/color`, one for each video, or, in the release of the clips alone, in folders
    `frame/spNO.1_a_116`, named after the onset. The depth beside them is not read. One video often holds several
    micro-expressions, so that the onset is part of every clip's id: `spNO.1/a-116`. Upper and lower case of folders and
    of video letters do not matter.

    Parameters
    ----------
    root
        Folder of the dataset as its owners ship it.
    exclude
        Clip ids or `file:row` to leave out.
    profile
        Labels to accept; another dataset in this layout brings its own.
    annotated
        The annotation, instead of looking for it.
    largest_gap
        Most consecutive frames that a clip may lack; None: no frame may be missing. Most videos lack their first 7 or 8
        frames.

    Raises
    ------
    InputError
        There is no annotation or no frame folder, or more than one, or some rows cannot be used.
    """
    tree = survey(root)
    files = annotation.find(tree, FORM, annotated)
    folders = _Folders(tree)
    samples = (_sample(row, folders) for file in files for row in annotation.rows(file, FORM))
    return tabulate(samples, root, profile, exclude, files, largest_gap)


class _Folders:
    """Frame folders of part A, `spNO.1/a/color` or `frame/spNO.1_a_116`, at any depth.

    Raises
    ------
    InputError
        There is no folder that holds them, or more than one: all are listed.
    """

    def __init__(self, tree: Tree) -> None:
        found: dict[Path, dict[tuple[str, ...], list[Path]]] = {}
        for folder in tree.walk():
            subject, clip = _SUBJECT.fullmatch(folder.parent.parent.name), _CLIP.fullmatch(folder.name)
            if subject and folder.name.lower() == "color":
                key: tuple[str, ...] = subject.group(1), folder.parent.name.lower()
                found.setdefault(folder.parent.parent.parent, {}).setdefault(key, []).append(folder)
            elif clip and folder.parent.name.lower() != "depth":
                key = clip.group(1), clip.group(2).lower(), clip.group(3)
                found.setdefault(folder.parent, {}).setdefault(key, []).append(folder)
        # Parts B and C have subjects of the same names.
        tops = [top for top in found if _PART_A.search(top.relative_to(tree.root).as_posix())] or list(found)
        if len(tops) != 1:
            names = ", ".join(map(str, sorted(tops))) or "none"
            advice = ". Name one of them as the dataset's folder" if tops else ""
            raise InputError(
                f"{tree.root}: expected one folder that holds spNO.1/a/color, spNO.1/b/color, ... or spNO.1_a_116, "
                f"spNO.1_b_7, ...; found {names}{advice}"
            )
        [self.top] = tops
        self._folders = found[self.top]

    def find(self, number: str, letter: str, onset: int | None) -> tuple[Path, str]:
        """Return the frames of a clip and what is wrong with them, if anything."""
        video = number, letter.lower()
        found = self._folders.get((*video, str(onset))) or self._folders.get(video, [])
        if not found and any(len(key) == 3 for key in self._folders):
            return self.top / f"spNO.{number}_{letter}_{onset}", ""
        if not found:
            return self.top / f"spNO.{number}" / letter / "color", ""
        return found[0], f"its frames may be in {' or '.join(map(str, found))}" if len(found) > 1 else ""


def _sample(row: Row, folders: _Folders) -> Sample:
    subject, letter, label = _SUBJECT.fullmatch(row.text("subject")), row.text("name"), row.text("label").lower()
    onset = row.number("onset")
    fault, frames = "", folders.top
    if not subject:
        fault = f"expected a subject such as spNO.1, found {row['subject']!r}"
    elif not letter:
        fault = "expected the letter of a video, found none"
    else:
        frames, fault = folders.find(subject.group(1), letter, onset)
    name = f"spNO.{subject.group(1)}" if subject else ""
    return Sample(
        clip=f"{name or '?'}/{letter.lower() or '?'}-{'?' if onset is None else onset}",
        subject=name,
        label=_SPELLINGS.get(label, label),
        onset=onset,
        apex=row.number("apex"),
        offset=row.number("offset"),
        frames=frames,
        source=row.source,
        fault=fault,
    )
