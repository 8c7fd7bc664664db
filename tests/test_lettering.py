"""Every name can be drawn, or is refused before anything is computed; nothing is drawn as a box without a word."""

import warnings
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from pipeline import lettering
from pipeline.errors import InputError
from pipeline.frames.contact_sheet import contact_sheet
from pipeline.report import drawing, score_figures

OWN = Path(matplotlib.get_data_path())


def write_font(path, name, characters):
    """A font whose letters are squares of different sizes."""
    names = {ord(character): f"letter{number}" for number, character in enumerate(characters)}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for number, letter in enumerate(names.values(), 1):
        pen = TTGlyphPen(None)
        side = 800 * number // len(names)
        pen.moveTo((0, 0))
        for corner in ((0, side), (side, side), (side, 0)):
            pen.lineTo(corner)
        pen.closePath()
        glyphs[letter] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """A machine that has no font but matplotlib's own and those in a folder."""
    own = [entry for entry in font_manager.fontManager.ttflist if Path(entry.fname).is_relative_to(OWN)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: sorted(map(str, (tmp_path / "fonts").iterdir())))
    (tmp_path / "fonts").mkdir()
    lettering._installed.cache_clear()
    yield tmp_path / "fonts"
    lettering._installed.cache_clear()


@pytest.mark.parametrize("text", ["joy", "größe", "радость", "χαρά", "سعادة", "joy\nto you", ""])
def test_the_letters_of_matplotlib_are_enough_for_many_scripts(fonts, text):
    assert lettering.families(text) == [lettering.FONT] and lettering.missing(text) == ""


def test_a_font_is_found_for_what_they_lack_and_no_more_than_needed(fonts):
    write_font(fonts / "a.ttf", "Some", "喜悦怒")
    write_font(fonts / "b.ttf", "Same", "喜悦怒")
    write_font(fonts / "c.ttf", "Third", "기")
    assert lettering.families("joy 喜悦") == [lettering.FONT, "Same"]
    assert lettering.families("joy 喜기") == [lettering.FONT, "Same", "Third"]
    assert lettering.missing("joy 喜기") == "" and lettering.missing("怒ฮ喜ฮ") == "ฮ"


def test_a_file_that_is_no_font_is_passed_over(fonts):
    (fonts / "a.ttf").write_bytes(b"no font")
    write_font(fonts / "b.ttf", "Some", "喜")
    assert lettering.missing("喜") == ""


def test_names_without_a_font_are_refused_with_their_characters(fonts):
    lettering.check(["joy", "größe", "سعادة"])
    with pytest.raises(InputError) as error:
        lettering.check(["joy", "怒", "喜悦 a"])
    assert "\n  喜悦 a: 喜 悦\n  怒: 怒\n" in str(error.value) and "fonts-noto-cjk" in str(error.value)


def drawn(label, path):
    drawing.write(score_figures.confusion(np.eye(2, dtype=int), ["joy", label]), path)
    return path.read_bytes()


def test_a_figure_has_the_letters_of_its_labels_and_warns_of_nothing(fonts, tmp_path):
    write_font(fonts / "a.ttf", "Some", "喜悦怒")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in (".png", ".svg"):
            one, other, again = (drawn(label, tmp_path / f"{label}{suffix}") for label in ("喜", "悦", "喜"))
            assert one != other and one == again


def test_without_a_font_no_warning_tells_of_every_letter(fonts, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn("喜", tmp_path / "a.png")


def sheet(title):
    return contact_sheet([(title, [("onset 1", np.full((200, 200, 3), 99, np.uint8))])])


@pytest.mark.parametrize(("one", "other"), [("喜", "悦"), ("سعادة", "غضبان"), ("größe", "grüße"), ("$a$ ü", "a ü")])
def test_the_contact_sheet_has_the_letters_of_its_titles(fonts, one, other):
    write_font(fonts / "a.ttf", "Some", "喜悦怒")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = sheet(one), sheet(other)
    assert (first != second).any() and (first[24:] == second[24:]).all()  # the title is in the first 24 rows
    assert 5 < (first[:24] < 128).any(axis=-1).sum() < 2000


def test_a_title_of_ascii_is_drawn_as_ever():
    """A sheet of the synthetic dataset is an output of DVC, whose bytes stay."""
    found = sheet("happiness: sub01/EP01_01")[:24]
    expected = np.full_like(found, 245)
    cv2.putText(expected, "happiness: sub01/EP01_01", (8, 17), 0, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    assert (found == expected).all()
