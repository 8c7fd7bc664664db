"""The other methods of Table 1 under one protocol: a feature per clip, and what is learnt of it inside a fold.

A module of this folder is a method, and its name the method's: a new file is a new method. A method has

- `READS`: `frames`, `flow` or `key_flow`, the flow from the onset to the apex;
- `Settings`: its constants, with their defaults;
- `describe(clip, settings)`: the feature of one clip, which knows no labels and no folds; with a third argument
  `regions` if the regions of the face may be others than its grid;
- `classify(features, labels, subjects, test, settings, class_weight)` if it learns by anything else than the
  classifier that all share (`learnt.classifier`);
- `TITLE`, how Table 1 calls it, if that is not the name of its file;
- `REMARK`, what a reader of Table 1 must know of it, such as a part of its paper that is left out; `REMARK_HEAD_KEPT`
  for what is left out only while the motion of the head stays in the clips.

No method imports another: what they share lies in `shared`, what is learnt in `learnt`. How the clips of a database and
the folds of a dataset go through a method is in `protocol`.
"""

import inspect
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import InputError

LANDMARKS = "landmarks_sha256"
"""What is noted beside features whose regions lie between landmarks: the SHA-256 of the model."""


def methods() -> tuple[str, ...]:
    """Names of all methods, sorted."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"))


def reads(name: str) -> str:
    """What a method describes: `frames`, `flow` or `key_flow`; InputError for an unknown name."""
    return str(_method(name).READS)


def title(name: str) -> str:
    """How a method is called where people read of it; InputError for an unknown name."""
    return str(getattr(_method(name), "TITLE", name))


def remark(name: str, *, landmarks: bool = False, head_kept: bool = False) -> str:
    """What a reader of a method's scores must know of it, or nothing; InputError for an unknown name.

    `landmarks`: its regions of the face, if it has some, lie between landmarks; otherwise they are a grid. `head_kept`:
    the motion of the head is still in the clips (`head_motion: keep`).
    """
    regions = "regions between landmarks" if landmarks else "regions on a grid instead of between landmarks"
    method = _method(name)
    kept = getattr(method, "REMARK_HEAD_KEPT", "") if head_kept else ""
    own = getattr(method, "REMARK", "")
    return "; ".join(filter(None, (regions if has_regions(name) else "", own, kept)))


def settings_type(name: str) -> type:
    """The class of a method's constants; InputError for an unknown name."""
    found: type = _method(name).Settings
    return found


def has_regions(name: str) -> bool:
    """Whether a method describes regions of the face that may be others than its grid."""
    return "regions" in inspect.signature(_method(name).describe).parameters


def describe(name: str, clip: np.ndarray, *, regions: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    """The feature of one clip.

    Parameters
    ----------
    name
        One of `methods()`.
    clip
        uint8 (F, H, W, 3) RGB for methods that read frames; float (T, 2, H, W), u right and v down in pixels from
        frame i to i + 1, for those that read flow; float (2, H, W) from the onset to the apex for those that read key
        flow.
    regions : int (H, W)
        For `fhofo`, `mdmo` and `sparse_mdmo`: the number of the region of every pixel, -1 outside of all; without it,
        a grid.
    settings
        Constants of the method, as in its `Settings`; what is left out has its default.

    Returns
    -------
    float32, of a shape that is the same for all clips of one size; never NaN.

    Raises
    ------
    InputError
        The method or a setting is unknown, a value is impossible, the clip is not what the method reads or is not
        finite, or the clip is too small for the settings.
    """
    method = _method(name)
    chosen = _settings(name, method, settings)
    clip = _checked(clip, name, method.READS)
    if regions is None:
        return np.asarray(method.describe(clip, chosen), np.float32)
    if not has_regions(name):
        raise InputError(f"{name} has no regions; leave them out")
    return np.asarray(method.describe(clip, chosen, regions), np.float32)


def classify(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    subjects: np.ndarray,
    test: np.ndarray,
    *,
    class_weight: str = "none",
    **settings: Any,
) -> np.ndarray:
    """Labels of a fold's test clips, by what its training clips teach.

    Parameters
    ----------
    name
        One of `methods()`.
    features : float (N, ...)
        `describe` of each training clip.
    labels, subjects : (N,)
        Of the training clips.
    test : float (M, ...)
        `describe` of each test clip; their labels are nobody's business here.
    class_weight
        `none`, or `balanced`: clips of rare classes count more.
    settings
        As of `describe`.

    Returns
    -------
    (M,) labels. If all training clips are of one class, that class; if they are all of one subject, nothing can be
    held out to choose what is to be chosen: the smallest C or the largest penalty.

    Raises
    ------
    InputError
        The method or a setting is unknown, there are no training clips, a value is not finite, or the arrays do not
        fit together.
    """
    method = _method(name)
    chosen = _settings(name, method, settings)
    features, labels, subjects, test = map(np.asarray, (features, labels, subjects, test))
    if class_weight not in ("none", "balanced"):
        raise InputError(f"class_weight: expected none or balanced, found {class_weight!r}")
    if not len(features) == len(labels) == len(subjects) or features.shape[1:] != test.shape[1:]:
        raise InputError(
            f"{name}: expected a label and a subject for every training clip, and features of one shape; found "
            f"{len(labels)} labels, {len(subjects)} subjects and features {features.shape} to train with, "
            f"{test.shape} to test"
        )
    if len(features) == 0:
        raise InputError(f"{name}: found no clips to train with; a fold needs at least two subjects")
    if not (np.isfinite(features).all() and np.isfinite(test).all()):
        raise InputError(f"{name}: expected finite features, found NaN or infinity; describe the clips again")
    if hasattr(method, "classify"):
        return np.asarray(method.classify(features, labels, subjects, test, chosen, class_weight))
    # Imported here, because describing clips needs no scikit-learn, which takes a second to load.
    from pipeline.comparators.learnt import classifier

    return classifier.classify(features, labels, subjects, test, class_weight)


def _method(name: str) -> ModuleType:
    if name not in methods():
        raise InputError(f"expected one of the comparators {', '.join(methods())}; found {name!r}")
    return import_module(f"{__name__}.{name}")


def _settings(name: str, method: ModuleType, given: dict[str, Any]) -> Any:
    """`Settings` of a method; what is wrong with the given ones is said at once."""
    try:
        # By way of JSON, in which a tuple is a list, as in params.yaml.
        return TypeAdapter(method.Settings).validate_json(json.dumps(given, default=repr))
    except ValidationError as error:
        known = ", ".join(inspect.signature(method.Settings).parameters)
        faults = [
            f"{name}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}, found {fault['input']!r}"
            for fault in error.errors()
        ]
        raise InputError("\n".join(faults) + f"\nThe settings of {name} are {known}.") from None


def _checked(clip: np.ndarray, name: str, kind: str) -> np.ndarray:
    if kind == "frames":
        if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[-1] != 3 or len(clip) < 2:
            raise InputError(
                f"{name} reads frames: expected uint8 (F, H, W, 3) RGB of at least two frames; "
                f"found {clip.dtype} {clip.shape}"
            )
        return clip
    if kind == "key_flow":
        expected, fits = "(2, H, W)", clip.ndim == 3 and len(clip) == 2
    else:
        expected, fits = "(T, 2, H, W) of at least one step", clip.ndim == 4 and clip.shape[1] == 2 and len(clip) > 0
    if not (np.issubdtype(clip.dtype, np.floating) and fits):
        raise InputError(f"{name} reads flow: expected floating point {expected}; found {clip.dtype} {clip.shape}")
    if not np.isfinite(clip).all():
        raise InputError(f"{name} reads flow: expected finite values, found NaN or infinity; extract the flow again")
    return clip.astype(np.float32)
