"""A method of one's own, put into the room for the time of a test."""

import sys
from pathlib import Path

from pipeline import comparators


def add(monkeypatch, folder: Path, name: str, text: str) -> None:
    """Have `text` be the module of the method `name`, which takes the place of all others."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.delitem(sys.modules, f"{comparators.__name__}.{name}", raising=False)  # of an earlier test
    monkeypatch.setattr(comparators, "__path__", [*comparators.__path__, str(folder)])
    monkeypatch.setattr(comparators, "__file__", str(folder / "__init__.py"))


MEAN_FLOW = """
import numpy as np
from dataclasses import dataclass

READS = "flow"


@dataclass(frozen=True)
class Settings:
    factor: float = 1.0


def describe(flow, settings):
    return {}
"""
"""A module whose feature is put in place of the braces."""
