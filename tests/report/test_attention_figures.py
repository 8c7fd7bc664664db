"""Figures over all clips can be drawn of any network and any spread of weights."""

import numpy as np
import pytest

from pipeline.report import attention_figures, drawing
from tests.report.drawn import RNG, attention, clip, texts


def test_spatial_attention_says_what_there_is_not(tmp_path):
    region = np.zeros((40, 40), bool)
    region[5:9, 5:9] = True
    rows = [
        attention_figures.Example("one", *clip(), attention(), region),
        attention_figures.Example("two", *clip(), attention(mask=False), np.zeros((40, 40), bool)),
    ]
    figure = attention_figures.spatial_attention(rows)
    assert "no spatial attention" in texts(figure) and {"one", "two"} <= set(texts(figure))
    drawing.write(figure, tmp_path / "a.png")


@pytest.mark.parametrize(
    "weights", [RNG.dirichlet(np.ones(6), 9), np.eye(6)[[0, 1, 2]]], ids=["spread", "on one frame"]
)
def test_weights_of_any_spread_can_be_drawn(tmp_path, weights):
    drawing.write(attention_figures.temporal_attention(weights, RNG.uniform(size=weights.shape)), tmp_path / "a.svg")
