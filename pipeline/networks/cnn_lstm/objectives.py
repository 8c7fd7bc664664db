"""What the CNN of CNN+LSTM is trained for: five objectives on the features of five expression states.

Kim, Baddar, Ro 2016, doi:10.1145/2964284.2967247, names five: the expression's class, its spread within a class, the
expression state, the spread within a state of a class, and the continuity of the states. Each is a function here, a
mean over clips and states, so that its weight means the same at every batch size and length of the features.

Chosen here, without the paper's own formulas at hand: both classifications are cross entropies; distances are squared
and averaged over the values of a feature; means are those of the batch; nothing has a margin.

Shapes: N clips, S = 5 states, D values of a feature, K classes.
"""

import torch
from torch import Tensor
from torch.nn import functional


def class_error(logits: Tensor, classes: Tensor) -> Tensor:
    """First objective: cross entropy of the class, told from every state by itself.

    logits (N, S, K), classes int64 (N,) -> scalar.
    """
    return functional.cross_entropy(logits.flatten(0, 1), classes.repeat_interleave(logits.shape[1]))


def class_spread(features: Tensor, classes: Tensor) -> Tensor:
    """Second objective: half the mean squared distance of a feature from the mean of its class, whatever the state.

    features (N, S, D), classes int64 (N,) -> scalar; 0 where all features of a class are equal.
    """
    return _spread(features.flatten(0, 1), classes.repeat_interleave(features.shape[1]))


def state_error(logits: Tensor) -> Tensor:
    """Third objective: cross entropy of the state, (N, S, S) -> scalar; the state s stands at position s of a clip."""
    clips, states = logits.shape[:2]
    return functional.cross_entropy(logits.flatten(0, 1), torch.arange(states, device=logits.device).repeat(clips))


def state_spread(features: Tensor, classes: Tensor) -> Tensor:
    """Fourth objective: half the mean squared distance of a feature from the mean of its state in its class.

    features (N, S, D), classes int64 (N,) -> scalar; 0 where the clips of each class are equal state by state.
    """
    states = features.shape[1]
    groups = classes[:, None] * states + torch.arange(states, device=classes.device)  # (N, S)
    return _spread(features.flatten(0, 1), groups.flatten())


def state_continuity(features: Tensor) -> Tensor:
    """Fifth objective: half the mean squared distance between the features of one state and the next of a clip.

    features (N, S, D) -> scalar; 0 where a clip's features do not change.
    """
    return features.diff(dim=1).square().mean() / 2


def _spread(features: Tensor, groups: Tensor) -> Tensor:
    """Half the mean squared distance from the mean of the group: (M, D), int64 (M,) -> scalar."""
    same = (groups[:, None] == groups).to(features.dtype)  # (M, M)
    # As a matrix product, because its gradient is deterministic on a GPU; that of an indexed sum is not.
    means = (same @ features) / same.sum(dim=1, keepdim=True)  # (M, D), of each feature's group
    return (features - means).square().mean() / 2
