"""Files of predictions, whoever wrote them: this pipeline, a table of one's own, or the log of the MEGC 2019 challenge.

In the log, a line such as `casme2 sub01` opens the fold of a subject, `EP02_01f 0 2` is a clip with its truth and its
prediction, and an empty line stands between folds.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import InputError
from pipeline.storage.tables import PROBABILITY
from pipeline.storage.text_files import UNREADABLE, text_of

COLUMNS = ("part", "subject", "clip", "label", "predicted")

_SPELLINGS = {"casmeii": "casme2", "smichs": "smic"}
"""Databases that other people call otherwise, in small letters and digits."""

_FILE_SUFFIX = re.compile(r"\s*\.(avi|bmp|jpe?g|mp4|png)$", re.IGNORECASE)


@dataclass(frozen=True)
class Naming:
    """How a database of MEGC 2019 names its subjects and clips."""

    subject: str
    """Letters before the number of a subject."""
    digits: int
    clip: re.Pattern[str]
    example: str
    """`casme2-sub01/EP02_01f`."""


NAMING = {
    "casme2": Naming("sub", 2, re.compile(r"EP\d+_\d+f?"), "casme2-sub01/EP02_01f"),
    "samm": Naming("", 3, re.compile(r"\d{3}_\d+_\d+"), "samm-006/006_1_2"),
    "smic": Naming("s", 2, re.compile(r"s\d{2}_[a-z]+_\d+"), "smic-s03/s03_ne_01"),
}


@dataclass(frozen=True)
class Headers:
    """What the columns of a table are called."""

    clip: str = "clip"
    subject: str = "subject"
    truth: str = "label"
    predicted: str = "predicted"
    part: str | None = None
    """Column that says which database a clip is of; None: told by the subjects' names, if at all."""


@dataclass(frozen=True)
class Predictions:
    """The content of a file."""

    source: Path
    table: pd.DataFrame
    """Columns `COLUMNS`, all text, a row per clip in the order of the file. Names are put into one form, so that files
    of different origin can be compared: subjects of SAMM have three digits, `casme2-sub01/EP02_01f` is the clip
    `EP02_01f` of the subject `sub01` in the part `casme2`. A file of one database has the part ''."""
    classes: tuple[str, ...]
    """Classes in the order of the columns of probabilities, where there are any."""
    is_log: bool
    has_ids: bool = True
    """Whether the file names its clips; a log need not, and then they have numbers here."""


def read(path: Path, headers: Headers, databases: Sequence[str], logged: Sequence[str]) -> Predictions:
    """Read a file of predictions in any of the three forms.

    Parameters
    ----------
    path
        The file: CSV (with `,`, `;` or tab), or a log.
    headers
        Names of the columns of a table.
    databases
        Names that subjects may have in front, `casme2-sub01`.
    logged
        Names that open a fold of a log.

    Names are put into one form as far as they are certain: `CASME II` is casme2, and `sub01_EP02_01f.png` is the clip
    `EP02_01f` of the subject `sub01`.

    Raises
    ------
    InputError
        The file has neither form, a clip is in it twice, or a subject has two names.
    """
    try:
        lines = text_of(path.read_bytes()).splitlines()
    except OSError as error:
        raise InputError(f"{path}: expected a text file of predictions: {error}") from error
    if garbled := [number for number, line in enumerate(lines, 1) if UNREADABLE in line]:
        raise InputError(
            f"{path}:{garbled[0]}: expected text in UTF-8, or in UTF-16 with its mark; found another encoding"
        )
    first = next((line for line in lines if line.strip()), "")
    opened = _database(first.rpartition(" ")[0]) in logged
    is_log = not any(mark in first for mark in ",;\t") and (opened or len(first.split()) == 2)
    rows = list(_log_rows(path, lines, logged) if is_log else _table_rows(path, lines, headers))
    if not rows:
        raise InputError(f"{path}: expected predictions, found none")
    _check_subjects(path, rows)
    has_ids = not is_log or any(row["clip"] for row in rows)
    for number, row in enumerate(rows):
        row["clip"] = row["clip"] or str(number)
    table = pd.DataFrame([_plain(row, databases) for row in rows], columns=list(COLUMNS))
    doubles = table[table.duplicated(["part", "subject", "clip"])]
    if len(doubles):
        listed = ", ".join(doubles.apply(name_of, axis=1).head(10))
        raise InputError(f"{path}: expected one prediction for each clip, found more for {listed}")
    header = [] if is_log else _cells(first)
    classes = tuple(name.removeprefix(PROBABILITY) for name in header if name.startswith(PROBABILITY))
    return Predictions(path, table, classes, is_log, has_ids)


def part_of(subject: str, databases: Iterable[str]) -> str:
    """Database of a subject in a study of several, `casme2` of `casme2-sub01`; empty where the name does not say it."""
    return next((name for name in databases if subject.startswith(f"{name}-")), "")


def name_of(row: "pd.Series[str]") -> str:
    """`casme2-sub01/EP02_01f`, as a study of several databases has it, or `sub01/EP02_01f`."""
    return (f"{row['part']}-" if row["part"] else "") + f"{row['subject']}/{row['clip']}"


def _log_rows(path: Path, lines: Iterable[str], databases: Sequence[str]) -> Iterator[dict[str, str]]:
    part = subject = ""
    without_id = None
    for number, line in enumerate(lines, 1):
        *words, last = line.split() or [""]
        if (database := _database(" ".join(words))) in databases:
            part, subject = database, last
            continue
        if not last:
            continue
        if len(words) == 1 and not (part and words[0].isdecimal() and last.isdecimal()):
            raise InputError(
                f"{path}:{number}: expected the fold of a subject of {', '.join(databases)}; found {line.strip()!r}"
            )
        if not part or len(words) not in (1, 2):
            raise InputError(
                f"{path}:{number}: expected `database subject` or `clip truth predicted`; found {line.strip()!r}"
            )
        if without_id not in (None, len(words) == 1):
            raise InputError(f"{path}:{number}: expected clips that are all named or none, found both")
        without_id = len(words) == 1
        clip, label = words if len(words) == 2 else ("", words[0])
        yield {"part": part, "subject": subject, "clip": clip, "label": label, "predicted": last}


def _database(name: str) -> str:
    """`casme2` for `CASME II`, `CAS(ME)II` and `casme2`."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _SPELLINGS.get(plain, plain)


def _table_rows(path: Path, lines: Sequence[str], headers: Headers) -> Iterator[dict[str, str]]:
    start = next((number for number, line in enumerate(lines) if line.strip()), 0)
    header = _cells(lines[start]) if lines else []
    wanted = {"clip": headers.clip, "subject": headers.subject, "label": headers.truth, "predicted": headers.predicted}
    if headers.part is not None:
        wanted["part"] = headers.part
    options = {"clip": "--clip", "subject": "--subject", "label": "--truth", "predicted": "--predicted"}
    if missing := [field for field, name in wanted.items() if name not in header]:
        raise InputError(
            f"{path}: expected the columns {', '.join(wanted.values())}; found {', '.join(header) or 'none'}. Name "
            f"those of your table: {', '.join(options.get(field, '--part') + ' COLUMN' for field in missing)}"
        )
    places = {field: header.index(name) for field, name in wanted.items()}
    for number, cells in enumerate(csv.reader(lines[start + 1 :], delimiter=_delimiter(lines[start])), start + 2):
        if not any(cell.strip() for cell in cells):
            continue
        row = {field: cells[place].strip() if place < len(cells) else "" for field, place in places.items()}
        if empty := [wanted[field] for field, value in row.items() if not value]:
            raise InputError(f"{path}:{number}: expected a value in every column, found none in {', '.join(empty)}")
        yield {"part": ""} | row


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=_delimiter(line)))]


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _plain(row: dict[str, str], databases: Sequence[str]) -> tuple[str, ...]:
    """A row with its names in the one form, in the order of `COLUMNS`."""
    part, subject, clip = row["part"].lower(), row["subject"], row["clip"]
    part = _database(part) if _database(part) in databases else part or part_of(subject, databases)
    subject, clip = (name.removeprefix(f"{part}-") for name in (subject, clip))
    clip = clip.removeprefix(f"{subject}/")
    naming = NAMING.get(part)
    if naming and (match := re.fullmatch(rf"(?:{naming.subject})?0*(\d+)", subject, re.IGNORECASE)):
        short = f"{naming.subject}{int(match.group(1))}"
        official = f"{naming.subject}{int(match.group(1)):0{naming.digits}d}"
        clip = _official_clip(clip.removeprefix(f"{official}/"), naming, official, (subject, short, official))
        subject = official
    return part, subject, clip, row["label"], row["predicted"]


def _official_clip(clip: str, naming: Naming, subject: str, spellings: Iterable[str]) -> str:
    """The name that the owners gave a clip, where it follows from the name of a picture of it; else as it is."""
    clip = _FILE_SUFFIX.sub("", clip)
    for spelling in spellings:
        rest = clip.removeprefix(f"{spelling}_")
        # The subject may stand in front of the name, and in SAMM and SMIC it is the beginning of the name.
        for name in (rest, f"{subject}_{rest}", f"{subject}_{rest.removeprefix(f'{spelling}_')}"):
            if rest != clip and naming.clip.fullmatch(name):
                return name
    return clip


def _check_subjects(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Raise InputError where one person has two names: each would be a fold of their own."""
    names: dict[tuple[str, str], str] = {}
    for row in rows:
        key = row["part"].lower(), re.sub(r"0*(\d+)", r"\1", row["subject"].casefold())
        name = names.setdefault(key, row["subject"])
        if name != row["subject"]:
            raise InputError(
                f"{path}: expected one name for each subject, found {name} and {row['subject']}; give one person one "
                "name"
            )
