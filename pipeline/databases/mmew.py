"""MMEW: `Micro_Expression/disgust/S01-07-001/1.jpg` and one annotation spreadsheet.

Ben et al., Video-Based Facial Micro-Expression Analysis: A Survey of Datasets, Features and Algorithms, IEEE
Transactions on Pattern Analysis and Machine Intelligence 44(9), 2022, doi:10.1109/TPAMI.2021.3067464.
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
    name=r"MMEW_Micro",
    columns={
        "subject": "Subject",
        "name": "Filename",
        "onset": "OnsetFrame",
        "apex": "ApexFrame",
        "offset": "OffsetFrame",
        "label": "Estimated Emotion",
    },
    optional={},
    not_named=r".*macro",
)

_CLIP = re.compile(r"S(\d+)-\d+-\d+", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:S)?0*(\d+)", re.IGNORECASE)
# The folder of the clips that the table calls `others` is called `repression`, or the other way round.
_SPELLINGS = {"other": "others", "repression": "others"}


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["mmew"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read the micro-expressions of a tree of MMEW.

    The frames are in folders `S01-07-001`, each of which holds one clip alone, at any depth: below the emotion, and in
    some copies below the subject, too. The macro-expressions beside them are not read.

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
        Most consecutive frames that a clip may lack; None: no frame may be missing.

    Raises
    ------
    InputError
        There is no annotation or no frame folder, or more than one, or some rows cannot be used.
    """
    tree = survey(root)
    files = annotation.find(tree, FORM, annotated)
    folders = _clip_folders(tree)
    samples = (_sample(row, folders, root, largest_gap or 0) for file in files for row in annotation.rows(file, FORM))
    return tabulate(samples, root, profile, exclude, files, largest_gap)


def _clip_folders(tree: Tree) -> dict[str, list[Path]]:
    """The folders of the micro-expressions by their names in capital letters."""
    found: dict[str, list[Path]] = {}
    for folder in tree.walk():
        macro = any("macro" in part.lower() for part in folder.relative_to(tree.root).parts)
        if _CLIP.fullmatch(folder.name) and not macro:
            found.setdefault(folder.name.upper(), []).append(folder)
    if not found:
        raise InputError(
            f"{tree.root}: expected folders of frames such as Micro_Expression/disgust/S01-07-001; found none"
        )
    return found


def _sample(row: Row, folders: dict[str, list[Path]], root: Path, largest_gap: int) -> Sample:
    number, name = _SUBJECT.fullmatch(row.text("subject")), row.text("name")
    clip = _CLIP.fullmatch(name)
    subject = f"S{int(number.group(1)):02d}" if number else ""
    label = row.text("label").lower()
    label = _SPELLINGS.get(label, label)
    found = folders.get(name.upper(), [])
    folder = found[0] if found else root / "Micro_Expression" / label / name
    fault = ""
    if not number:
        fault = f"expected the number of a subject, found {row['subject']!r}"
    elif not clip:
        fault = f"expected the name of a clip such as S01-07-001, found {name!r}"
    elif int(clip.group(1)) != int(number.group(1)):
        fault = f"expected a clip of subject {subject}, whose name begins with {subject}; found {name}"
    elif len(found) > 1:
        fault = f"its frames may be in {' or '.join(map(str, found))}"
    elif found:
        fault = _wrong_offset(row, folder, largest_gap)
    return Sample(
        clip=f"{subject or '?'}/{name or '?'}",
        subject=subject,
        label=label,
        onset=row.number("onset"),
        apex=row.number("apex"),
        offset=row.number("offset"),
        frames=folder,
        source=row.source,
        fault=fault,
        remark=_other_emotion(folder, label) if found else "",
    )


def _wrong_offset(row: Row, folder: Path, largest_gap: int) -> str:
    """Return what is wrong with an offset that is not a frame of the clip: 16 rows of the release have a wrong one."""
    try:
        numbers = list(frame_files.numbered(folder))
    except InputError as error:
        return str(error)
    onset, offset = row.number("onset"), row.number("offset")
    if not numbers or onset is None or (offset is not None and onset < offset <= numbers[-1] + largest_gap):
        return ""
    return (
        f"offset is {row.text('offset') or 'empty'}, but its frames go from {numbers[0]} to {numbers[-1]}: some rows "
        "of the released table are wrong. Correct it in a copy of the table and name that with --annotation, or "
        "exclude the clip"
    )


def _other_emotion(folder: Path, label: str) -> str:
    """Return that a clip lies in the folder of another emotion than the table gives; empty where both agree."""
    known = PROFILES["mmew"].labels
    named = [_SPELLINGS.get(part.lower(), part.lower()) for part in folder.parent.parts[-2:]]
    other = [emotion for emotion in named if emotion in known and emotion != label]
    return f"{label} in the table, which counts; its folder is {folder}" if other and label not in named else ""
