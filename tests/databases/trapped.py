"""Trees of CAS(ME)³, MMEW and 4DME with every fault of the released copies."""

import shutil
from pathlib import Path

import openpyxl

from pipeline.databases.layouts import LAYOUTS
from pipeline.synthetic.generator import write_tree
from pipeline.synthetic.traps import set_traps
from tests.official import TINY

SETTINGS = TINY | {"clips": 24, "frames": (10, 12)}


def write(root: Path, layout: str) -> list[str]:
    """Write a tree; what was done to it, a sentence for each trap."""
    for _ in write_tree(root, layout=layout, **SETTINGS):
        pass
    return set_traps(root, layout)


class Copy:
    """A copy of a tree to change, and its annotation."""

    def __init__(self, tree: Path, root: Path, layout: str) -> None:
        shutil.copytree(tree, root)
        self.root = root
        self.annotation = root / LAYOUTS[layout].annotation
        self.book = openpyxl.load_workbook(self.annotation)
        self.sheet = self.book.worksheets[0]
        self.headers = [cell.value for cell in self.sheet[1]]

    def get(self, row: int, header: str):
        """A cell by the number of its row as a spreadsheet program counts it."""
        return self.sheet.cell(row, self.headers.index(header) + 1).value

    def put(self, row: int, header: str, value) -> None:
        """Change a cell."""
        self.sheet.cell(row, self.headers.index(header) + 1).value = value
        self.book.save(self.annotation)

    def row_of(self, sentences: list[str], words: str) -> int:
        """Number of the row of which a trap's sentence says `words`."""
        [sentence] = [sentence for sentence in sentences if words in sentence]
        return int(sentence.split(",")[0].removeprefix("row "))
