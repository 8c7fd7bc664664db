"""The colours of the flow are those of the field, and equal figures are equal bytes."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from pipeline.report import clip_figures, drawing, score_figures
from tests.report.drawn import RNG


@pytest.mark.parametrize(
    ("u", "v", "colour"),
    [
        (0, 0, (255, 255, 255)),  # rest is white
        (1, 0, (255, 0, 0)),  # right is red
        (-1, 0, (0, 209, 255)),  # left is cyan
        (0.5, 0, (255, 128, 128)),  # half as fast, half as much colour
    ],
)
def test_flow_has_the_colours_of_the_wheel(u, v, colour):
    """Colours of the benchmark's own program, whose wheel is cut into 55 whole steps where this one has no steps."""
    field = np.zeros((2, 3, 4))
    field[0], field[1] = u, v
    assert np.abs(drawing.flow_colours(field, 1.0).astype(int) - colour).max() <= 13


def test_down_is_yellow_up_is_violet_and_too_fast_is_dark():
    down, up = (drawing.flow_colours(np.array([0.0, v]).reshape(2, 1, 1), 1.0)[0, 0].astype(int) for v in (1, -1))
    assert down[0] > 200 and down[1] > 200 and down[2] < 20
    assert up[2] > 200 and 50 < up[0] < 200 and up[1] < 20
    fast = drawing.flow_colours(np.array([3.0, 0.0]).reshape(2, 1, 1), 1.0)[0, 0]
    assert tuple(fast) == (191, 0, 0)


def test_flow_of_many_frames_keeps_their_order():
    fields = RNG.normal(size=(3, 2, 5, 6))
    colours = drawing.flow_colours(fields, 2.0)
    assert colours.shape == (3, 5, 6, 3)
    for field, colour in zip(fields, colours, strict=True):
        np.testing.assert_array_equal(drawing.flow_colours(field, 2.0), colour)


def make(folder):
    drawing.write(score_figures.confusion(np.array([[3, 1], [0, 2]]), ["a", "b"]), folder / "a.svg")
    drawing.write(clip_figures.strips([("t", [np.full((9, 8, 8, 3), 80, np.uint8)])]), folder / "a.png")


MAKE = "import sys; from pathlib import Path; from tests.report.test_drawing import make; make(Path(sys.argv[1]))"


def test_equal_figures_are_equal_bytes_in_another_process_and_say_nothing_of_when(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    make(tmp_path / "one")
    command = [sys.executable, "-c", MAKE, str(tmp_path / "two")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    for name in ("a.svg", "a.png"):
        one, two = (tmp_path / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert b"<dc:date>" not in one.with_suffix(".svg").read_bytes()
    assert b"tEXt" not in (tmp_path / "one/a.png").read_bytes()


def test_a_figure_leaves_no_setting_behind():
    before = dict(matplotlib.rcParams)
    score_figures.confusion(np.eye(2, dtype=int), ["a", "b"])
    assert dict(matplotlib.rcParams) == before
