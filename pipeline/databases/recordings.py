"""The table of a database's recordings: what every reader gives, checked row by row."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.databases.profiles import Profile
from pipeline.errors import InputError
from pipeline.frames import frame_files

COLUMNS = ("clip", "subject", "label", "onset", "apex", "offset", "n_frames", "frames")


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
    """What came out of a copy of a database."""

    table: pd.DataFrame
    """Columns `COLUMNS`, sorted by clip; the clips of all labels, whichever a study will use."""
    annotations: tuple[Path, ...] = ()
    """Annotation files that were read."""
    unknown_exclusions: tuple[str, ...] = ()
    """Entries of `exclude` that are no clip and no row."""
    passed_over: tuple[str, ...] = ()
    """Rows that cannot be used, and why, of labels that no task uses."""
    apex_unknown: tuple[str, ...] = ()
    """Clips whose annotated apex is not between onset and offset, so that it counts as unknown."""


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
    """Check every sample and give the table of the recordings.

    Parameters
    ----------
    samples
        All rows of the annotation.
    root
        Folder of the copy; `frames` in the table is relative to it.
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
    passed_over: list[str] = []
    apex_unknown: list[str] = []
    seen = _Seen()
    rows = []
    for sample in samples:
        if {sample.clip, sample.source} & excluded:
            unused -= {sample.clip, sample.source}
            continue
        reasons = [*_defects(sample, root, profile), *seen.before(sample)]
        if reasons and not profile.in_a_task(sample.label):
            passed_over.append(f"{sample.source}: {sample.clip}: {'; '.join(reasons)}")
            continue
        problems += [f"{sample.source}: {sample.clip}: {reason}" for reason in reasons]
        if not reasons:
            row = _row(sample, root)
            rows.append(row)
            if sample.apex is not None and row[COLUMNS.index("apex")] == "":
                apex_unknown.append(f"{sample.clip}: {sample.apex} is not in {sample.onset}-{sample.offset}")
    advice = ["Mend the copy, or list the clips under `exclude` in params.yaml."] if problems else []
    if unused:
        problems += [f"exclude: {entry} is no clip and no row of this dataset" for entry in sorted(unused)]
        advice.append("Take out of `exclude` in params.yaml what is no clip.")
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("clip", ignore_index=True)
    reading = Reading(table, tuple(annotations), tuple(sorted(unused)), tuple(passed_over), tuple(apex_unknown))
    if problems:
        raise UnusableRows(
            f"{root}: {len(problems)} defect{'s' * (len(problems) > 1)} in this copy of {profile.name}:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + "".join(f"\n{sentence}" for sentence in advice),
            reading,
        )
    if not rows:
        raise InputError(
            f"{root}: expected clips of {', '.join(profile.labels) or 'some label'}, found no sample at all"
        )
    return reading


class _Seen:
    """What the samples so far have taken: each person has one name, each clip one row."""

    def __init__(self) -> None:
        self._clips: dict[str, str] = {}
        self._frames: dict[tuple[object, ...], str] = {}
        self._subjects: dict[str, tuple[str, str]] = {}

    def before(self, sample: Sample) -> Iterator[str]:
        """What is wrong with the sample because of another one.

        Names of clips may differ in capital letters only, those of subjects also in zeros before their numbers.
        """
        source = self._clips.setdefault(sample.clip.casefold(), sample.source)
        if source != sample.source:
            yield f"the same clip is already in {source}"
            return
        if sample.fault:  # what else it names need not be true
            return
        source = self._frames.setdefault((sample.frames, sample.onset, sample.offset), sample.source)
        if source != sample.source:
            yield f"the same frames are already in {source}"
        name, source = self._subjects.setdefault(unpadded(sample.subject), (sample.subject, sample.source))
        if name != sample.subject:
            yield f"subject {sample.subject} is written {name} in {source}; give one person one name"


def unpadded(name: str) -> str:
    """What is the same for all spellings of a name: lower case, no zeros before its numbers."""
    return re.sub(r"0*(\d+)", r"\1", name.casefold())


def _row(sample: Sample, root: Path) -> tuple[object, ...]:
    if sample.onset is None or sample.offset is None:
        raise ValueError(f"{sample.source} has no onset or no offset")
    apex = sample.apex if sample.apex is not None and sample.onset <= sample.apex <= sample.offset else ""
    folder = sample.frames.relative_to(root).as_posix()
    length = sample.offset - sample.onset + 1
    return sample.clip, sample.subject, sample.label, sample.onset, apex, sample.offset, length, folder


def _defects(sample: Sample, root: Path, profile: Profile) -> Iterable[str]:
    if sample.fault:
        yield sample.fault
        return
    if not sample.label:
        yield "it has no label"
    elif profile.labels and sample.label not in profile.labels:
        yield f"label {sample.label!r} is no class of {profile.name} ({', '.join(profile.labels)})"
    if sample.onset is None or sample.offset is None:
        yield f"onset and offset must be frame numbers, found {sample.onset} and {sample.offset}"
    elif sample.onset >= sample.offset:
        yield f"onset {sample.onset} is not before offset {sample.offset}"
    elif not sample.frames.resolve().is_relative_to(root.resolve()):
        yield f"frame folder {sample.frames} leads out of {root}"
    elif not sample.frames.is_dir():
        yield f"frame folder {sample.frames} is missing"
    else:
        yield from _frame_defects(sample, range(sample.onset, sample.offset + 1))


def _frame_defects(sample: Sample, wanted: range) -> Iterable[str]:
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
