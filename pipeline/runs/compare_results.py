"""The command `compare`: experiments, methods of Table 1 and files of predictions, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

from pipeline import paths
from pipeline.databases.profiles import PROFILES
from pipeline.errors import InputError
from pipeline.evaluation import comparison, metrics
from pipeline.evaluation.comparison import Method
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.prediction_files import part_of
from pipeline.params import load_params
from pipeline.runs import experiments
from pipeline.storage import tables


@dataclass(frozen=True)
class Compared:
    """What the command says."""

    table: pd.DataFrame
    """A row per result, from `evaluation.comparison.compare`."""
    parts: pd.DataFrame
    """The same predictions, restricted to the clips of one database: columns `method,part,clips` and the keys of
    `METRICS`, a row per database and result, in the order of `table`. Empty where there is one database. Of several
    seeds, the first."""


def run(names: Sequence[str], other_seeds: Sequence[str] = ()) -> Compared:
    """Compare the first of several results with all others.

    Parameters
    ----------
    names
        At least two, each a file of predictions (`clip,subject,label,predicted`) or a DVC experiment on the active
        dataset.
    other_seeds
        Results of the first one with other seeds, named like it.

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
    others = [Method(name, [_predictions(name)]) for name in names[1:]]
    return Compared(comparison.compare(reference, others), _parts([reference, *others]))


def _parts(methods: Sequence[Method]) -> pd.DataFrame:
    """Scores of each database, as in the parts.csv of a study; the tables are known to be about the same clips."""
    tables = {method.name: method.predictions[0] for method in methods}
    classes = sorted({label for table in tables.values() for key in ("label", "predicted") for label in table[key]})
    scores = []
    for name, table in tables.items():
        databases = table["subject"].map(lambda subject: part_of(subject, PROFILES))
        if (databases == "").any():  # of one database, whatever some of its subjects are called
            break
        parts = metrics.per_part(table, databases, classes)
        scores.append(parts[parts["part"] != "full"].assign(method=name))
    columns = ["method", "part", "clips", *METRICS]
    return pd.concat(scores, ignore_index=True)[columns] if scores else pd.DataFrame(columns=columns)


def as_text(found: Compared) -> str:
    """Everything for a terminal."""
    text = comparison.as_text(found.table)
    if found.parts.empty:
        return text
    further = [name for name in METRICS if name != "accuracy"]
    lines = ["", "The parts: the same predictions, of the clips of one database only; nothing was trained for them."]
    for part, rows in found.parts.groupby("part"):
        head = f"{part}, {rows['clips'].iloc[0]} clips"
        width = max(len(head), *(len(name) + 2 for name in rows["method"]))
        heads = (f"{METRICS[name].label:>5}" for name in further)
        lines += ["", "  ".join([f"{head:<{width}}", "accuracy", *heads])]
        for row in rows.to_dict("records"):
            scores = (f"{row[name]:{max(5, len(METRICS[name].label))}.3f}" for name in further)
            lines.append("  ".join([f"{'  ' + row['method']:<{width}}", f"{100 * row['accuracy']:6.2f} %", *scores]))
    return text + "\n".join(lines) + "\n"


def as_csv(found: Compared) -> str:
    """The table, and in more columns the scores of each part, such as `samm_uf1`; fractions in full precision."""
    table = found.table
    for part, rows in found.parts.groupby("part"):
        scores = rows.set_index("method")[["clips", *METRICS]]
        table = table.join(scores.add_prefix(f"{part}_"), on="method")
    return table.to_csv(index=False)


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
