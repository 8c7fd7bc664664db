"""The clip table: what every dataset reader gives, checked row by row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipeline.errors import InputError
from pipeline.frames import frame_files

COLUMNS = ("clip", "subject", "label", "onset", "apex", "offset", "n_frames", "frames")


@dataclass(frozen=True)
class Settings:
    """How a dataset is studied, key by key of params.yaml; the paper's, as far as they are the same for all of its."""

    epochs: int
    scales: tuple[float, ...] = (1.0,)
    horizontal_flip: bool = False
    lr: float = 1e-5
    weight_decay: float = 1e-4
    lambda_: float = 1e-8
    views: str = "all"
    flow: str = "flownet2"


@dataclass(frozen=True)
class Counts:
    """How many clips and subjects the paper uses; its classes are those of the profile."""

    clips: int
    subjects: int


@dataclass(frozen=True)
class Profile:
    """What is known of a dataset before looking at a copy of it."""

    name: str
    classes: tuple[str, ...]
    """Labels of the recognition task, in the order of the network's outputs; empty: whichever are found."""
    left_out: tuple[str, ...] = ()
    """Labels that the dataset has and the task does not use."""
    settings: Settings | None = None
    """What the paper uses for it, or what suits it."""
    paper: Counts | None = None
    """Numbers of the paper, for a dataset that is in it."""
    published: tuple[tuple[str, float], ...] = ()
    """The dataset's column of the paper's Table 1: method and accuracy in per cent."""


@dataclass(frozen=True)
class Sample:
    """One annotated clip as a reader found it; numbers are frame numbers, None where the annotation has none."""

    clip: str
    subject: str
    label: str
    onset: int | None
    apex: int | None
    offset: int | None
    frames: Path
    """Folder of its frame files."""
    source: str
    """Annotation file and row, `CASME2-coding-20140508.xlsx:7`, for messages and for `exclude`."""
    fault: str = ""
    """What the reader itself found wrong; such a sample cannot be used."""


@dataclass(frozen=True)
class Reading:
    """What came out of a dataset tree."""

    table: pd.DataFrame
    """The clip table: columns `COLUMNS`, sorted by clip."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Samples of labels that the task does not use."""
    classes: tuple[str, ...] = ()
    """Labels of the task, in the order of the network's outputs."""
    annotations: tuple[Path, ...] = ()
    """Annotation files that were read."""
    unknown_exclusions: tuple[str, ...] = ()
    """Entries of `exclude` that are no clip and no row."""


class UnusableRows(InputError):
    """Some rows cannot be used; `reading` has the others."""

    def __init__(self, message: str, reading: Reading) -> None:
        super().__init__(message)
        self.reading = reading


def tabulate(
    samples: Iterable[Sample],
    root: Path,
    profile: Profile,
    exclude: Iterable[str] = (),
    annotations: Iterable[Path] = (),
) -> Reading:
    """Check every sample and give the clip table.

    Parameters
    ----------
    samples
        All rows of the annotation.
    root
        The dataset's folder; `frames` in the table is relative to it.
    exclude
        Clip ids, or `file:row` where a row has no unique id, that are left out on purpose.
    annotations
        Files that the samples come from.

    Raises
    ------
    UnusableRows
        All of them are listed, each with its source and reason.
    InputError
        Nothing is left.
    """
    excluded = set(exclude)
    unused = set(excluded)
    problems: list[str] = []
    left_out: Counter[str] = Counter()
    seen = _Seen()
    rows = []
    for sample in samples:
        if {sample.clip, sample.source} & excluded:
            unused -= {sample.clip, sample.source}
            continue
        if sample.label in profile.left_out:
            left_out[sample.label] += 1
            continue
        reasons = [*_defects(sample, root, profile), *seen.before(sample)]
        problems += [f"{sample.source}: {sample.clip}: {reason}" for reason in reasons]
        if not reasons:
            rows.append(_row(sample, root))
    advice = ["Mend the copy, or list the clips under `exclude` in params.yaml."] if problems else []
    if unused:
        problems += [f"exclude: {entry} is no clip and no row of this dataset" for entry in sorted(unused)]
        advice.append("Take out of `exclude` in params.yaml what is no clip.")
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("clip", ignore_index=True)
    classes = profile.classes or tuple(sorted(table["label"].unique()))
    reading = Reading(table, left_out, classes, tuple(annotations), tuple(sorted(unused)))
    if problems:
        raise UnusableRows(
            f"{root}: {len(problems)} defect{'s' * (len(problems) > 1)} in this copy of {profile.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + "".join(f"\n{sentence}" for sentence in advice),
            reading,
        )
    if not rows:
        raise InputError(
            f"{root}: expected clips of {', '.join(profile.classes) or 'some class'}, found no sample at all"
        )
    return reading


class _Seen:
    """What the samples so far have taken: each person has one name, each clip one row."""

    def __init__(self) -> None:
        self._clips: dict[str, str] = {}
        self._frames: dict[tuple[object, ...], str] = {}
        self._subjects: dict[str, tuple[str, str]] = {}

    def before(self, sample: Sample) -> Iterator[str]:
        """What is wrong with the sample because of another one, whose names may differ in capital letters only."""
        source = self._clips.setdefault(sample.clip.casefold(), sample.source)
        if source != sample.source:
            yield f"the same clip is already in {source}"
            return
        if sample.fault:  # what else it names need not be true
            return
        source = self._frames.setdefault((sample.frames, sample.onset, sample.offset), sample.source)
        if source != sample.source:
            yield f"the same frames are already in {source}"
        name, source = self._subjects.setdefault(sample.subject.casefold(), (sample.subject, sample.source))
        if name != sample.subject:
            yield f"subject {sample.subject} is written {name} in {source}; give one person one name"


def _row(sample: Sample, root: Path) -> tuple[object, ...]:
    apex = "" if sample.apex is None else sample.apex
    folder = sample.frames.relative_to(root).as_posix()
    length = sample.offset - sample.onset + 1
    return sample.clip, sample.subject, sample.label, sample.onset, apex, sample.offset, length, folder


def _defects(sample: Sample, root: Path, profile: Profile) -> Iterable[str]:
    if sample.fault:
        yield sample.fault
        return
    if not sample.label:
        yield "it has no label"
    elif profile.classes and sample.label not in profile.classes:
        known = ", ".join(profile.classes + profile.left_out)
        yield f"label {sample.label!r} is no class of {profile.name} ({known})"
    if sample.onset is None or sample.offset is None:
        yield f"onset and offset must be frame numbers, found {sample.onset} and {sample.offset}"
    elif sample.onset >= sample.offset:
        yield f"onset {sample.onset} is not before offset {sample.offset}"
    elif not sample.frames.resolve().is_relative_to(root.resolve()):
        yield f"frame folder {sample.frames} leads out of {root}"
    elif not sample.frames.is_dir():
        yield f"frame folder {sample.frames} is missing"
    else:
        yield from _frame_defects(sample)


def _frame_defects(sample: Sample) -> Iterable[str]:
    try:
        files = frame_files.numbered(sample.frames)
    except InputError as error:
        yield str(error)
        return
    if not files:
        others = sorted({path.suffix for path in sample.frames.iterdir() if path.is_file() and path.suffix})
        yield (
            f"{sample.frames}: expected frames as {', '.join(frame_files.SUFFIXES)}, found none"
            + (f" ({', '.join(others)} instead)" if others else "")
        )
        return
    wanted = range(sample.onset, sample.offset + 1)
    missing = [number for number in wanted if number not in files]
    if missing:
        yield f"{_ranges(missing)} of {sample.onset}-{sample.offset} missing in {sample.frames}"
    for number in wanted:
        if number in files and (reason := frame_files.defect(files[number])):
            yield f"{files[number]} {reason}"


def _ranges(numbers: list[int]) -> str:
    """`frames 3, 7-9` for [3, 7, 8, 9]."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    spans = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"frame{'s' * (len(numbers) > 1)} {spans}"
