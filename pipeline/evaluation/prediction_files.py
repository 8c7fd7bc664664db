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

COLUMNS = ("part", "subject", "clip", "label", "predicted")


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

    Raises
    ------
    InputError
        The file has neither form, a clip is in it twice, or a subject has two names.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a text file of predictions: {error}") from error
    first = next((line for line in lines if line.strip()), "")
    is_log = not any(mark in first for mark in ",;\t") and len(first.split()) == 2
    rows = list(_log_rows(path, lines, logged) if is_log else _table_rows(path, lines, headers))
    if not rows:
        raise InputError(f"{path}: expected predictions, found none")
    _check_subjects(path, rows)
    table = pd.DataFrame([_plain(row, databases) for row in rows], columns=list(COLUMNS))
    doubles = table[table.duplicated(["part", "subject", "clip"])]
    if len(doubles):
        listed = ", ".join(doubles.apply(name_of, axis=1).head(10))
        raise InputError(f"{path}: expected one prediction for each clip, found more for {listed}")
    header = [] if is_log else _cells(first)
    classes = tuple(name.removeprefix(PROBABILITY) for name in header if name.startswith(PROBABILITY))
    return Predictions(path, table, classes, is_log)


def part_of(subject: str, databases: Iterable[str]) -> str:
    """Database of a subject in a study of several, `casme2` of `casme2-sub01`; empty where the name does not say it."""
    return next((name for name in databases if subject.startswith(f"{name}-")), "")


def name_of(row: "pd.Series[str]") -> str:
    """`casme2-sub01/EP02_01f`, as a study of several databases has it, or `sub01/EP02_01f`."""
    return (f"{row['part']}-" if row["part"] else "") + f"{row['subject']}/{row['clip']}"


def _log_rows(path: Path, lines: Iterable[str], databases: Sequence[str]) -> Iterator[dict[str, str]]:
    part = subject = ""
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) == 2:
            part, subject = words[0].lower(), words[1]
            if part not in databases:
                raise InputError(
                    f"{path}:{number}: expected the fold of a subject of {', '.join(databases)}; found {line.strip()!r}"
                )
        elif len(words) == 3 and part:
            clip, label, predicted = words
            yield {"part": part, "subject": subject, "clip": clip, "label": label, "predicted": predicted}
        elif words:
            raise InputError(
                f"{path}:{number}: expected `database subject` or `clip truth predicted`; found {line.strip()!r}"
            )


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
    part = part or part_of(subject, databases)
    subject, clip = (name.removeprefix(f"{part}-") for name in (subject, clip))
    clip = clip.removeprefix(f"{subject}/")
    if part == "samm":
        subject = subject.zfill(3)
        clip = clip.removeprefix(f"{subject}/")
        if clip.startswith(f"{subject}_{subject}_"):  # as some logs have it
            clip = clip.removeprefix(f"{subject}_")
    elif part in ("casme2", "smic"):
        letters = {"casme2": "sub", "smic": "s"}[part]
        if match := re.fullmatch(rf"(?:{letters})?0*(\d+)", subject, re.IGNORECASE):
            short = f"{letters}{int(match.group(1))}"
            subject = f"{letters}{int(match.group(1)):02d}"
            clip = re.sub(rf"^{short}_", f"{subject}_", clip)
    return part, subject, clip, row["label"], row["predicted"]


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
