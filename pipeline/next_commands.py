"""What a person would type next: one or two lines in which a command ends."""

import sys
from pathlib import Path

from pipeline import paths
from pipeline.params import Params

_NO_WEIGHTS = Path("weights/none")


def wanted(quiet: bool, result: bool) -> bool:
    """Whether to say what comes next.

    Parameters
    ----------
    quiet
        The command was asked to be quiet.
    result
        What it prints is its result, which a file or another program takes where stdout is no terminal.
    """
    return not quiet and (not result or sys.stdout.isatty())


def after_use(params: Params, checked_only: bool) -> str:
    """After `use`, with the parameters that it has written, or those that are there if it only looked."""
    if checked_only:
        return "Next: the same without --check, which writes params.yaml"
    if params.flow.method == "flownet2" and Path(params.flow.weights) == _NO_WEIGHTS:
        return _lines("flow.weights in params.yaml: your file of FlowNet 2.0 (docs/flow.md)", "then: dvc repro")
    return _lines("dvc repro", "several folds at a time: python -m pipeline folds")


def after_repro(params: Params) -> str:
    """After `make repro` and `folds`, which end with the report."""
    page = paths.report(params.dataset)
    if not page.exists():
        return "Next: dvc repro"
    other = "1e-7" if params.lambda_ != 1e-7 else "1e-8"
    return _lines(
        f"open {page} in a browser",
        f"compare with another setting: dvc exp run -S lambda={other}, then dvc metrics diff --all",
    )


def after_folds_of_variants(seeds: int | None) -> str:
    """After `folds --variants`, which leaves the folds of all experiments in DVC's cache."""
    again = f" --seeds {seeds}" if seeds else ""
    return f"Next: python -m pipeline ablate{again}, which makes the experiments of these folds"


def after_ablate(first: str, last: str, seeds: int) -> str:
    """After `ablate`, whose first and last experiment have these names."""
    compare = f"dvc metrics diff --all {first} {last}"
    if seeds > 1:
        return _lines(compare, "all settings and scores: dvc exp show --only-changed")
    return _lines(compare, "how much of it the seed alone changes: python -m pipeline ablate --seeds 3")


def after_predict(params: Params, picture: Path) -> str:
    """After `predict`, which has drawn `picture`."""
    return _lines(f"open {picture}", f"how often these networks are right: {paths.report(params.dataset)}")


def _lines(first: str, second: str) -> str:
    return f"Next: {first}\n      {second}"
