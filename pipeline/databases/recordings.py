"""The table of a database's recordings: what every reader gives, checked row by row."""

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.databases import missing_frames
from pipeline.databases.missing_frames import Span
from pipeline.databases.profiles import Profile
from pipeline.errors import InputError
from pipeline.frames import frame_files
from pipeline.storage.n_missing import COLUMN as MISSING

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
    remark: str = ""
    """What the reader found odd; such a sample can be used."""


@dataclass(frozen=True)
class Reading:
    """What came out of a copy of a database."""

    table: pd.DataFrame
    """Columns `COLUMNS`, and `MISSING` where frames may be missing; sorted by clip. It has the clips of all labels,
    whichever a study will use."""
    annotations: tuple[Path, ...] = ()
    """Annotation files that were read."""
    unknown_exclusions: tuple[str, ...] = ()
    """Entries of `exclude` that are no clip and no row."""
    passed_over: tuple[str, ...] = ()
    """Rows that cannot be used, and why, of labels that no task uses."""
    apex_unknown: tuple[str, ...] = ()
    """Clips whose annotated apex is not between onset and offset, so that it counts as unknown."""
    rows: int = 0
    """Rows of the annotation, whether or not they can be used."""
    mended: tuple[str, ...] = ()
    """Clips that lack frames, which ones, and what was done about it."""
    remarks: tuple[str, ...] = ()
    """Clips that are used, and what is odd about them."""


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
    largest_gap: int | None = None,
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
    largest_gap
        Most consecutive frames that a clip may lack, over which its neighbours are interpolated; None: no frame may be
        missing.

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
    mended: list[str] = []
    remarks: list[str] = []
    seen = _Seen()
    rows: list[tuple[object, ...]] = []
    lacking: list[int] = []
    samples = list(samples)
    for found in samples:
        sample = dataclasses.replace(found, fault=found.fault or _name_fault(found))
        if {sample.clip, sample.source} & excluded:
            unused -= {sample.clip, sample.source}
            continue
        checked = _check(sample, root, profile, largest_gap or 0)
        reasons = [*checked.defects, *seen.before(sample)]
        if reasons and not profile.in_a_task(sample.label):
            passed_over.append(f"{sample.source}: {sample.clip}: {'; '.join(reasons)}")
            continue
        problems += [f"{sample.source}: {sample.clip}: {reason}" for reason in reasons]
        lacking += [checked.gap] * (checked.gap > 0)
        if reasons or checked.span is None:
            continue
        rows.append(_row(sample, root, checked.span))
        if sample.apex is not None and checked.span.apex is None:
            apex_unknown.append(f"{sample.clip}: {sample.apex} is not in {sample.onset}-{sample.offset}")
        if checked.mended:
            mended.append(f"{sample.clip}: {checked.mended}")
        if sample.remark:
            remarks.append(f"{sample.clip}: {sample.remark}")
    advice = ["Mend the copy, or list the clips under `exclude` in params.yaml."] if problems else []
    if lacking:
        advice.append(
            f"{len(lacking)} clip{'s lack' if len(lacking) > 1 else ' lacks'} frames, up to {max(lacking)} in a row. "
            "To interpolate over short gaps: --missing-frames N (missing_frames in params.yaml) allows up to N frames "
            "in a row."
        )
    if unused:
        problems += [f"exclude: {entry} is no clip and no row of this dataset" for entry in sorted(unused)]
        advice.append("Take out of `exclude` in params.yaml what is no clip.")
    table = pd.DataFrame(rows, columns=[*COLUMNS, MISSING]).sort_values("clip", ignore_index=True)
    if largest_gap is None:  # then no clip lacks a frame, and the table keeps the bytes that it always had
        table = table.drop(columns=MISSING)
    reading = Reading(
        table,
        tuple(annotations),
        tuple(sorted(unused)),
        tuple(passed_over),
        tuple(apex_unknown),
        len(samples),
        tuple(mended),
        tuple(remarks),
    )
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


def _row(sample: Sample, root: Path, span: Span) -> tuple[object, ...]:
    apex = "" if span.apex is None else span.apex
    folder = sample.frames.relative_to(root).as_posix()
    length = span.offset - span.onset + 1
    return (
        *(sample.clip, sample.subject, sample.label, span.onset, apex, span.offset, length, folder),
        span.n_missing,
    )


@dataclass
class _Checked:
    """What came out of a look at the frames of a sample."""

    defects: list[str] = dataclasses.field(default_factory=list)
    span: Span | None = None
    """None unless the frames can be used."""
    mended: str = ""
    """Which frames are missing, and what was done about it."""
    gap: int = 0
    """Most consecutive frames that are missing, where that is a defect."""


def _check(sample: Sample, root: Path, profile: Profile, largest_gap: int) -> _Checked:
    checked = _Checked()
    if sample.fault:
        checked.defects.append(sample.fault)
        return checked
    if not sample.label:
        checked.defects.append("it has no label")
    elif not profile.knows(sample.label):
        checked.defects.append(f"label {sample.label!r} is no class of {profile.name} ({', '.join(profile.labels)})")
    if sample.onset is None or sample.offset is None:
        checked.defects.append(f"onset and offset must be frame numbers, found {sample.onset} and {sample.offset}")
    elif sample.onset >= sample.offset:
        checked.defects.append(f"onset {sample.onset} is not before offset {sample.offset}")
    elif not sample.frames.resolve().is_relative_to(root.resolve()):
        checked.defects.append(f"frame folder {sample.frames} leads out of {root}")
    elif not sample.frames.is_dir():
        checked.defects.append(f"frame folder {sample.frames} is missing")
    else:
        _check_frames(sample, sample.onset, sample.offset, largest_gap, checked)
    return checked


def _check_frames(sample: Sample, onset: int, offset: int, largest_gap: int, checked: _Checked) -> None:
    """Look at the frames of a sample; what is found is added to `checked`."""
    try:
        files = frame_files.numbered(sample.frames)
    except InputError as error:
        checked.defects.append(str(error))
        return
    if not files:
        others = sorted({path.suffix for path in sample.frames.iterdir() if path.is_file() and path.suffix})
        checked.defects.append(
            f"{sample.frames}: expected frames as {', '.join(frame_files.SUFFIXES)}, found none"
            + (f" ({', '.join(others)} instead)" if others else "")
        )
        return
    checked.span = missing_frames.span(onset, sample.apex, offset, list(files), largest_gap)
    if missing := missing_frames.listed(onset, offset, list(files)):
        if checked.span is None:
            allowed = f", and gaps of more than {largest_gap} are not allowed" if largest_gap else ""
            checked.defects.append(f"{missing} of {onset}-{offset} missing in {sample.frames}{allowed}")
            checked.gap = missing_frames.longest_gap(onset, offset, list(files))
        else:
            checked.mended = f"{missing} of {onset}-{offset} missing" + _moves(sample, checked.span)
    first: frame_files.Picture | None = None
    turned: dict[int, list[int]] = {}
    start, stop = (onset, offset) if checked.span is None else (checked.span.onset, checked.span.offset)
    for number in (number for number in files if start <= number <= stop):
        try:
            picture = frame_files.check(files[number])
        except frame_files.Unusable as reason:
            checked.defects.append(f"{files[number]} {reason}")
            continue
        first = first or picture
        turned.setdefault(picture.orientation, []).append(number)
        if picture[:2] != first[:2] and len(turned) == 1:
            size = f"{picture.width} x {picture.height}"
            checked.defects.append(f"{files[number]} has {size} px, those before {first.width} x {first.height}")
    if len(turned) > 1:
        found = "; ".join(f"{orientation} in {_named(numbers)}" for orientation, numbers in sorted(turned.items()))
        checked.defects.append(
            f"{sample.frames}: its frames are turned in different ways by their EXIF orientation, {found}. Give all "
            "frames of a clip the one that shows the face upright (with exiftool: -n -Orientation=1 FILES)"
        )


def _named(numbers: list[int]) -> str:
    """`frames 3, 7-9` for ascending numbers."""
    others = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    return missing_frames.listed(numbers[0], numbers[-1], others)


def _moves(sample: Sample, span: Span) -> str:
    """Return `, onset 8 instead of 1` for each of onset, apex and offset that is another frame than annotated."""
    names = ("onset", "apex", "offset")
    pairs = ((getattr(sample, name), getattr(span, name)) for name in names)
    return "".join(
        f", {name} {used} instead of {annotated}"
        for name, (annotated, used) in zip(names, pairs, strict=True)
        if used is not None and used != annotated
    )
