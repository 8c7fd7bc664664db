"""Table 1 of the paper under one protocol: every method on the same clips and folds, compared with one of them.

A row is a method, by its predictions. Each is compared with the reference (STANet) twice: with the clip as the unit,
which takes clips of one person for independent, and with the subject as the unit, which does not. The p of either kind
are corrected for the number of rows.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import InputError
from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.significance import (
    EXACT_SUBJECTS,
    bootstrap_intervals,
    holm,
    mcnemar,
    permutation_test,
    smallest_permutation_p,
    wilson_interval,
)
from pipeline.storage import tables

COLUMNS = ("clip", "subject", "label", "predicted")
"""Of a table of predictions, text; it may have more."""

TEXT = ("method", "title", "remark", "published_source", "published_protocol")
"""Columns of the table that are text; all others are numbers."""

WHOLE = ("correct", "clips", "subjects", "seeds", "won", "lost", "values", "published_clips")
"""Columns of whole numbers, any of which may be empty."""

_LEVEL = 0.05


@dataclass(frozen=True)
class Method:
    """A row to be: one method and what it predicts."""

    name: str
    predictions: Sequence[pd.DataFrame]
    """One table, or one for each seed; columns `clip,subject,label,predicted`."""
    title: str = ""
    values: int | None = None
    """Numbers that describe a clip to the classifier; None for a network, which learns them."""
    remark: str = ""

    @property
    def label(self) -> str:
        """What people read."""
        return self.title or self.name

    @property
    def not_applicable(self) -> bool:
        """The study cannot have this method: it predicts no clip, and the remark says why."""
        return self.predictions[0].empty


def compare(reference: Method, others: Sequence[Method], classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The table of several methods.

    Parameters
    ----------
    reference
        The method that all others are compared with. With predictions of several seeds, its scores are those of the
        first, and every test is that of the seed which it speaks least for: the largest p.
    others
        One table of predictions each.
    classes
        Names of the classes; all labels that are there if it is None.

    Returns
    -------
    A row per method, the reference first; columns

    - `method`; the keys of `METRICS` as fractions, `correct`, `clips`, `subjects`;
    - `accuracy_low,accuracy_high`: 95 % interval over clips (Wilson); `<score>_subjects_low`, `<score>_subjects_high`:
      that of each score over subjects (`bootstrap_intervals`), empty for a single subject;
    - `title`, as people read it; `seeds`, `accuracy_mean`, `accuracy_smallest`, `accuracy_largest` over the seeds;
    - `won,lost`: clips that the method has right and the reference's first seed wrong, and the other way round;
    - `mcnemar_p,permutation_p` against the reference, `mcnemar_holm,permutation_holm` corrected for the number of rows;
      1 for the reference itself, which equals itself;
    - `values`: numbers per clip, empty for a network; `remark`.

    Raises
    ------
    InputError
        The tables are not for the same clips, labels and folds, or a method has no prediction for a clip.
    """
    first = checked(reference.label, reference.predictions[0])
    aligned = {
        (method.name, seed): _aligned(first, reference.label, checked(method.label, table), method.label)
        for method in (reference, *others)
        for seed, table in enumerate(method.predictions)
    }
    known = {*first["label"], *(name for table in aligned.values() for name in table["predicted"])}
    classes = list(classes or sorted(known))
    if strangers := sorted(known - set(classes)):
        raise InputError(f"expected predictions of the classes {', '.join(classes)}; found {', '.join(strangers)}")
    seeds = [_right(aligned[reference.name, seed]) for seed in range(len(reference.predictions))]
    subjects = first["subject"].to_numpy(str)
    rows = []
    for method in (reference, *others):
        table = aligned[method.name, 0]
        right = _right(table)
        rows.append(
            {
                "method": method.name,
                **_scores(table, classes),
                "title": method.label,
                **_over_seeds([_right(aligned[method.name, seed]) for seed in range(len(method.predictions))]),
                "won": int((right & ~seeds[0]).sum()),
                "lost": int((~right & seeds[0]).sum()),
                "mcnemar_p": max(mcnemar(seed, right) for seed in seeds) if method is not reference else 1.0,
                "permutation_p": max(permutation_test(seed, right, subjects) for seed in seeds)
                if method is not reference
                else 1.0,
                "values": method.values,
                "remark": method.remark,
            }
        )
    found = pd.DataFrame(rows).astype({"values": "Int64"})
    for test in ("mcnemar", "permutation"):
        corrected = [1.0, *holm(found[f"{test}_p"].to_numpy()[1:])]
        found.insert(list(found.columns).index(f"{test}_p") + 1, f"{test}_holm", corrected)
    return found


def with_not_applicable(table: pd.DataFrame, methods: Sequence[Method]) -> pd.DataFrame:
    """The table with a row for each method that the study cannot have: its scores are empty, its `remark` says why."""
    absent = [method for method in methods if method.not_applicable]
    rows = pd.DataFrame({"method": [m.name for m in absent], "title": [m.label for m in absent]})
    rows["remark"] = [method.remark for method in absent]
    return pd.concat([table, rows.reindex(columns=table.columns)], ignore_index=True) if absent else table


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that have scores."""
    return table[table["clips"].notna()]


def with_published(table: pd.DataFrame, published: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The table with what was published for each method on this dataset beside it.

    Parameters
    ----------
    table
        From `compare`.
    published
        The columns of `published.csv`, all text.
    dataset
        Whose figures.

    Returns
    -------
    The table and `published` (a fraction, empty where there is none), `published_clips`, `published_source`,
    `published_protocol`: on how many clips, by whom, and what differs; or why there is none.
    """
    theirs = published[published["dataset"] == dataset].set_index("method")
    columns = {"published": "accuracy", "published_clips": "clips"}
    found = table.copy()
    for column, origin in columns.items():
        values = pd.to_numeric(theirs[origin]).reindex(table["method"]).to_numpy(float)
        found[column] = values / 100 if column == "published" else pd.array(values, dtype="Int64")
    for column in ("source", "protocol"):
        found[f"published_{column}"] = theirs[column].reindex(table["method"]).fillna("").to_numpy()
    return found


def read(path: Path) -> pd.DataFrame:
    """The table as it was written; empty cells of text are empty."""
    columns = pd.read_csv(path, nrows=0).columns
    table = tables.read(path, numbers=[column for column in columns if column not in TEXT])
    return table.fillna({column: "" for column in TEXT if column in columns}).astype(
        {column: "Int64" for column in WHOLE if column in columns}
    )


def checked(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The four columns of a table of predictions.

    Raises
    ------
    InputError
        A column is missing, the table is empty, a clip is there twice, or a cell is empty.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{name}: expected the columns {', '.join(COLUMNS)}; found no {', '.join(missing)}")
    if table.empty:
        raise InputError(f"{name}: expected a row per clip, found none")
    if twice := sorted(set(table["clip"][table["clip"].duplicated()])):
        raise InputError(f"{name}: expected one prediction for every clip; found several for {_some(twice)}")
    for column in COLUMNS:
        if (empty := table[column].isna()).any():
            rows = _some([str(number) for number in np.flatnonzero(empty) + 2])
            raise InputError(f"{name}: expected a {column} in every row; found none in line {rows}")
    return table[list(COLUMNS)].reset_index(drop=True)


def sentences(table: pd.DataFrame) -> list[str]:
    """What a table from `compare` allows to conclude, and what it does not."""
    table = scored(table)
    reference, others = table.iloc[0], table.iloc[1:]
    clips, subjects = int(reference["clips"]), int(reference["subjects"])
    several = int(reference["seeds"]) > 1
    smallest = smallest_permutation_p(subjects)
    first = smallest * max(len(others), 1)
    found = [
        f"One clip is {100 / clips:.2f} points. An interval over clips takes them for independent draws, which those "
        f"of one person are not; the interval over subjects draws whole persons, of whom there are {subjects}."
    ]
    if several:
        spread = f"{100 * reference['accuracy_smallest']:.2f} to {100 * reference['accuracy_largest']:.2f} %"
        found.append(
            f"{reference['title']} stands for {reference['seeds']} seeds: {100 * reference['accuracy_mean']:.2f} % on "
            f"average, {spread}. Scores and intervals are those of the first; each p is the largest over the seeds."
        )
    else:
        found.append(
            f"{reference['title']} is one seed: another one moves a network by some clips, and with it every "
            "comparison. The command compare (python -m pipeline compare) takes experiments of other seeds."
        )
    found.append(
        "McNemar's test asks whether as many clips are won as lost, and takes clips for independent: its p are rather "
        "too small. The permutation test exchanges the two methods within whole subjects "
        + (f"in all 2^{subjects} ways" if subjects <= EXACT_SUBJECTS else "at random (seed 0)")
        + f"; with {subjects} subject{'s' * (subjects != 1)} its smallest two-sided p is {_p(smallest)}"
        + (", so that it can tell no two methods apart at .05, whatever they do." if smallest > _LEVEL else ".")
    )
    found.append(
        f"Holm's correction is for {len(others)} row{'s' * (len(others) != 1)}"
        + (
            f"; with it no row can be below .05 by subjects, because {len(others)} × {_p(smallest)} is "
            f"{_p(min(first, 1.0))}."
            if smallest <= _LEVEL < first
            else "."
        )
    )
    for test, unit in (("mcnemar", "clip"), ("permutation", "subject")):
        told_apart = [
            f"{row['title']} ({'better' if row['won'] > row['lost'] else 'worse'})"
            for _, row in others.iterrows()
            if row[f"{test}_holm"] < _LEVEL
        ]
        found.append(
            f"With the {unit} as the unit, told apart from {reference['title']} at .05 after the correction: "
            + (", ".join(told_apart) if told_apart else "none")
            + "."
        )
    found.append(
        "A row that is not told apart is not shown to be equally good: so many clips cannot say. Two rows other than "
        f"{reference['title']} are not compared with each other here."
    )
    return found


def as_text(table: pd.DataFrame) -> str:
    """A table from `compare` for a terminal, with what can be concluded of it."""
    several = int(table["seeds"].max()) > 1
    heads = ["", "accuracy", *(["mean", "range"] if several else []), "correct", "95 %, clips", "95 %, subjects"]
    further = [name for name in METRICS if name != "accuracy"]
    heads += [*(METRICS[name].label for name in further), "won-lost", "McNemar p", "Holm", "permutation p", "Holm"]
    lines = [heads]
    for number, (_, row) in enumerate(table.iterrows()):
        tests = [f"{row['won']}-{row['lost']}"]
        tests += [_p(row[column]) for column in ("mcnemar_p", "mcnemar_holm", "permutation_p", "permutation_holm")]
        seeds = []
        if several:
            seeds = ["", ""]
            if row["seeds"] > 1:
                spread = f"{100 * row['accuracy_smallest']:.2f} to {100 * row['accuracy_largest']:.2f}"
                seeds = [f"{100 * row['accuracy_mean']:.2f} %", spread]
        lines.append(
            [
                str(row["title"]),
                f"{100 * row['accuracy']:.2f} %",
                *seeds,
                f"{row['correct']} of {row['clips']}",
                _range(row["accuracy_low"], row["accuracy_high"]),
                _range(row["accuracy_subjects_low"], row["accuracy_subjects_high"]),
                *(f"{row[name]:.3f}" for name in further),
                *(tests if number else [""] * len(tests)),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*rows, "", *map(_remark, sentences(table)), ""])


def _remark(sentence: str) -> str:
    return textwrap.fill(sentence, 100, initial_indent="- ", subsequent_indent="  ")


def _aligned(first: pd.DataFrame, reference: str, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a table in the order of the first one; InputError that names what is not the same."""
    missing, more = set(first["clip"]) - set(table["clip"]), set(table["clip"]) - set(first["clip"])
    if missing or more:
        faults = [f"{name} lacks {len(missing)} of them: {_some(sorted(missing))}"] if missing else []
        faults += [f"{name} has {len(more)} others: {_some(sorted(more))}"] if more else []
        raise InputError(f"expected the {len(first)} clips of {reference} in all tables; {'; '.join(faults)}")
    ordered = table.set_index("clip").loc[first["clip"]].reset_index()
    for column, what in (("label", "labels"), ("subject", "folds, each of which holds the clips of one subject out")):
        differing = (ordered[column] != first[column]).to_numpy()
        if differing.any():
            clip = first["clip"][differing].iloc[0]
            theirs, ours = ordered[column][differing].iloc[0], first[column][differing].iloc[0]
            raise InputError(
                f"expected the same {what}, in all tables; {name} differs from {reference} in {differing.sum()} clips, "
                f"such as {clip}: {theirs} instead of {ours}"
            )
    return ordered


def _right(table: pd.DataFrame) -> np.ndarray:
    return (table["label"] == table["predicted"]).to_numpy(bool)


def _scores(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, float | int]:
    confusion = metrics.confusion_matrix(table["label"], table["predicted"], classes)
    scores = metrics.scores(confusion)
    correct, clips, subjects = int(np.trace(confusion)), len(table), int(table["subject"].nunique())
    low, high = wilson_interval(correct, clips)
    found: dict[str, float | int] = {**scores, "correct": correct, "clips": clips, "subjects": subjects}
    found |= {"accuracy_low": low, "accuracy_high": high}
    over_subjects: Mapping[str, tuple[float, float]] = {}
    if subjects > 1:
        over_subjects = bootstrap_intervals(table, classes)
    for name in scores:
        bounds = over_subjects.get(name, (np.nan, np.nan))
        found |= {f"{name}_subjects_low": bounds[0], f"{name}_subjects_high": bounds[1]}
    return found


def _over_seeds(seeds: Sequence[np.ndarray]) -> dict[str, float | int]:
    accuracies = [float(right.mean()) for right in seeds]
    return {
        "seeds": len(seeds),
        "accuracy_mean": sum(accuracies) / len(accuracies),
        "accuracy_smallest": min(accuracies),
        "accuracy_largest": max(accuracies),
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _range(low: float, high: float) -> str:
    return "" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f}"


def _p(value: float) -> str:
    return "<.0001" if value < 0.0001 else f"{value:.4f}".rstrip("0").rstrip(".").removeprefix("0")
