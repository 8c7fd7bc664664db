"""Pictures say what the numbers say, in the right place, with the same bytes every time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.report import figures
from pipeline.stanet.introspection import Attention, Grid

GRID = Grid(size=40, crop=32, first=3.0, step=8)
RNG = np.random.default_rng(0)


def attention(frames=5, mask=True, weights=True):
    maps = RNG.uniform(size=(frames, 4, 4)).astype(np.float32)
    return Attention(
        np.ones(2) / 2,
        maps,
        maps if mask else None,
        maps,
        np.full(frames, 1 / frames) if weights else None,
        GRID,
        maps if mask else None,
    )


def clip(frames=5):
    return RNG.integers(0, 255, (frames + 1, 40, 40, 3)).astype(np.uint8), RNG.normal(size=(frames, 2, 40, 40)) / 10


def texts(figure):
    return [text.get_text() for text in figure.findobj(match=Text)]


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
    assert np.abs(figures.flow_colours(field, 1.0).astype(int) - colour).max() <= 13


def test_down_is_yellow_up_is_violet_and_too_fast_is_dark():
    down, up = (figures.flow_colours(np.array([0.0, v]).reshape(2, 1, 1), 1.0)[0, 0].astype(int) for v in (1, -1))
    assert down[0] > 200 and down[1] > 200 and down[2] < 20
    assert up[2] > 200 and 50 < up[0] < 200 and up[1] < 20
    fast = figures.flow_colours(np.array([3.0, 0.0]).reshape(2, 1, 1), 1.0)[0, 0]
    assert tuple(fast) == (191, 0, 0)


def test_flow_of_many_frames_keeps_their_order():
    fields = RNG.normal(size=(3, 2, 5, 6))
    colours = figures.flow_colours(fields, 2.0)
    assert colours.shape == (3, 5, 6, 3)
    for field, colour in zip(fields, colours, strict=True):
        np.testing.assert_array_equal(figures.flow_colours(field, 2.0), colour)


def test_the_confusion_matrix_shows_shares_of_rows_and_counts():
    figure = figures.confusion(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), ["disgust", "surprise", "tense"])
    shown = texts(figure)
    assert {"75.0 %", "25.0 %", "100.0 %", "3", "1", "2"} <= set(shown)
    assert {"disgust\n(4 clips)", "surprise\n(2 clips)", "tense\n(0 clips)"} <= set(shown)


def test_a_mask_is_drawn_over_the_pixels_of_its_frame():
    """Frame and mask share one place; the maximum of the mask is over the centre of its position."""
    frames, flow = clip(2)
    mask = np.zeros((2, 4, 4), np.float32)
    mask[0, 1, 2] = mask[1, 2, 1] = 1
    figure = figures.clip_attention(frames, flow, attention(2)._replace(mask=mask), "title")
    [axes] = [axes for axes in figure.axes if axes.patches and axes.images]
    pictures = list(zip(frames[:2], axes.images[:2], axes.images[2:], axes.patches, [(1, 2), (2, 1)], strict=True))
    for frame, face, over, border, (row, column) in pictures:
        np.testing.assert_array_equal(np.asarray(face.get_array())[..., 0], np.rint(frame.mean(axis=-1)))
        left, right, bottom, top = face.get_extent()
        assert list(over.get_extent()) == [left, right, bottom, top] and face.origin == over.origin
        assert (right - left, bottom, top) == (40, 39.5, -0.5)  # one unit is a pixel
        peak = np.unravel_index(np.nanargmax(np.ma.filled(over.get_array(), np.nan)), (40, 40))
        assert peak == (GRID.centres(4)[row], GRID.centres(4)[column])
        assert border.get_bbox().bounds == (left + 4, 3.5, 32, 32)
    assert pictures[0][1].get_extent()[1] < pictures[1][1].get_extent()[0]  # side by side


def test_every_flow_frame_has_its_number_and_its_weight():
    weights = np.array([0.0003, 0.0372, 0.0778, 0.0852, 0.7995])
    frames, flow = clip(5)
    shown = texts(figures.clip_attention(frames, flow, attention(5)._replace(weights=weights), "a title"))
    assert {"1\n0.0003", "2\n0.0372", "3\n0.0778", "4\n0.0852", "5\n0.7995", "a title"} <= set(shown)


@pytest.mark.parametrize(
    ("frames", "mask", "weights"),
    [(1, True, True), (31, True, True), (10, False, True), (2, True, False), (3, False, False)],
)
def test_clips_of_any_length_and_variants_of_the_network_can_be_drawn(tmp_path, frames, mask, weights):
    figure = figures.clip_attention(*clip(frames), attention(frames, mask, weights), "t", np.zeros(frames))
    figures.write(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_spatial_attention_says_what_there_is_not(tmp_path):
    region = np.zeros((40, 40), bool)
    region[5:9, 5:9] = True
    rows = [
        figures.Example("one", *clip(), attention(), region),
        figures.Example("two", *clip(), attention(mask=False), np.zeros((40, 40), bool)),
    ]
    figure = figures.spatial_attention(rows)
    assert "no spatial attention" in texts(figure) and {"one", "two"} <= set(texts(figure))
    figures.write(figure, tmp_path / "a.png")


def test_subjects_are_shown_with_their_clips():
    table = pd.DataFrame({"subject": ["s1", "s2"], "clips": [8, 1], "correct": [6, 0], "accuracy": [0.75, 0.0]})
    shown = texts(figures.accuracy_per_subject(table, 6 / 9))
    assert {"s1", "s2", "6 of 8 clips", "0 of 1 clips", "all clips: 66.7 %"} <= set(shown)


def test_the_comparison_names_every_method_with_its_accuracy():
    shown = texts(figures.comparison(6, 8, ("always tense", 0.5), [("HIGO", 67.21)]))
    assert {"this study", "75.00", "always tense", "50.00", "HIGO", "67.21"} <= set(shown)


@pytest.mark.parametrize("folds", [1, 5, 26])
def test_curves_of_few_folds_are_named_those_of_many_are_not(tmp_path, folds):
    curve = pd.DataFrame({"epoch": [1, 2], "cross_entropy": [1.0, 0.5], "accuracy": [0.2, 0.7], "mask_l1": [9.0, 8.0]})
    figure = figures.training_curves({f"sub{n:02d}": curve for n in range(folds)})
    assert ("without sub00" in texts(figure)) == (folds <= 8)
    figures.write(figure, tmp_path / "a.svg")


@pytest.mark.parametrize(
    "weights", [RNG.dirichlet(np.ones(6), 9), np.eye(6)[[0, 1, 2]]], ids=["spread", "on one frame"]
)
def test_weights_of_any_spread_can_be_drawn(tmp_path, weights):
    figures.write(figures.temporal_attention(weights, RNG.uniform(size=weights.shape)), tmp_path / "a.svg")


MAKE = """
import sys, numpy as np, pandas as pd
from pathlib import Path
from pipeline.report import figures
figures.write(figures.confusion(np.array([[3, 1], [0, 2]]), ["a", "b"]), Path(sys.argv[1]) / "a.svg")
figures.write(figures.strips([("t", [np.full((9, 8, 8, 3), 80, np.uint8)])]), Path(sys.argv[1]) / "a.png")
"""


def test_equal_figures_are_equal_bytes_in_another_process_and_say_nothing_of_when(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", MAKE, str(tmp_path / name)]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    for name in ("a.svg", "a.png"):
        one, two = (tmp_path / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert b"<dc:date>" not in one.with_suffix(".svg").read_bytes()
    assert b"tEXt" not in (tmp_path / "one/a.png").read_bytes()


def test_a_figure_leaves_no_setting_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.confusion(np.eye(2, dtype=int), ["a", "b"])
    assert dict(matplotlib.rcParams) == before
