"""CASME II: `Cropped/sub01/EP02_01f/reg_img46.jpg` and one annotation spreadsheet.

Yan et al., CASME II: An Improved Spontaneous Micro-Expression Database and the Baseline Evaluation, PLOS ONE 9(1),
2014, doi:10.1371/journal.pone.0086041.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from pipeline.datasets.clips import Profile, Reading, Sample, refuse_links, tabulate
from pipeline.errors import InputError

PROFILE = Profile(
    name="casme2",
    classes=("disgust", "happiness", "others", "repression", "surprise"),
    left_out=("fear", "sadness"),
)

_COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
_SUBJECT = re.compile(r"sub\d+$")


def read(root: Path, exclude: Iterable[str] = (), profile: Profile = PROFILE) -> Reading:
    """Read a CASME II tree.

    The annotation is the spreadsheet with CASME II's columns, the frames are in the folder that holds `sub01`,
    `sub02`, ...; both are found by looking, at any depth.

    Parameters
    ----------
    root
        Folder of the dataset as its owners ship it.
    exclude
        Clip ids or `file:row` to leave out.
    profile
        Labels to accept; another dataset in CASME II's layout brings its own.

    Raises
    ------
    InputError
        There is no annotation or no frame folder, or more than one, or some rows cannot be used.
    """
    if not root.is_dir():
        raise InputError(f"raw: expected the folder of the dataset, found nothing at {root}")
    refuse_links(root)
    annotation, table = _annotation(root)
    return tabulate(_samples(annotation, table, _frame_root(root)), root, profile, exclude)


def _annotation(root: Path) -> tuple[Path, pd.DataFrame]:
    found = []
    for path in sorted(root.rglob("*.xlsx")):
        if path.name.startswith((".", "~$")):  # lock files of spreadsheet programs
            continue
        table = pd.read_excel(path)
        if set(_COLUMNS) <= {str(column).strip() for column in table.columns}:
            found.append((path, table.rename(columns=lambda column: str(column).strip())))
    if len(found) != 1:
        names = ", ".join(str(path) for path, _ in found) or "none"
        raise InputError(
            f"{root}: expected one annotation spreadsheet (.xlsx) with the columns {', '.join(_COLUMNS)}; found {names}"
        )
    return found[0]


def _frame_root(root: Path) -> Path:
    found = sorted({folder.parent for folder in root.rglob("sub*") if folder.is_dir() and _SUBJECT.match(folder.name)})
    if len(found) != 1:
        names = ", ".join(str(path) for path in found) or "none"
        raise InputError(f"{root}: expected one folder that holds sub01, sub02, ...; found {names}")
    return found[0]


def _samples(annotation: Path, table: pd.DataFrame, frame_root: Path) -> Iterator[Sample]:
    named = table.dropna(subset=["Subject", "Filename"], how="all")  # spreadsheets trail empty rows
    for index, row in named.iterrows():
        subject = _subject(row["Subject"])
        name = str(row["Filename"]).strip()
        yield Sample(
            clip=f"{subject}/{name}",
            subject=subject,
            label=str(row["Estimated Emotion"]).strip().lower(),
            onset=_number(row["OnsetFrame"]),
            apex=_number(row["ApexFrame"]),  # one of the official rows has "/" here
            offset=_number(row["OffsetFrame"]),
            frames=frame_root / subject / name,
            source=f"{annotation.name}:{index + 2}",  # as the spreadsheet counts, below its header
        )


def _subject(value: object) -> str:
    """`sub01` for 1, 1.0, "1", "01" and "sub01"."""
    digits = re.search(r"\d+", str(value))
    return f"sub{int(digits.group()):02d}" if digits else str(value).strip()


def _number(value: object) -> int | None:
    number = pd.to_numeric(value, errors="coerce")
    return None if pd.isna(number) else int(number)
