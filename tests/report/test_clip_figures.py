"""Figures of single clips show every frame in its place, with what the network makes of it."""

import numpy as np
import pytest

from pipeline.report import clip_figures, drawing
from tests.report.drawn import GRID, attention, clip, texts


def test_a_mask_is_drawn_over_the_pixels_of_its_frame():
    """Frame and mask share one place; the maximum of the mask is over the centre of its position."""
    frames, flow = clip(2)
    mask = np.zeros((2, 4, 4), np.float32)
    mask[0, 1, 2] = mask[1, 2, 1] = 1
    figure = clip_figures.clip_attention(frames, flow, attention(2)._replace(mask=mask), "title")
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
    shown = texts(clip_figures.clip_attention(frames, flow, attention(5)._replace(weights=weights), "a title"))
    assert {"1\n0.0003", "2\n0.0372", "3\n0.0778", "4\n0.0852", "5\n0.7995", "a title"} <= set(shown)


@pytest.mark.parametrize(
    ("frames", "mask", "weights"),
    [(1, True, True), (31, True, True), (10, False, True), (2, True, False), (3, False, False)],
)
def test_clips_of_any_length_and_variants_of_the_network_can_be_drawn(tmp_path, frames, mask, weights):
    figure = clip_figures.clip_attention(*clip(frames), attention(frames, mask, weights), "t", np.zeros(frames))
    drawing.write(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
