"""The table of a database's recordings: what every reader gives, checked row by row."""

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.databases.profiles import Profile
from pipeline.errors import InputError
from pipeline.frames import frame_files

# Of the names that become names of files, by themselves or with others; file systems end at 255 bytes.
_LONGEST = {"clip": 150, "subject": 80, "label": 80, "frames": 1000}
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet program computes instead of showing it
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}

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
    for found in samples:
        sample = dataclasses.replace(found, fault=found.fault or _name_fault(found))
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


def _name_fault(sample: Sample) -> str:
    """Why a name of a sample would break what is made of it later, files, tables and figures; empty for good ones."""
    names = {"clip": sample.clip, "subject": sample.subject, "label": sample.label, "frames": str(sample.frames)}
    for kind, name in names.items():
        if odd := [character for character in name if unicodedata.category(character) in _INVISIBLE]:
            return (
                f"{kind} {name[:80]!r} has a character that cannot be seen, U+{ord(odd[0]):04X} "
                f"{unicodedata.name(odd[0], '')}".rstrip()
            )
        if kind == "clip" and {"", ".", ".."} & set(name.split("/")):
            return f"clip {name!r} has a part that is no name, but leads to another folder"
        if len(name.encode()) > _LONGEST[kind]:
            return f"{kind} {name[:40]}... has {len(name.encode())} bytes, at most {_LONGEST[kind]} can be used"
        if any(len(part.encode()) > 255 for part in Path(name).parts):
            return f"{kind} {name[:40]}... has a part of more than 255 bytes, which is no name of a folder"
        if kind != "frames" and name.startswith(_FORMULA):
            return f"{kind} {name!r} begins like a formula ({', '.join(_FORMULA)}): a spreadsheet would compute it"
    return ""


class _Seen:
    """What the samples so far have taken: each person has one name, each clip one row."""

    def __init__(self) -> None:
        self._clips: dict[str, str] = {}
        self._frames: dict[tuple[object, ...], str] = {}
        self._subjects: dict[str, tuple[str, str]] = {}
        self._people: dict[Path, tuple[str, str]] = {}
        self._labels: dict[str, tuple[str, str]] = {}

    def before(self, sample: Sample) -> Iterator[str]:
        """What is wrong with the sample because of another one.

        Names of clips may differ in capital letters only, those of subjects also in zeros before their numbers.
        """
        source = self._clips.setdefault(_as_seen(sample.clip), sample.source)
        if source != sample.source:
            yield f"the same clip is already in {source}"
            return
        if sample.fault:  # what else it names need not be true
            return
        frames = sample.frames.resolve()
        source = self._frames.setdefault((frames, sample.onset, sample.offset), sample.source)
        if source != sample.source:
            yield f"the same frames are already in {source}"
        name, people = self._people.setdefault(frames, (sample.subject, sample.source))
        if source == sample.source and unpadded(_as_seen(name)) != unpadded(_as_seen(sample.subject)):
            yield f"its frames are those of subject {name} in {people}, not of {sample.subject}; name the right one"
        name, source = self._subjects.setdefault(unpadded(_as_seen(sample.subject)), (sample.subject, sample.source))
        if name != sample.subject:
            yield f"subject {sample.subject} is written {name} in {source}; give one person one name"
        name, source = self._labels.setdefault(_as_seen(sample.label), (sample.label, sample.source))
        if name != sample.label:
            yield f"label {sample.label!r} looks like {name!r} in {source} and is written in other characters"


def _as_seen(name: str) -> str:
    """Equal for names that look the same: however composed, in capital letters or not."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


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
    there = [number for number in files if wanted.start <= number < wanted.stop]
    if missing := _gaps(there, wanted):
        yield f"{missing} of {sample.onset}-{sample.offset} missing in {sample.frames}"
    first: frame_files.Picture | None = None
    turned: dict[int, list[int]] = {}
    for number in there:
        try:
            picture = frame_files.check(files[number])
        except frame_files.Unusable as reason:
            yield f"{files[number]} {reason}"
            continue
        first = first or picture
        turned.setdefault(picture.orientation, []).append(number)
        if picture[:2] != first[:2] and len(turned) == 1:
            size = f"{picture.width} x {picture.height}"
            yield f"{files[number]} has {size} px, those before {first.width} x {first.height}"
    if len(turned) > 1:
        found = "; ".join(f"{orientation} in {_named(numbers)}" for orientation, numbers in sorted(turned.items()))
        yield (
            f"{sample.frames}: its frames are turned in different ways by their EXIF orientation, {found}. Give all "
            "frames of a clip the one that shows the face upright (with exiftool: -n -Orientation=1 FILES)"
        )


def _gaps(there: list[int], wanted: range) -> str:
    """`frames 3, 7-9` for what is missing; in the time of what is there, however far away the offset is."""
    borders = [wanted.start - 1, *there, wanted.stop]
    return _frames([(before + 1, after - 1) for before, after in itertools.pairwise(borders) if after - before > 1])


def _named(numbers: list[int]) -> str:
    """`frames 3, 7-9` for ascending numbers."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return _frames(list(zip(starts, ends, strict=True)))


def _frames(spans: list[tuple[int, int]]) -> str:
    listed = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)
    several = len(spans) > 1 or any(last > first for first, last in spans)
    return f"frame{'s' * several} {listed}" if spans else ""
