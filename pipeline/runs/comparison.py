"""The command `compare`: experiments, methods of Table 1 and files of predictions, side by side."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pandas as pd

from pipeline import paths
from pipeline.errors import InputError
from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import Method
from pipeline.params import load_params
from pipeline.runs import experiments
from pipeline.storage import tables


def run(names: Sequence[str], other_seeds: Sequence[str] = ()) -> pd.DataFrame:
    """Compare the first of several results with all others.

    Parameters
    ----------
    names
        At least two, each a file of predictions (`clip,subject,label,predicted`) or a DVC experiment on the active
        dataset.
    other_seeds
        Results of the first one with other seeds, named like it.

    Returns
    -------
    The table of `evaluation.comparison.compare`.

    Raises
    ------
    InputError
        A name is neither a file nor an experiment, is given twice, or a result is for other clips, labels or folds.
    """
    if len(names) < 2:
        raise InputError("expected at least two results to compare, the first of which all others are compared with")
    everything = [*names, *other_seeds]
    if twice := sorted({name for name in everything if everything.count(name) > 1}):
        raise InputError(f"expected every result once, found several times: {', '.join(twice)}")
    reference = Method(names[0], [_predictions(name) for name in (names[0], *other_seeds)])
    return comparison.compare(reference, [Method(name, [_predictions(name)]) for name in names[1:]])


def _predictions(name: str) -> pd.DataFrame:
    """The predictions in a file or of an experiment."""
    if Path(name).is_file():
        try:
            return tables.read(Path(name))
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise InputError(f"{name}: expected a CSV table of predictions: {error}") from error
    dataset = load_params(paths.PARAMS).dataset
    commit = _commit(name)
    text = experiments.output(paths.predictions(dataset), commit)
    if text is None:
        raise InputError(
            f"{name}: expected the experiment to have {paths.predictions(dataset)}, of the dataset of {paths.PARAMS}; "
            "found none at its commit or in DVC's cache. Was it made on another dataset?"
        )
    return tables.read(StringIO(text))


def _commit(name: str) -> str:
    """Commit of an experiment: of the one on this commit, otherwise of the only one of that name."""
    if commit := experiments.commit_of(name, experiments.head()):
        return commit
    commits = experiments.commits_of(name)
    if len(commits) == 1:
        return commits[0]
    if commits:
        raise InputError(
            f"{name}: expected one experiment of this name, found {len(commits)}, none of them on this commit. Check "
            "out the commit that it belongs to, or save its predictions to a file and name that."
        )
    raise InputError(
        f"{name}: expected a file of predictions or a DVC experiment; found neither. `dvc exp show` lists the "
        "experiments of this commit."
    )
