"""4DME: `gray_micro/S13_1st/001_01_1/46.jpg` and one annotation spreadsheet.

Li et al., 4DME: A Spontaneous 4D Micro-Expression Dataset With Multimodalities, IEEE Transactions on Affective
Computing 14(4), 2023, doi:10.1109/TAFFC.2022.3182342.
"""

import dataclasses
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

_EMOTIONS = ("Positive", "Negative", "Surprise", "Repression", "Others")

FORM = annotation.Form(
    name=r"4DME_Labelling_Micro",
    columns={
        "subject": "sub_ID",
        "name": "fold_name",
        "label": "Emotion",
        "onset": "Onset",
        "apex": "Apex",
        "offset": "Offset",
    },
    optional={emotion: emotion for emotion in _EMOTIONS},
)

# Some people were filmed in several sessions: S13_1st, S13_2nd, S49_2.
_SUBJECT = re.compile(r"S?0*(\d+)(?:_.*)?", re.IGNORECASE)
_SPELLINGS = {"other": "others"}
_GREY = re.compile(r"gr[ae]y", re.IGNORECASE)


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["fourdme"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read the grey videos of a tree of 4DME.

    A person who was filmed in several sessions, `S13_1st` and `S13_2nd`, is one subject, `S13`. A clip may have several
    emotions, `Surprise+Positive`: these are put into the order of the alphabet, `positive+surprise`.

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
    rows = [row for file in files for row in annotation.rows(file, FORM)]
    top, folders = _clip_folders(tree, {row.text("subject").lower() for row in rows})
    samples = (_sample(row, top, folders) for row in rows)
    return tabulate(samples, root, profile, exclude, files, largest_gap)


def _clip_folders(tree: Tree, subjects: set[str]) -> tuple[Path, dict[tuple[str, str], Path]]:
    """The folder that holds those of the subjects, and that of each clip by subject and name in lower case."""
    found: dict[Path, dict[tuple[str, str], Path]] = {}
    for folder in tree.walk():
        subject = folder.parent.name.lower()
        if subject in subjects and folder.parent != tree.root:
            found.setdefault(folder.parent.parent, {})[subject, folder.name.lower()] = folder
    # The same clips exist in colour and as depth.
    tops = [top for top in found if _GREY.search(top.name)] or list(found)
    if len(tops) != 1:
        names = ", ".join(map(str, sorted(tops))) or "none"
        advice = ". Name one of them as the dataset's folder" if tops else ""
        raise InputError(
            f"{tree.root}: expected one folder that holds those of the subjects, such as gray_micro; found "
            f"{names}{advice}"
        )
    return tops[0], found[tops[0]]


def _sample(row: Row, top: Path, folders: dict[tuple[str, str], Path]) -> Sample:
    session, name = row.text("subject"), row.text("name")
    number = _SUBJECT.fullmatch(session)
    emotions = [emotion.strip().lower() for emotion in row.text("label").split("+")]
    label = "+".join(sorted(_SPELLINGS.get(emotion, emotion) for emotion in emotions))
    fault = ""
    if not number:
        fault = f"expected a subject such as S13 or S13_1st, found {row['subject']!r}"
    elif not name:
        fault = "expected the name of a clip, found none"
    sample = Sample(
        clip=f"{session or '?'}/{name or '?'}",
        subject=f"S{int(number.group(1)):02d}" if number else "",
        label=label,
        onset=row.number("onset"),
        apex=row.number("apex"),
        offset=row.number("offset"),
        frames=folders.get((session.lower(), name.lower()), top / session / name),
        source=row.source,
        fault=fault,
        remark=_contradiction(row, label),
    )
    return _counted_from_one(sample)


def _contradiction(row: Row, label: str) -> str:
    """Return what a row says of the emotions a second time, in a column for each, if that is something else.

    Two rows of the release have each other's columns behind the offset.
    """
    marked = [emotion.lower() for emotion in _EMOTIONS if row.number(emotion) == 1]
    if not marked or "+".join(sorted(marked)) == label:
        return ""
    return f"{label} in the column Emotion, which counts; {'+'.join(marked)} in the columns behind it"


def _counted_from_one(sample: Sample) -> Sample:
    """Return the sample with the numbers of its files, where its folder holds the clip alone, counted from 1.

    The annotation counts the frames of the whole video.
    """
    if sample.fault or not sample.frames.is_dir() or sample.onset is None or sample.offset is None:
        return sample
    try:
        numbers = list(frame_files.numbered(sample.frames))
    except InputError as error:
        return dataclasses.replace(sample, fault=str(error))
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) != sample.offset - sample.onset + 1:
        return sample
    shift = sample.onset - 1
    apex = None if sample.apex is None else sample.apex - shift
    return dataclasses.replace(sample, onset=1, apex=apex, offset=sample.offset - shift)
