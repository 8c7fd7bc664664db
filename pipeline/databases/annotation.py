"""Annotation spreadsheets: the one that has a dataset's columns, and what its cells mean."""

import csv
import datetime
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import xlrd

from pipeline.databases.tree import SPREADSHEETS, Tree, section
from pipeline.errors import InputError
from pipeline.storage.text_files import UNREADABLE, text_of

# Rows in which the header is looked for: some tables have a title above it, SAMM's has 13 rows of prose.
_HEADER_ROWS = 20
_ZIP = b"PK"
# Types of cells whose text depends on the settings of the program that shows them.
_NOT_TEXT = {
    bool: "a truth value",
    datetime.datetime: "a date",
    datetime.date: "a date",
    datetime.time: "a time",
    datetime.timedelta: "a duration",
}


@dataclass(frozen=True)
class Form:
    """What the annotation of a dataset looks like."""

    name: str
    """Pattern of the names that the owners gave it; such files are listed first."""
    columns: Mapping[str, str]
    """Header of each field that a row must have, by the name of the field. Case and blanks do not matter."""
    optional: Mapping[str, str]
    """Header of fields that a row may have."""
    not_named: str = ""
    """Pattern of the names of other tables with the same columns, which are passed over."""


@dataclass(frozen=True)
class Row:
    """One row of an annotation; a cell without value is None."""

    source: str
    """File and row as a spreadsheet program counts it, `CASME2-coding-20140508.xlsx:7`."""
    cells: Mapping[str, Any]

    def __getitem__(self, field: str) -> Any:
        return self.cells.get(field)

    def text(self, field: str) -> str:
        """A cell as text without blanks around it; a whole number without its decimals."""
        value = self[field]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return "" if value is None else str(value).strip()

    def number(self, field: str) -> int | None:
        """A whole number; None for anything else, such as the `/` and `\\` of the official files."""
        value = pd.to_numeric(self.text(field), errors="coerce")
        return int(value) if pd.notna(value) and float(value).is_integer() else None

    def subject(self) -> str:
        """`sub01` for 1, 1.0, "1", "01" and "sub01"; empty for anything else."""
        match = re.fullmatch(r"(?:sub(?:ject)?)?\s*(\d+)(?:\.0+)?", self.text("subject"), re.IGNORECASE)
        return f"sub{int(match.group(1)):02d}" if match else ""


def find(tree: Tree, form: Form, given: Path | None = None) -> list[Path]:
    """The annotation of a dataset: `given`, or the spreadsheet with the right columns, wherever it lies.

    CASME has one for each of its sections; otherwise there must be exactly one.

    Raises
    ------
    InputError
        None or several are found: they are listed. Or `given` is missing or has other columns. Or the file does not
        say clearly which cells are meant: several sheets have the columns, or a sheet has one of them twice.
    """
    expected = f"annotation spreadsheet ({', '.join(SPREADSHEETS)}) with the columns {', '.join(form.columns.values())}"
    if given is not None:
        if not given.is_file():
            raise InputError(f"annotation: expected the file of the annotation, found nothing at {given}")
        if reason := _unfit(given, form):
            raise InputError(f"annotation: expected an {expected}; {given} {reason}")
        return [_unambiguous(given, form)]
    candidates = [path for path in tree.spreadsheets if not (form.not_named and _bears(path, form.not_named))]
    reasons = {path: _unfit(path, form) for path in candidates}
    found = [path for path, reason in reasons.items() if reason is None]
    found.sort(key=lambda path: (not _bears(path, form.name), path))
    sections = [section(path) for path in found]
    if len(found) == 1 or (found and None not in sections and len(set(sections)) == len(sections)):
        return [_unambiguous(path, form) for path in found]
    if found:
        names = ", ".join(map(str, found))
        raise InputError(f"{tree.root}: expected one {expected}; found {names}. Say which with --annotation FILE")
    # Datasets have other tables deep inside; one that lies on top was meant.
    others = "".join(
        f"\n  {path} {reason}"
        for path, reason in reasons.items()
        if path.suffix.lower() != ".csv" or path.parent == tree.root
    )
    raise InputError(f"{tree.root}: expected one {expected}; found none{others}")


def rows(path: Path, form: Form) -> Iterator[Row]:
    """Rows of an annotation, without empty ones: spreadsheets trail them.

    Raises
    ------
    InputError
        A cell that is needed is in an encoding that the file does not tell, or is a date, a time or a truth value (all
        such cells are listed); or a row of a CSV file has an opening quotation mark without a closing one, or more
        cells than the header.
    """
    for sheet in _sheets(path).values():
        places = _places(sheet, form)
        if places is None or not set(form.columns) <= set(places[1]):
            continue
        header, columns = places
        _check_types(path, sheet, header, columns)
        for index in range(header + 1, len(sheet)):
            if path.suffix.lower() == ".csv" and sheet.iloc[index].count() > sheet.iloc[header].count():
                raise InputError(
                    f"{path}:{index + 1}: expected at most the {sheet.iloc[header].count()} cells of the header, found "
                    f"{sheet.iloc[index].count()}. A cell with the delimiter in it stands in quotation marks."
                )
            values: dict[str, Any] = {field: sheet.iat[index, column] for field, column in columns.items()}
            cells = {field: None if pd.isna(value) or value == "" else value for field, value in values.items()}
            if garbled := [str(value) for value in cells.values() if UNREADABLE in str(value)]:
                raise InputError(
                    f"{path}:{index + 1}: expected text in UTF-8, found {garbled[0]!r} in another encoding. "
                    "Save the table as `CSV UTF-8` or as .xlsx."
                )
            if any(cells[field] is not None for field in form.columns):
                yield Row(f"{path.name}:{index + 1}", cells)
        return


def _check_types(path: Path, sheet: pd.DataFrame, header: int, columns: Mapping[str, int]) -> None:
    """Raise InputError where a cell that is needed is neither text nor a number."""
    faults = []
    for index in range(header + 1, len(sheet)):
        for column in columns.values():
            title: Any = sheet.iat[header, column]
            value: Any = sheet.iat[index, column]
            if kind := _NOT_TEXT.get(type(value)):
                faults.append(f"{path.name}:{index + 1}: {title}: {kind} ({value})")
    if faults:
        raise InputError(
            f"{path}: expected text or numbers, found {len(faults)} other cell{'s' * (len(faults) > 1)}:\n"
            + "\n".join(f"  {fault}" for fault in faults)
            + "\nA spreadsheet program has changed what was typed there. Format the column as text, type these cells "
            "again, and save the table."
        )


def _unambiguous(path: Path, form: Form) -> Path:
    """The file itself, once it is clear which of its cells are meant."""
    needed = set(form.columns)
    fitting = {
        name: sheet
        for name, sheet in _sheets(path).items()
        if (places := _places(sheet, form)) and needed <= set(places[1]) and len(sheet) > places[0] + 1
    }
    if len(fitting) > 1:
        raise InputError(
            f"{path}: expected one sheet with the columns {', '.join(form.columns.values())}, found "
            f"{', '.join(fitting)}. Keep the right one."
        )
    for name, sheet in fitting.items():
        header, columns = _places(sheet, form) or (0, {})
        for field, first in columns.items():
            titles = [str(title) for title in sheet.iloc[header]]
            same = [title for title in titles if _plain(title) == _plain(titles[first])]
            if len(same) > 1:
                raise InputError(
                    f"{path}:{header + 1}: expected one column {form.columns.get(field, field)}, found "
                    f"{' and '.join(map(repr, same))}{f' in the sheet {name}' if name else ''}. Keep the right one."
                )
    return path


def _bears(path: Path, pattern: str) -> bool:
    return re.match(pattern, path.name, re.IGNORECASE) is not None


def _unfit(path: Path, form: Form) -> str | None:
    """Why a file is not the annotation, or None when it is."""
    try:
        sheets = _sheets(path, _HEADER_ROWS)
    except InputError as error:
        return f"cannot be used: {error}"
    except Exception as error:  # each spreadsheet format fails in ways of its own
        return f"cannot be read as a spreadsheet ({type(error).__name__}: {error})"
    best = max(
        (set(places[1]) for sheet in sheets.values() if (places := _places(sheet, form))), key=len, default=set()
    )
    missing = [header for field, header in form.columns.items() if field not in best]
    return f"has no column {', '.join(missing)}" if missing else None


def _places(sheet: pd.DataFrame, form: Form) -> tuple[int, dict[str, int]] | None:
    """Row of the header and column of each field, from the row that names most of them; None without any."""
    wanted = {_plain(header): field for field, header in (*form.columns.items(), *form.optional.items())}
    best: tuple[int, dict[str, int]] | None = None
    for index in range(min(_HEADER_ROWS, len(sheet))):
        columns: dict[str, int] = {}
        for column, header in enumerate(sheet.iloc[index]):
            if (field := wanted.get(_plain(header))) is not None:
                columns.setdefault(field, column)
        if columns and (best is None or len(columns) > len(best[1])):
            best = index, columns
    return best


def _plain(header: object) -> str:
    """`estimatedemotion` for `Estimated Emotion` and `estimated_emotion `."""
    return re.sub(r"[^a-z0-9]", "", str(header).lower())


def _sheets(path: Path, most: int | None = None) -> dict[str, pd.DataFrame]:
    """Tables of a file by their names, without interpreted header, at most `most` rows of each."""
    if path.suffix.lower() == ".csv":
        return {"": _csv(path, most)}
    content = path.read_bytes()
    if not content.startswith(_ZIP):  # some .xls are .xlsx by content, and the other way round
        return _xls(content, most)
    return _xlsx(content, most)


def _xlsx(content: bytes, most: int | None) -> dict[str, pd.DataFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about decoration that openpyxl does not know
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        found = {}
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # some programs write wrong ones
            found[sheet.title] = _sheet(list(sheet.iter_rows(max_row=most, values_only=True)))
        return found


def _xls(content: bytes, most: int | None) -> dict[str, pd.DataFrame]:
    book = xlrd.open_workbook(file_contents=content, logfile=io.StringIO())  # its remarks help nobody

    def value(cell: xlrd.sheet.Cell) -> Any:
        """What openpyxl gives for such a cell of an .xlsx file."""
        if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
            return None
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return xlrd.error_text_from_code.get(cell.value, "#ERROR!")
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        if cell.ctype == xlrd.XL_CELL_DATE:
            return xlrd.xldate_as_datetime(cell.value, book.datemode)
        return cell.value

    return {
        sheet.name: _sheet(
            [
                [value(cell) for cell in sheet.row(row)]
                for row in range(sheet.nrows if most is None else min(most, sheet.nrows))
            ]
        )
        for sheet in book.sheets()
    }


def _csv(path: Path, most: int | None) -> pd.DataFrame:
    lines = re.split(r"\r\n|\r|\n", text_of(path.read_bytes()))
    head = "\n".join(lines[:_HEADER_ROWS])
    delimiter = max(",;\t", key=head.count)  # some countries' spreadsheet programs export semicolons
    return _sheet([_cells(path, number, line, delimiter) for number, line in enumerate(lines[:most], 1)])


def _sheet(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Rows of cells as they were written; None where a row has no cell."""
    width = max(map(len, rows), default=0)
    return pd.DataFrame([[*row, *[None] * (width - len(row))] for row in rows], dtype=object)


def _cells(path: Path, number: int, line: str, delimiter: str) -> list[str]:
    """Cells of one line: a cell that goes on in the next one cannot be told from a forgotten quotation mark."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise InputError(
            f"{path}:{number}: expected a closing quotation mark in the same line, found {line[:80]!r} ({error}). Mend "
            "the line; a cell of several lines can stand in an .xlsx file."
        ) from error
