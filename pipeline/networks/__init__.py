"""Trained networks under one protocol: each is a folder here, and its name is the network's.

The folder's `__init__.py` says what the network is, without loading PyTorch:

- `TITLE`: its name in Table 1;
- `REMARK`: what a reader of Table 1 must know of it, or an empty text;
- `READS`: the array of a clip that it reads, `flow` (F - 1, 2, S, S) or `frames` (F, S, S, 3);
- `NEEDS_APEX`: True if it selects what it reads by the apex; False if it is left out;
- `Settings`: a dataclass of its constants and training settings, with the published values as defaults. Its block in
  params.yaml is `networks.<name>`.

The folder's `method.py` says how it computes; a large network has its architecture in a module of its own:

- `build(classes, settings, seed)`: the network with its initial values; its output has `logits` (N, K);
- `training(settings)`: `learning.training.TrainingSettings`;

and, where the defaults of `learning.network` do not suit it:

- `objective(settings)`: the loss and the measures of its curve; by default the cross entropy and the accuracy;
- `select(clip, row)`: what it reads of a clip's array, with NEEDS_APEX; otherwise it reads all of it;
- `prepare(clip, settings)`: the input tensor of what was selected; by default the same array;
- `phases(classes, settings, seed)`: several trainings, one after the other, instead of one;
- `record(settings, fold, source)`: what its checkpoint says about the training;
- `values(settings)`: the number of values by which it describes a clip, for Table 1;
- `seed(fold_seed)`: the seed of its training, instead of one derived from the fold's seed and the network's name.

No network imports another one. What they share is in `learning`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import InputError
from pipeline.learning.network import Network

if TYPE_CHECKING:  # params.yaml is checked in processes that never compute
    from torch import nn

    from pipeline.learning.training import Epoch

STANET = "stanet"
"""The method of the paper. Its settings are at the top level of params.yaml: `lambda`, `model` and `train`."""


def names() -> tuple[str, ...]:
    """Return the names of all networks, sorted."""
    return tuple(sorted(path.parent.name for path in Path(__file__).parent.glob("*/method.py")))


def network(name: str) -> Network:
    """Return a network by its name.

    Raises
    ------
    InputError
        There is no such network.
    """
    _check(name)
    return Network(name, f"{__name__}.{name}")


def settings_type(name: str) -> type:
    """Return the class of a network's settings; InputError for an unknown name."""
    from importlib import import_module

    _check(name)
    found: type = import_module(f"{__name__}.{name}").Settings
    return found


def settings(name: str, **given: Any) -> Any:
    """Return the settings of a network: the given ones, and its defaults for the others.

    Raises
    ------
    InputError
        The network or a setting is unknown, or a value is not allowed. All wrong settings are listed.
    """
    kind = settings_type(name)
    try:
        # Through JSON, in which a tuple is a list, as in params.yaml.
        return TypeAdapter(kind).validate_json(json.dumps(given, default=repr))
    except ValidationError as error:
        faults = [
            f"{name}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}, found {fault['input']!r}"
            for fault in error.errors()
        ]
        known = ", ".join(TypeAdapter(kind).json_schema()["properties"])
        raise InputError("\n".join(faults) + f"\nThe settings of {name} are {known}.") from None


def build(name: str, classes: int, seed: int = 0, **given: Any) -> "nn.Module":
    """Return an untrained network.

    Parameters
    ----------
    name
        One of `names()`.
    classes
        K, the number of classes.
    seed
        Seed of the initial values.
    given
        Settings of the network; the others have their defaults.

    Returns
    -------
    A module whose output for N clips has `logits` (N, K).

    Raises
    ------
    InputError
        The network or a setting is unknown, or a value is not allowed.
    """
    return network(name).build(classes, settings(name, **given), seed)


def fit_predict(
    name: str,
    inputs: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    classes: int,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: "Callable[[Epoch], object] | None" = None,
    prepared: bool = False,
    threads: int | None = None,
    **given: Any,
) -> np.ndarray:
    """Train a network on labelled clips and return its probabilities for others, after the last epoch.

    Parameters
    ----------
    name
        One of `names()`.
    inputs : (N, ...)
        What the network reads of each training clip, for example flow (N, T, 2, S, S) in pixels per frame.
    labels : int (N,)
        Classes of the training clips, 0 to K - 1.
    test : (M, ...)
        What the network reads of each clip to predict.
    classes
        K, the number of classes.
    seed
        Seed of the initial values and of everything that is drawn in the training.
    device
        Where to compute: `cpu`, `cuda` or `cuda:1`.
    on_epoch
        Called after every epoch.
    prepared
        `inputs` and `test` are input tensors already, as the network's `prepare` gives them.
    threads
        CPU threads, on which the last digits depend; None leaves the number as it is.
    given
        Settings of the network; the others have the published values.

    Returns
    -------
    float64 (M, K), each row with the sum 1.

    Raises
    ------
    InputError
        The network or a setting is unknown; the arrays do not fit together, hold values that are not finite, or have
        labels outside of 0 to K - 1; there is no clip to train with; or the training diverges.
    """
    import torch

    from pipeline.learning import fold

    chosen = settings(name, **given)
    inputs, labels, test = map(np.asarray, (inputs, labels, test))
    _check_arrays(name, inputs, labels, test, classes)
    method = network(name)
    stacks = [
        stack if prepared or not len(stack) else np.stack([method.prepare(clip, chosen) for clip in stack])
        for stack in (inputs, test)
    ]
    return fold.fit_predict(
        method,
        chosen,
        torch.from_numpy(np.concatenate(stacks)),
        torch.from_numpy(labels.astype(np.int64)),
        classes=classes,
        seed=seed,
        device=torch.device(device),
        threads=threads or torch.get_num_threads(),
        on_epoch=on_epoch,
    )


def _check(name: str) -> None:
    if name not in names():
        raise InputError(f"expected one of the networks {', '.join(names())}; found {name!r}")


def _check_arrays(name: str, inputs: np.ndarray, labels: np.ndarray, test: np.ndarray, classes: int) -> None:
    if not len(inputs):
        raise InputError(f"{name}: expected at least one clip to train with, found none")
    if labels.shape != (len(inputs),) or inputs.shape[1:] != test.shape[1:]:
        raise InputError(
            f"{name}: expected one label for each training clip and arrays of one shape; found labels "
            f"{labels.shape}, clips {inputs.shape} to train with and {test.shape} to predict"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"{name}: expected labels that are whole numbers from 0 to {classes - 1}, found {labels.dtype}: "
            f"{', '.join(map(str, sorted(set(labels.tolist()))[:10]))}"
        )
    if not (np.isfinite(inputs).all() and np.isfinite(test).all()):
        raise InputError(f"{name}: expected finite values, found NaN or infinity")
