"""The letters of what is drawn: those of DejaVu Sans, and for other scripts those of a font that this machine has."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontEntry

from pipeline.errors import InputError

FONT = "DejaVu Sans"
"""Comes with matplotlib: the same letters everywhere."""

_NO_LETTERS = "Last Resort"  # matplotlib's font whose letters are boxes that name the script
_REGULAR = (400, "normal", "regular", "book")


def families(text: str) -> list[str]:
    """Return the names of the fonts that together have the characters of a text, `FONT` first."""
    return [FONT, *(entry.name for entry in _others(text))]


def missing(text: str) -> str:
    """Return the characters of a text that no font here has, sorted."""
    lacking = _lacking(text)
    for entry in _others(text):
        lacking -= _characters(entry.fname)
    return "".join(sorted(lacking))


def check(names: Iterable[str]) -> None:
    """Raise InputError where names cannot be drawn; they are listed with their characters."""
    faults = {name: lacking for name in names if (lacking := missing(name))}
    if faults:
        listed = "\n".join(f"  {name}: {' '.join(lacking)}" for name, lacking in sorted(faults.items()))
        raise InputError(
            f"expected a font with the characters of every name that figures show, found none on this machine for:\n"
            f"{listed}\nInstall one for this script. Noto has all scripts (Debian and Ubuntu: apt install "
            "fonts-noto-core fonts-noto-cjk); a font file in ~/.local/share/fonts does as well."
        )


def _others(text: str) -> Iterator[FontEntry]:
    """Fonts of this machine for the characters that `FONT` lacks, as few as come first in order of their names."""
    lacking = _lacking(text)
    for entry in _installed() if lacking else ():
        if found := lacking & _characters(entry.fname):
            yield entry
            lacking -= found
        if not lacking:
            return


def _lacking(text: str) -> set[str]:
    if text.isascii():
        return set()
    return {character for character in text if not character.isspace()} - _characters(font_manager.findfont(FONT))


@cache
def _installed() -> list[FontEntry]:
    """All fonts, the upright ones of regular weight first; also those that matplotlib's own list is too old for."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            with suppress(OSError, RuntimeError, NotImplementedError, ValueError):  # no font that matplotlib can draw
                font_manager.fontManager.addfont(path)
    return sorted(
        (entry for entry in font_manager.fontManager.ttflist if not entry.name.startswith(_NO_LETTERS)),
        key=lambda entry: (entry.style != "normal", entry.weight not in _REGULAR, entry.name, entry.fname),
    )


@cache
def _characters(file: str) -> frozenset[str]:
    """Characters that a font has."""
    try:
        return frozenset(map(chr, font_manager.get_font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
