"""Trees of the official datasets with everything in them that real copies have, made by the generator."""

import datetime
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import openpyxl

from pipeline.databases.layouts import LAYOUTS
from pipeline.synthetic.generator import write_tree

TINY = {
    "seed": 0,
    "subjects": 3,
    "clips": 9,
    "height": 64,
    "width": 64,
    "frames": (3, 4),
    "amplitude": (1.0, 3.0),
    "drift": 1.0,
    "rotation": 1.0,
    "scale": 0.5,
    "noise": 1.0,
    "flicker": 0.01,
}


@dataclass
class Official:
    """A tree and the clip table that it must give."""

    root: Path
    rows: list[dict[str, Any]]
    """Expected rows by the columns of clips.csv; `frames` is kept right by what moves folders."""
    table: list[list[Any]]
    """Cells of the annotation, header first."""

    def expected(self) -> list[tuple[Any, ...]]:
        columns = ("clip", "subject", "label", "onset", "apex", "offset", "n_frames", "frames")
        return sorted(tuple(row[column] for column in columns) for row in self.rows)

    def cell(self, number: int, header: str, value: Any) -> None:
        """Change a cell of the annotation of clip `number`."""
        self.table[number + 1][self.table[0].index(header)] = value

    def move(self, number: int, change: Callable[[str], str]) -> None:
        """Move the frames of a clip."""
        row = self.rows[number]
        new = change(row["frames"])
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        (self.root / row["frames"]).rename(self.root / new)
        row["frames"] = new

    def move_all(self, change: Callable[[str], str]) -> None:
        for number in range(len(self.rows)):
            self.move(number, change)

    def rename_frames(self, number: int, name: Callable[[int], str]) -> None:
        """Rename the frames of a clip by their numbers, converting them where the suffix is another."""
        folder = self.root / self.rows[number]["frames"]
        for path in sorted(folder.iterdir()):
            digits = "".join(c if c.isdigit() else " " for c in path.stem).split()[-1]
            target = folder / name(int(digits))
            if path.suffix != target.suffix.lower():
                target.write_bytes(cv2.imencode(target.suffix.lower(), cv2.imread(str(path)))[1].tobytes())
                path.unlink()
            else:
                path.rename(target)


def generate(root: Path, layout: str, **settings: Any) -> Official:
    """A clean tree in the layout of a dataset, its annotation not written yet."""
    ids = list(write_tree(root, layout=layout, **TINY | settings))
    (root / "truth.h5").unlink()
    (root / "contact_sheet.png").unlink()
    table: list[list[Any]] = []
    for file in root.glob("*.xlsx"):
        table = [list(row) for row in openpyxl.load_workbook(file).active.iter_rows(values_only=True)]
        table = table[LAYOUTS[layout].prose :]
        file.unlink()
    rows = []
    for number, clip in enumerate(ids):
        if table:
            cells = dict(zip(table[0], table[number + 1], strict=True))
            onset = cells.get("OnsetFrame") or cells.get("OnsetF") or cells.get("Onset Frame")
            offset = cells.get("OffsetFrame") or cells.get("OffsetF") or cells.get("Offset Frame")
            apex = cells.get("ApexFrame") or cells.get("ApexF1") or cells.get("Apex Frame")
            label = (cells.get("Estimated Emotion") or cells.get("Emotion")).lower()
            frames = (
                f"SAMM_CROP/{clip}" if layout == "samm" else f"Cropped/sub{cells['Subject']:02d}/{cells['Filename']}"
            )
        else:
            subject, name = clip.split("/")
            label = {"ne": "negative", "po": "positive", "sur": "surprise"}[name.split("_")[1]]
            frames = f"HS/s{int(subject[1:])}/micro/{label}/s{int(subject[1:])}_{name.split('_', 1)[1]}"
            numbers = [int(path.stem.removeprefix("reg_image")) for path in (root / frames).iterdir()]
            onset, apex, offset = min(numbers), "", max(numbers)
        rows.append(
            {
                "clip": clip,
                "subject": clip.split("/")[0],
                "label": label,
                "onset": onset,
                "apex": apex,
                "offset": offset,
                "n_frames": offset - onset + 1,
                "frames": frames,
            }
        )
    return Official(root, rows, table)


def write_xlsx(path: Path, table: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    for row in table:
        book.active.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def write_csv(path: Path, table: list[list[Any]], delimiter: str = ",") -> None:
    lines = [delimiter.join("" if cell is None else str(cell) for cell in row) for row in table]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(lines), encoding="utf-8-sig")


def write_xls(path: Path, table: list[list[Any]]) -> None:
    """A spreadsheet in the oldest form of .xls (BIFF2): nothing here writes a newer one."""
    records = [struct.pack("<HHHH", 0x0009, 4, 7, 0x0010)]
    for form in (b"General", b"yyyy-mm-dd"):  # a date is a number of days in a cell of the second format
        records.append(struct.pack("<HHB", 0x001E, 1 + len(form), len(form)) + form)
    for row, cells in enumerate(table):
        for column, cell in enumerate(cells):
            place = struct.pack("<HH3x", row, column)
            if isinstance(cell, bool):
                records.append(struct.pack("<HH", 0x0005, 9) + place + struct.pack("<BB", cell, 0))
            elif isinstance(cell, datetime.date):
                days = (cell - datetime.date(1899, 12, 30)).days
                dated = struct.pack("<HHBBB", row, column, 0, 1, 0)
                records.append(struct.pack("<HH", 0x0003, 15) + dated + struct.pack("<d", days))
            elif isinstance(cell, (int, float)):
                records.append(struct.pack("<HH", 0x0003, 15) + place + struct.pack("<d", cell))
            elif cell is not None:
                text = str(cell).encode("ascii")
                records.append(struct.pack("<HH", 0x0004, 8 + len(text)) + place + bytes([len(text)]) + text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records) + struct.pack("<HH", 0x000A, 0))


def litter(root: Path) -> None:
    """What copying and unpacking leave behind."""
    (root / "Thumbs.db").write_bytes(b"x")
    (root / ".DS_Store").write_bytes(b"x")
    debris = root / "__MACOSX" / "Cropped" / "sub01" / "EP02_01"
    debris.mkdir(parents=True)
    (debris / "._reg_img1.jpg").write_bytes(b"x")
    (root / "~$CASME2-coding-20140508.xlsx").write_bytes(b"x")
    (root / "readme.txt").write_text("Please cite")
    write_xlsx(root / "contacts.xlsx", [["Name", "Subject"], ["Yan", 1]])


def casme2_with_traps(root: Path, raw: bool) -> Official:
    tree = generate(root, "casme2")
    top = "CASME2_RAW_selected/CASME2_RAW_selected" if raw else "Cropped/Cropped"
    tree.move_all(lambda frames: frames.replace("Cropped", top))
    if raw:
        for number in range(9):
            tree.rename_frames(number, lambda n: f"img{n}.jpg")
    tree.rename_frames(0, lambda n: f"IMG{n:03d}.JPG" if n % 2 else f"img{n}.jpg")
    tree.rename_frames(1, lambda n: f"img{n:06d}.png")
    tree.rename_frames(2, lambda n: f"img{n}.bmp")
    tree.move(3, lambda frames: frames.replace("EP", "ep"))
    tree.cell(0, "ApexFrame", "/")
    tree.rows[0]["apex"] = ""
    for number, spelling in enumerate((1, "1", "01", "sub01", " Sub1 ", 1.0)):
        subject = int(tree.rows[number]["subject"][3:])
        tree.cell(
            number,
            "Subject",
            type(spelling)(str(spelling).replace("1", str(subject)))
            if isinstance(spelling, str)
            else type(spelling)(subject),
        )
    tree.cell(4, "Estimated Emotion", f" {tree.rows[4]['label'].title()} ")
    header = tree.table[0]
    extra = [1, "EP99_01", None, 5, 6, 7, None, "4", "fear"]
    tree.table += [extra, [*extra[:1], "EP99_02", *extra[2:8], "Sadness"], [None] * len(header), [None] * len(header)]
    write_xlsx(root / "notes" / "CASME2-coding-20140508.xlsx", tree.table)
    litter(root)
    return tree


def casme_with_traps(root: Path, raw: bool) -> Official:
    tree = generate(root, "casme")
    # Two samples in one file: the second one's frames join the first one's.
    first, second = next(
        (a, b)
        for a in range(9)
        for b in range(9)
        if tree.rows[a]["subject"] == tree.rows[b]["subject"] and tree.rows[a]["offset"] < tree.rows[b]["onset"] - 1
    )
    source, target = (root / tree.rows[number]["frames"] for number in (second, first))
    for path in source.iterdir():
        shutil.move(path, target / path.name)
    source.rmdir()
    name = tree.rows[first]["frames"].rsplit("/", 1)[1]
    tree.cell(second, "Filename", name)
    tree.rows[second] |= {
        "clip": f"{tree.rows[second]['subject']}/{name}-{tree.rows[second]['onset']}",
        "frames": tree.rows[first]["frames"],
    }
    if raw:
        for number, row in enumerate(tree.rows):
            section = "Section A" if row["subject"] == "sub01" else "Section B"
            new = row["frames"].replace("Cropped", f"CASME_raw/{section}")
            if (root / row["frames"]).exists():
                tree.move(number, lambda _, new=new: new)
                stem = new.rsplit("/", 1)[1]
                tree.rename_frames(number, lambda n, stem=stem: f"{stem}-{n:03d}.jpg" if n % 2 else f"{stem}-{n}.JPG")
            row["frames"] = new
    tree.cell(0, "Emotion", tree.rows[0]["label"].upper())
    tree.cell(1, "Subject", f"0{tree.table[2][0]}")
    tree.cell(2, "ApexF1", "\\")
    tree.rows[2]["apex"] = ""
    left_out = [1, "EP77_1", None, 5, 6, None, "\\", None, "4", "comtempt"]
    tree.table += [left_out, [*left_out[:9], "Happiness"], [1, "EP78_1", None, 9, 9, None, "\\", None, "4", "tense"]]
    if raw:
        halves = {
            "A": [row for row in tree.table[1:] if int(row[0]) == 1],
            "B": [r for r in tree.table[1:] if int(r[0]) > 1],
        }
        for letter, rows in halves.items():
            write_xls(root / "annotation" / f"CASME_Section{letter}.xls", [tree.table[0], *rows])
    else:
        write_xls(root / "CASME-coded-20190721.xls", tree.table)
    litter(root)
    return tree


def smic_with_traps(root: Path, raw: bool) -> Official:
    tree = generate(root, "smic")
    tree.move_all(lambda frames: f"SMIC_all_{'raw' if raw else 'cropped'}/{frames}")
    for number, row in enumerate(tree.rows):
        if row["subject"] == "s02":
            tree.move(number, lambda frames: frames.replace("/s2/", "/s02/").replace("/s2_", "/s02_"))
        if row["subject"] == "s03":
            tree.move(number, lambda frames: frames.replace("/s3_", "/s03_").replace("/micro/", "/Micro/"))
        if raw:
            tree.rename_frames(number, lambda n: f"image{n:06d}.bmp")
    prefix = "image" if raw else "reg_image"
    tree.rename_frames(0, lambda n: f"{prefix}{n}.BMP")
    tree.rename_frames(1, lambda n: f"{prefix}{n:02d}.png" if n % 2 else f"{prefix}{n}.jpg")
    top = (root / tree.rows[0]["frames"]).parents[2]
    for other in (top / "non_micro/s1_non_01", top.parents[1] / "VIS/s1/micro/negative/s1_ne_01"):
        shutil.copytree(root / tree.rows[0]["frames"], other)
    litter(root)
    return tree


PROSE = [[f"Coding of SAMM, line {number}"] for number in range(1, 14)]
"""What stands above the header of SAMM's table."""


def samm_with_traps(root: Path, raw: bool) -> Official:
    tree = generate(root, "samm")
    tree.move_all(lambda frames: frames.replace("SAMM_CROP/", "SAMM_clip/" if raw else "SAMM_CROP/SAMM_CROP/"))
    # The width of the numbers changes on the way, and there are frames before the onset and behind the offset.
    subject = tree.rows[0]["subject"]
    tree.rename_frames(0, lambda n: f"{subject}_{n:05d}.jpg" if n % 2 else f"{subject}_{n}.JPG")
    folder = root / tree.rows[1]["frames"]
    first = min(folder.iterdir())
    shutil.copy(first, folder / f"{tree.rows[1]['subject']}_{tree.rows[1]['offset'] + 1}.jpg")
    # What spreadsheet programs make of cells.
    tree.cell(1, "Subject", int(tree.rows[1]["subject"]))
    tree.cell(2, "Subject", float(tree.rows[2]["subject"]))
    tree.cell(3, "Subject", str(int(tree.rows[3]["subject"])))
    tree.cell(1, "Duration", "=F3-D3+1")
    for number, units in enumerate((4, "R12 or R14", "10A/B", None)):
        tree.cell(number, "Action Units", units)
    # An apex before the onset, and one that nobody coded.
    tree.cell(4, "Apex Frame", tree.rows[4]["onset"] - 1)
    tree.cell(5, "Apex Frame", "/")
    tree.rows[4]["apex"] = tree.rows[5]["apex"] = ""
    other = next(number for number, row in enumerate(tree.rows) if row["label"] == "other")
    tree.cell(other, "Estimated Emotion", " Others")
    # Labels that only the composite uses.
    for take, label in ((8, "Disgust"), (9, "Fear")):
        name = f"001_2_{take}"
        shutil.copytree(root / tree.rows[0]["frames"], (root / tree.rows[0]["frames"]).parent / name)
        row = list(tree.table[1])
        row[tree.table[0].index("Filename")], row[tree.table[0].index("Estimated Emotion")] = name, label
        tree.table.append(row)
    write_xlsx(root / "annotation" / "SAMM_Micro_FACS_Codes_v2.xlsx", [*PROSE, *tree.table])
    litter(root)
    return tree


WITH_TRAPS = {"casme": casme_with_traps, "casme2": casme2_with_traps, "samm": samm_with_traps, "smic": smic_with_traps}
