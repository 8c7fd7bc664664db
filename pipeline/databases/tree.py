"""A dataset folder as it lies on disk."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import InputError

SPREADSHEETS = (".xlsx", ".xls", ".csv")
# What archive programs add: it looks like the data and is not.
_DEBRIS = "__MACOSX"
# CASME is split by camera; the halves belong together.
_SECTION = re.compile(r"section[ _-]*([a-z])(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Tree:
    """Folders and spreadsheets of a dataset, from one walk over it."""

    root: Path
    children: dict[Path, list[Path]] = field(default_factory=dict)
    """Folders by the folder that they are in, sorted."""
    spreadsheets: list[Path] = field(default_factory=list)

    def walk(self) -> list[Path]:
        """All folders below the root, sorted."""
        return sorted(folder for folders in self.children.values() for folder in folders)


def survey(root: Path) -> Tree:
    """Walk over a dataset; `root` itself may be a link.

    Raises
    ------
    InputError
        There is no such folder, or linked folders are inside it: DVC follows a link when it reads a folder, but does
        not notice when what is behind it changes. Or folders cannot be read. All of them are named.
    """
    if not root.is_dir():
        raise InputError(f"raw: expected the folder of the dataset, found nothing at {root}")
    tree = Tree(root)
    links: list[Path] = []
    unreadable: list[OSError] = []
    for name, folders, files in os.walk(root, onerror=unreadable.append):
        here = Path(name)
        links += [here / folder for folder in folders if (here / folder).is_symlink()]
        if any(part == _DEBRIS or part.startswith(".") for part in here.relative_to(root).parts):
            continue
        tree.children[here] = sorted(
            here / folder for folder in folders if folder != _DEBRIS and not folder.startswith(".")
        )
        # Lock files of spreadsheet programs begin with ~$.
        tree.spreadsheets.extend(
            here / file for file in files if Path(file).suffix.lower() in SPREADSHEETS and file[0] not in ".~"
        )
    if unreadable:
        names = ", ".join(sorted(f"{error.filename} ({error.strerror})" for error in unreadable))
        raise InputError(f"{root}: expected folders that can be read, found: {names}. Change their permissions.")
    if links:
        raise InputError(
            f"{root}: expected plain folders, found links: {', '.join(map(str, sorted(links)))}. "
            "DVC would not see changes behind them: put the folders themselves there."
        )
    tree.spreadsheets.sort()
    return tree


def section(path: Path) -> str | None:
    """Letter of the section that a file or folder of CASME belongs to, `A` for `Section A`; None for others."""
    match = _SECTION.search(path.stem)
    return match.group(1).upper() if match else None
