"""SAMM: `006/006_1_2/006_05562.jpg` and one annotation spreadsheet, whose header is in row 14.

Davison et al., SAMM: A Spontaneous Micro-Facial Movement Dataset, IEEE Transactions on Affective Computing 9(1), 2018,
doi:10.1109/TAFFC.2016.2573832.
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
from pipeline.frames import frame_files

FORM = annotation.Form(
    name=r"SAMM",
    columns={
        "subject": "Subject",
        "name": "Filename",
        # Not used: it tells the table from that of CASME II, whose columns have the same names otherwise.
        "inducement": "Inducement Code",
        "onset": "Onset Frame",
        "apex": "Apex Frame",
        "offset": "Offset Frame",
        "label": "Estimated Emotion",
    },
    optional={},
)

_CLIP = re.compile(r"(\d{3})_\d+_\d+")
_SPELLINGS = {"others": "other"}
# Some copies of the table have another offset, to which there are no frames.
_RIGHT_OFFSET = {"013_1_9": 5739}


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["samm"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read a SAMM tree.

    The annotation is the spreadsheet with SAMM's columns, wherever its header is; the frames are in folders
    `006/006_1_2`, whatever the folder above them is called. Frames go by the number behind the last `_` of their names,
    whose width changes.

    Parameters
    ----------
    root
        Folder of the dataset as its owners ship it.
    exclude
        Clip ids or `file:row` to leave out.
    profile
        Labels to accept; another dataset in SAMM's layout brings its own.
    annotated
        The annotation, instead of looking for it.
    largest_gap
        Most consecutive frames that a clip may lack; None: no frame may be missing.

    Raises
    ------
    InputError
        There is no annotation or no frame folder, or more than one, or some rows cannot be used.
    """
    tree = survey(root)
    files = annotation.find(tree, FORM, annotated)
    top, folders = _clip_folders(tree)
    samples = (_sample(row, top, folders) for file in files for row in annotation.rows(file, FORM))
    return tabulate(samples, root, profile, exclude, files, largest_gap)


def _clip_folders(tree: Tree) -> tuple[Path, dict[str, Path]]:
    """The folder that holds `006`, `007`, ..., and that of each clip by its name."""
    found: dict[Path, dict[str, Path]] = {}
    for folder in tree.walk():
        match = _CLIP.fullmatch(folder.name)
        if match and folder.parent.name == match.group(1):
            found.setdefault(folder.parent.parent, {})[folder.name] = folder
    if len(found) != 1:
        names = ", ".join(map(str, sorted(found))) or "none"
        advice = ". Name one of them as the dataset's folder" if found else ""
        raise InputError(
            f"{tree.root}: expected one folder that holds 006/006_1_2, 006/006_1_3, ...; found {names}{advice}"
        )
    return next(iter(found.items()))


def _sample(row: Row, top: Path, folders: dict[str, Path]) -> Sample:
    subject, name, label = _subject(row), row.text("name"), row.text("label").lower()
    match = _CLIP.fullmatch(name)
    folder = folders.get(name, top / subject / name)
    fault = ""
    if not subject:
        fault = f"expected the number of a subject, found {row['subject']!r}"
    elif not match:
        fault = f"expected the name of a clip such as 006_1_2, found {name!r}"
    elif match.group(1) != subject:
        fault = f"expected a clip of subject {subject}, whose name begins with {subject}; found {name}"
    elif (right := _RIGHT_OFFSET.get(name)) and row.number("offset") != right and _ends_at(folder, right):
        fault = f"the offset of {name} is {right}, found {row.text('offset')}: some copies of the table are wrong here"
    return Sample(
        clip=f"{subject or '?'}/{name or '?'}",
        subject=subject,
        label=_SPELLINGS.get(label, label),
        onset=row.number("onset"),
        apex=row.number("apex"),
        offset=row.number("offset"),
        frames=folder,
        source=row.source,
        fault=fault,
    )


def _subject(row: Row) -> str:
    """`006` for "006", 6 and 6.0, into which spreadsheet programs turn it; empty for anything else."""
    text = row.text("subject")
    return text.zfill(3) if re.fullmatch(r"\d{1,3}", text) else ""


def _ends_at(folder: Path, number: int) -> bool:
    return folder.is_dir() and max(frame_files.numbered(folder), default=None) == number
