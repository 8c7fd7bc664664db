"""Measures of a batch are means over its clips, in float32."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.learning.objective import Objective, accuracy, cross_entropy


class Output(NamedTuple):
    logits: Tensor


LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
CLASSES = torch.tensor([0, 1, 2, 2])


def test_accuracy_is_the_share_of_clips_that_are_right():
    assert accuracy(Output(LOGITS), CLASSES) == 0.75


def test_cross_entropy_is_minus_the_mean_logarithm_of_the_probability_of_the_class():
    expected = -torch.log_softmax(LOGITS, dim=1)[range(4), CLASSES].mean()
    torch.testing.assert_close(cross_entropy(Output(LOGITS), CLASSES), expected)


def test_measures_are_in_float32_when_the_network_computes_in_less():
    output = Output(LOGITS.bfloat16())
    assert cross_entropy(output, CLASSES).dtype == accuracy(output, CLASSES).dtype == torch.float32
    torch.testing.assert_close(cross_entropy(output, CLASSES), cross_entropy(Output(LOGITS), CLASSES))


def test_the_columns_of_the_curve_are_the_epoch_the_loss_and_the_measures_in_their_order():
    objective = Objective(cross_entropy, {"second": accuracy, "first": cross_entropy})
    assert objective.columns == ("epoch", "loss", "second", "first")
