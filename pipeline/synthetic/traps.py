"""The faults of the released copies of CAS(ME)³, MMEW and 4DME, put into a tree that the generator wrote.

A tree with them is what a user of these databases meets: some rows cannot be used, some clips lack frames, and names
mislead.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl

from pipeline import paths
from pipeline.databases.layouts import LAYOUTS
from pipeline.synthetic.layout_writer import write_annotation

LEAST_CLIPS, LEAST_FRAMES = 14, 8
"""Fewest clips of a tree, and fewest frames of a clip, that have a place for every trap."""


@dataclass
class _Tree:
    """A tree on disk and the rows of its annotation."""

    root: Path
    layout: str
    header: list[str]
    rows: list[list[Any]]
    """As the annotation has them; row number n describes the clip n of the plan."""
    said: list[str]
    """What was done, a sentence for each trap."""

    def get(self, row: int, header: str) -> Any:
        return self.rows[row][self.header.index(header)]

    def put(self, row: int, header: str, value: Any) -> None:
        """Change a cell; where every cell is text, into text."""
        text = LAYOUTS[self.layout].as_text and value is not None
        self.rows[row][self.header.index(header)] = str(value) if text else value

    def say(self, row: int, sentence: str) -> None:
        name = f"{self.rows[row][0]}/{self.rows[row][1]}"
        self.said.append(f"row {row + 2}, {name}: {sentence}")

    def remove_frames(self, row: int, folder: Path, first: int, last: int) -> None:
        for number in range(first, last + 1):
            (folder / f"{number}.jpg").unlink()
        self.say(row, f"frames {first}-{last} are missing" if last > first else f"frame {first} is missing")


def set_traps(root: Path, layout: str) -> list[str]:
    """Put every known fault of the released copies into a tree that `write_tree` wrote.

    The known motion is removed: it would no longer be that of the frames.

    Parameters
    ----------
    root
        The tree, with at least `LEAST_CLIPS` clips of at least `LEAST_FRAMES` frames.
    layout
        `casme3`, `fourdme` or `mmew`.

    Returns
    -------
    A sentence for each trap.

    Raises
    ------
    ValueError
        The tree has too few clips, as `check` finds.
    """
    path = root / LAYOUTS[layout].annotation
    header, *rows = ([*row] for row in openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True))
    check(len(rows), LEAST_FRAMES)
    paths.truth(root).unlink()
    tree = _Tree(root, layout, list(map(str, header)), rows, [])
    TRAPPED[layout](tree)
    write_annotation(path, [tuple(row) for row in tree.rows], LAYOUTS[layout])
    return tree.said


def check(clips: int, frames: int) -> None:
    """Raise ValueError unless a tree of so many clips, the shortest of so many frames, has a place for every trap."""
    for name, found, least in (("clips", clips, LEAST_CLIPS), ("frames", frames, LEAST_FRAMES)):
        if found < least:
            raise ValueError(f"{name}: expected {least} or more, to have a place for every trap; found {found}")


def _casme3(tree: _Tree) -> None:
    def folder(row: int) -> Path:
        return Path(tree.root, "part_A", tree.get(row, "Subject"), tree.get(row, "Filename"), "color")

    def frame(row: int, header: str) -> int:
        return int(tree.get(row, header))

    _several_in_one_video(tree, folder)
    clips = iter(row for row in range(len(tree.rows)) if row not in _same_subject(tree, "Subject"))
    first = next(clips)
    onset = frame(first, "Onset")
    tree.remove_frames(first, folder(first), onset, onset + 1)
    _middle_missing(tree, next(clips), folder, ("Onset", "Apex", "Offset"), 3)
    last = next(clips)
    tree.remove_frames(last, folder(last), frame(last, "Offset"), frame(last, "Offset"))
    _middle_missing(tree, next(clips), folder, ("Onset", "Apex", "Offset"), 5)
    early, same, capital = next(clips), next(clips), next(clips)
    tree.put(early, "Apex", frame(early, "Onset") - 1)
    tree.say(early, "the apex is before the onset")
    tree.put(same, "Apex", frame(same, "Onset"))
    tree.say(same, "the apex is the onset")
    tree.put(capital, "Filename", tree.get(capital, "Filename").upper())
    tree.say(capital, "the letter of the video is a capital one, that of its folder is not")
    others = next(row for row in range(len(tree.rows)) if tree.get(row, "emotion") == "others")
    tree.put(others, "emotion", "Others")
    tree.say(others, "`others` has a capital letter")
    for row in range(len(tree.rows)):
        depth = folder(row).parent / "depth"
        if folder(row).is_dir() and not depth.exists():
            depth.mkdir()
            # 16 bits per channel, which no reader of colour frames takes.
            cv2.imwrite(str(depth / f"{tree.get(row, 'Onset')}.png"), np.full((8, 8), 900, np.uint16))
    tree.said.append("beside every folder color is a folder depth")
    person = tree.get(0, "Subject")
    (tree.root / "part_A" / person).rename(tree.root / "part_A" / person.replace("spNO", "spNo"))
    tree.said.append(f"the folder of {person} is called {person.replace('spNO', 'spNo')}")
    other = tree.root / "part_C" / "spNO.1" / "a" / "color"
    other.mkdir(parents=True)
    shutil.copy(next((tree.root / "part_A").rglob("color/*.jpg")), other / "1.jpg")
    tree.said.append("part_C has a subject of the same name")
    macro = LAYOUTS["casme3"].annotation.replace("_ME_", "_MaE_")
    write_annotation(tree.root / macro, [tuple(row) for row in tree.rows[:3]], LAYOUTS["casme3"])
    tree.said.append("the table of the macro-expressions has the same columns")
    for onset, apex, offset in ((3647, 2668, 2694), (1812, 1820, 0)):
        tree.rows.append([*tree.rows[early][:2], str(onset), str(apex), str(offset), *tree.rows[early][5:]])
        tree.say(len(tree.rows) - 1, f"onset {onset}, apex {apex}, offset {offset} are impossible")


def _several_in_one_video(tree: _Tree, folder: Callable[[int], Path]) -> None:
    """Move the frames of a clip to those of another one of the same subject, behind them."""
    first, second = _same_subject(tree, "Subject")
    source, target = folder(second), folder(first)
    shift = int(tree.get(first, "Offset")) + 12 - int(tree.get(second, "Onset"))
    for file in source.iterdir():
        file.rename(target / f"{int(file.stem) + shift}.jpg")
    shutil.rmtree(source.parent)
    for header in ("Onset", "Apex", "Offset"):
        tree.put(second, header, int(tree.get(second, header)) + shift)
    tree.put(second, "Filename", tree.get(first, "Filename"))
    tree.say(second, f"the video has another micro-expression, that of row {first + 2}")


def _same_subject(tree: _Tree, header: str) -> tuple[int, int]:
    """Return the last two rows of the first subject who has two; the generator sorts rows by subject."""
    people = [tree.get(row, header) for row in range(len(tree.rows))]
    second = max(row for row in range(len(people)) if people[row] == next(p for p in people if people.count(p) > 1))
    return second - 1, second


def _middle_missing(
    tree: _Tree, row: int, folder: Callable[[int], Path], headers: tuple[str, str, str], count: int
) -> None:
    """Remove frames from the middle of a clip, the apex among them."""
    onset, apex, offset = headers
    middle = (int(tree.get(row, onset)) + int(tree.get(row, offset))) // 2
    tree.put(row, apex, middle)
    tree.remove_frames(row, folder(row), middle - count // 2, middle + count // 2)


def _mmew(tree: _Tree) -> None:
    def folder(row: int) -> Path:
        return Path(tree.root, "Micro_Expression", tree.get(row, "Estimated Emotion"), tree.get(row, "Filename"))

    _middle_missing(tree, 0, folder, ("OnsetFrame", "ApexFrame", "OffsetFrame"), 3)
    tree.put(1, "OffsetFrame", 0)
    tree.put(1, "ApexFrame", 0)
    tree.say(1, "apex and offset are 0")
    tree.put(2, "OffsetFrame", tree.get(2, "OffsetFrame") + 40)
    tree.say(2, "the offset is 40 frames behind the last frame")
    tree.put(3, "ApexFrame", None)
    tree.put(3, "remarks", "apex not found")
    tree.say(3, "the apex is empty")
    tree.put(4, "ApexFrame", tree.get(4, "OffsetFrame") + 3)
    tree.say(4, "the apex is behind the offset")
    (tree.root / "Micro_Expression" / "others").rename(tree.root / "Micro_Expression" / "repression")
    tree.said.append("the folder of `others` is called `repression`")
    clip = next((tree.root / "Micro_Expression").rglob("1.jpg")).parent
    macro = tree.root / "Macro_Expression" / "S01" / "anger" / f"{clip.name}.jpg"
    macro.parent.mkdir(parents=True)
    shutil.copy(clip / "1.jpg", macro)
    shutil.copytree(clip, tree.root / "Macro_Expression" / "S01" / "disgust" / clip.name)
    tree.said.append("a macro-expression has the name of a clip")


def _fourdme(tree: _Tree) -> None:
    def folder(row: int) -> Path:
        return Path(tree.root, "gray_micro", tree.get(row, "sub_ID"), tree.get(row, "fold_name"))

    _middle_missing(tree, 0, folder, ("Onset", "Apex", "Offset"), 3)
    for row, emotions in ((1, "Surprise+Positive"), (2, "Positive+Surprise"), (3, "Repression+Negative")):
        tree.put(row, "Emotion", emotions)
        for emotion in ("Positive", "Negative", "Surprise", "Repression", "Others"):
            tree.put(row, emotion, int(emotion in emotions.split("+")))
        tree.say(row, f"the emotions are {emotions}")
    first = next(row for row in range(4, 100) if tree.get(row, "Emotion") != tree.get(row + 1, "Emotion"))
    behind = tree.header.index("AUs")
    one, other = tree.rows[first], tree.rows[first + 1]
    one[behind:], other[behind:] = other[behind:], one[behind:]
    tree.say(first, "the columns behind the offset are those of the next row")
    person = tree.get(0, "sub_ID")
    rows = [row for row in range(len(tree.rows)) if tree.get(row, "sub_ID") == person]
    for row in rows:
        session = f"{person}_{'1st' if row < (rows[0] + rows[-1] + 1) / 2 else '2nd'}"
        moved = tree.root / "gray_micro" / session / tree.get(row, "fold_name")
        moved.parent.mkdir(exist_ok=True)
        folder(row).rename(moved)
        tree.put(row, "sub_ID", session)
    (tree.root / "gray_micro" / person).rmdir()
    tree.said.append(f"{person} was filmed in two sessions, {person}_1st and {person}_2nd")
    shutil.copytree(folder(0).parent, tree.root / "rgb_micro" / folder(0).parent.name)
    tree.said.append("some clips exist in colour, too")


TRAPPED: dict[str, Callable[[_Tree], None]] = {"casme3": _casme3, "fourdme": _fourdme, "mmew": _mmew}
"""What puts the traps of a layout into a tree, for the layouts whose copies have any."""
