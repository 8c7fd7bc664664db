"""The command `score`: what anybody's predictions are worth, and how far usual mistakes would be off.

Counts are summed over all folds before anything is divided, as MEGC 2019 does: See et al.,
doi:10.1109/FG.2019.8756611.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.databases import megc2019
from pipeline.databases.profiles import PROFILES, THREE
from pipeline.errors import InputError
from pipeline.evaluation import metrics, significance
from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.prediction_files import NAMING, Headers, Predictions, name_of, read
from pipeline.evaluation.significance import Interval
from pipeline.storage import tables

_KEY = ["part", "subject", "clip"]
_NAMED = 10  # clips in a message


@dataclass(frozen=True)
class PartScore:
    """Scores of all predictions of a file, or of those for one database."""

    part: str
    """`full`, or the name of a database."""
    clips: int
    subjects: int
    scores: dict[str, float]
    """By the keys of `METRICS`, fractions."""
    over_clips: dict[str, Interval]
    """95 % intervals: Wilson's for the accuracy, from drawing clips for the others."""
    over_subjects: dict[str, Interval]
    """95 % intervals from drawing subjects with all of their clips; empty with one subject."""


@dataclass(frozen=True)
class Scored:
    """What is said of one file."""

    file: str
    classes: list[str]
    confusion: list[list[int]]
    """Actual class in rows."""
    parts: list[PartScore]
    recipes: dict[str, dict[str, float]]
    """What other ways to put folds together would give, by what they do and by metric."""


@dataclass(frozen=True)
class Paired:
    """Two files, clip by clip."""

    differences: dict[str, float]
    """Second minus first, by metric."""
    only_first: int
    """Clips that only the first has right."""
    only_second: int
    mcnemar: float
    """p with the clip as unit."""
    permutation: float
    """p with the subject as unit."""
    corrected: list[float]
    """Both p after Holm's correction."""


@dataclass(frozen=True)
class Result:
    """All that the command says."""

    files: list[Scored]
    paired: Paired | None


def score(paths: Sequence[Path], headers: Headers, against: str | None = None) -> Result:
    """Score one or two files of predictions.

    Parameters
    ----------
    paths
        One file, or two for the same clips.
    headers
        Names of the columns, for tables that are not this pipeline's.
    against
        `megc2019` for the official list, or a clips.csv: which clips there must be.

    Raises
    ------
    InputError
        A file cannot be read, has a clip twice, lacks clips or has others, or says another truth than the other one.
    """
    files = [read(path, headers, tuple(PROFILES), megc2019.DATABASES) for path in paths]
    for file in files:
        if not file.has_ids and (against is not None or len(files) == 2):
            raise InputError(
                f"{file.source}: cannot be checked: no clip ids, so that nobody can say which clips these are. Write "
                "`clip truth predicted` in every line, or score the file by itself"
            )
    if against == megc2019.NAME or any(file.is_log for file in files):
        files = [_with_names(file) for file in files]
    for file in files:
        if against == megc2019.NAME:
            _check_official(file)
        elif against is not None:
            _check_clips(file, Path(against), headers)
    if len(files) == 2:
        _check_same(files[0], files[1])
    classes = _classes(files)
    paired = _paired(files[0], files[1], classes) if len(files) == 2 else None
    return Result([_scored(file, classes) for file in files], paired)


def _with_names(file: Predictions) -> Predictions:
    """The classes of the composite by their names, where a file has them as 0, 1 and 2."""
    names = {str(number): name for number, name in enumerate(THREE)}
    table = file.table.assign(**{key: file.table[key].replace(names) for key in ("label", "predicted")})
    if strangers := sorted((set(table["label"]) | set(table["predicted"])) - set(THREE)):
        raise InputError(
            f"{file.source}: expected the classes 0, 1, 2 or {', '.join(THREE)}; found {', '.join(strangers)}"
        )
    return dataclasses.replace(file, table=table, classes=THREE)


def _check_official(file: Predictions) -> None:
    """Compare clips and truths with the official list."""
    table = file.table
    if not (table["part"] != "").all():
        raise InputError(
            f"{file.source}: expected the database of every clip, found none. Say which column has it (--part COLUMN), "
            f"or begin the subjects with it ({megc2019.DATABASES[0]}-sub01)"
        )
    listed = megc2019.official()
    clips = pd.DataFrame(
        {"clip": table.apply(name_of, axis=1), "label": table["label"]},
    )
    faults = megc2019.differences(clips, {}, listed).sentences()
    _refuse(file.source, megc2019.NAME, faults, _other_names(table) if faults else ())


def _other_names(table: pd.DataFrame) -> Iterator[str]:
    """What names look like that are not of the form that the official list has, one sentence for each database."""
    for part, naming in NAMING.items():
        rows = table[table["part"] == part]
        subject = re.compile(rf"{naming.subject}\d{{{naming.digits}}}")
        odd = [
            name_of(row)
            for _, row in rows.iterrows()
            if not (subject.fullmatch(row["subject"]) and naming.clip.fullmatch(row["clip"]))
        ]
        if odd:
            yield (
                f"{len(odd)} of {len(rows)} clips of {part} have no name as in the list, such as {naming.example}; "
                f"found {odd[0]}. Rename them, or name the right columns (--clip, --subject)."
            )
    if strangers := sorted(set(table["part"]) - set(NAMING)):
        yield f"Databases in the list: {', '.join(NAMING)}; found {', '.join(strangers)}."


def _check_clips(file: Predictions, path: Path, headers: Headers) -> None:
    """Compare clips and truths with a clips.csv."""
    if not path.is_file():
        raise InputError(f"--against: expected {megc2019.NAME} or a clips.csv, found no file {path}")
    expected = tables.read(path)
    if lacking := [name for name in ("clip", "subject", "label") if name not in expected]:
        raise InputError(f"{path}: expected the columns of clips.csv, found no {', '.join(lacking)}")
    several = "database" in expected and expected["database"].nunique() > 1
    known: dict[str, str] = {}
    for row in expected.to_dict("records"):
        subject, clip, part = str(row["subject"]), str(row["clip"]), str(row["database"]) if several else ""
        subject, clip = (name.removeprefix(f"{part}-") for name in (subject, clip))
        name = (f"{part}-" if part else "") + f"{subject}/{clip.removeprefix(f'{subject}/')}"
        known[name] = str(row["label"])
    found = dict(zip(file.table.apply(name_of, axis=1), file.table["label"], strict=True))
    faults = [f"{clip}: not in {path}" for clip in found if clip not in known]
    faults += [f"{clip}: missing" for clip in known if clip not in found]
    faults += [
        f"{clip}: truth {label}, {known[clip]} in {path}"
        for clip, label in found.items()
        if clip in known and known[clip] != label
    ]
    _refuse(file.source, str(path), faults)


def _refuse(source: Path, expected: str, faults: Sequence[str], hints: Iterable[str] = ()) -> None:
    if faults:
        more = f"\n  and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise InputError(
            f"{source}: expected the clips of {expected}, found {len(faults)} "
            f"difference{'s' * (len(faults) > 1)}:\n"
            + "\n".join(f"  {fault}" for fault in faults[:_NAMED])
            + more
            + "".join(f"\n{hint}" for hint in hints)
        )


def _check_same(first: Predictions, second: Predictions) -> None:
    """Raise InputError unless two files are about the same clips with the same truths."""
    both = first.table.merge(second.table, on=_KEY, how="outer", suffixes=("", "_second"), indicator="where")
    faults = [
        f"{name_of(row)}: only in {first.source if row['where'] == 'left_only' else second.source}"
        for _, row in both[both["where"] != "both"].iterrows()
    ]
    differing = both[(both["where"] == "both") & (both["label"] != both["label_second"])]
    faults += [
        f"{name_of(row)}: truth {row['label']} in {first.source}, {row['label_second']} in {second.source}"
        for _, row in differing.iterrows()
    ]
    _refuse(second.source, str(first.source), faults)


def _classes(files: Sequence[Predictions]) -> list[str]:
    """All classes that occur: in the order that a file tells, else that of the composite, else that of their names."""
    found = {label for file in files for key in ("label", "predicted") for label in file.table[key]}
    for order in (*(file.classes for file in files), THREE):
        if found <= set(order):
            return list(order)
    return sorted(found)


def _scored(file: Predictions, classes: list[str]) -> Scored:
    table = file.table
    names = sorted(table["part"].unique())
    parts = [_part("full", table, classes)]
    if len(names) > 1:
        parts += [_part(name, table[table["part"] == name], classes) for name in names]
    matrix = metrics.confusion_matrix(table["label"], table["predicted"], classes)
    return Scored(str(file.source), classes, matrix.tolist(), parts, _recipes(table, classes))


def _part(name: str, table: pd.DataFrame, classes: list[str]) -> PartScore:
    matrix = metrics.confusion_matrix(table["label"], table["predicted"], classes)
    persons = _persons(table)
    clips = table.assign(subject=[str(number) for number in range(len(table))])
    over_clips = significance.bootstrap_intervals(clips, classes) if len(table) > 1 else {}
    over_clips["accuracy"] = significance.wilson_interval(int(np.trace(matrix)), len(table))
    several = persons.nunique() > 1
    over_subjects = significance.bootstrap_intervals(table.assign(subject=persons), classes) if several else {}
    return PartScore(name, len(table), persons.nunique(), metrics.scores(matrix), over_clips, over_subjects)


def _persons(table: pd.DataFrame) -> "pd.Series[str]":
    """Who is seen in each row: SAMM's 006 and CASME II's sub06 are two people, and so are two subjects called 1."""
    return table["part"] + "-" + table["subject"]


def _recipes(table: pd.DataFrame, classes: list[str]) -> dict[str, dict[str, float]]:
    """Scores as circulating scorers put folds together: none of them is the score of the predictions."""
    folds = np.stack(
        [
            metrics.confusion_matrix(fold["label"], fold["predicted"], classes)
            for _, fold in table.groupby(_persons(table), sort=False)
        ]
    )  # (S, K, K), in the order of the file
    running = np.cumsum(folds, axis=0)
    used = sorted(set(table["label"]))
    present = [classes.index(label) for label in used]

    def mean(matrices: np.ndarray, score: Callable[[np.ndarray], float]) -> float:
        return float(np.mean([score(matrix) for matrix in matrices]))

    def filled(absent: float) -> dict[str, float]:
        shares = np.array([_per_class(matrix, absent)[:, present].mean(axis=1) for matrix in folds])
        return {"uf1": float(shares[:, 0].mean()), "uar": float(shares[:, 1].mean())}

    found = {
        "mean over folds": {name: mean(folds, metric.score) for name, metric in METRICS.items()},
        "mean over folds, absent classes counted as 0": filled(0.0),
        "mean over folds, absent classes counted as 1": filled(1.0),
        "mean of the running scores after each fold": {
            name: mean(running, metric.score) for name, metric in METRICS.items()
        },
    }
    for label in used if len(used) > 2 else []:
        kept = table[(table["label"] != label) & (table["predicted"] != label)]
        if len(kept):
            matrix = metrics.confusion_matrix(kept["label"], kept["predicted"], classes)
            found[f"without the clips that are or were called {label}"] = metrics.scores(matrix)
    return found


def _per_class(matrix: np.ndarray, absent: float) -> np.ndarray:
    """F1 and recall of every class, (2, K); `absent` where a class has no clip."""
    actual, predicted, hits = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    shares = np.stack([2 * hits / np.maximum(actual + predicted, 1), hits / np.maximum(actual, 1)])
    return np.where(actual > 0, shares, absent)


def _paired(first: Predictions, second: Predictions, classes: list[str]) -> Paired:
    both = first.table.merge(second.table, on=_KEY, suffixes=("", "_second"), validate="one_to_one")
    one = (both["label"] == both["predicted"]).to_numpy()
    other = (both["label"] == both["predicted_second"]).to_numpy()
    scores = [
        metrics.scores(metrics.confusion_matrix(both["label"], both[key], classes))
        for key in ("predicted", "predicted_second")
    ]
    clipwise = significance.mcnemar(one, other)
    subjectwise = significance.permutation_test(one, other, _persons(both))
    return Paired(
        {name: scores[1][name] - scores[0][name] for name in METRICS},
        int((one & ~other).sum()),
        int((other & ~one).sum()),
        clipwise,
        subjectwise,
        significance.holm([clipwise, subjectwise]),
    )


def as_json(result: Result) -> str:
    """Everything as JSON, scores as fractions in full precision."""
    return json.dumps(asdict(result), indent=2) + "\n"


def as_csv(result: Result) -> str:
    """A row per file and part: scores and their intervals, as fractions in full precision."""
    rows = []
    for file in result.files:
        for part in file.parts:
            row: dict[str, Any] = {"file": file.file, "part": part.part, "clips": part.clips, "subjects": part.subjects}
            for name, value in part.scores.items():
                row[name] = value
                for unit, intervals in (("clips", part.over_clips), ("subjects", part.over_subjects)):
                    low, high = intervals.get(name, (None, None))
                    row |= {f"{name}_low_{unit}": low, f"{name}_high_{unit}": high}
            rows.append(row)
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def as_text(result: Result) -> str:
    """Everything for a terminal."""
    lines: list[str] = []
    for file in result.files:
        lines += [file.file, ""]
        for part in file.parts:
            lines.append(f"{part.part}: {_count(part.clips, 'clip')} of {_count(part.subjects, 'subject')}")
            for name, value in part.scores.items():
                lines.append(
                    f"  {METRICS[name].label:<9}{value:.4f}"
                    + _interval(part.over_clips.get(name), "clips")
                    + _interval(part.over_subjects.get(name), "subjects")
                )
        lines += ["", *_confusion(file), "", "Other recipes in circulation, which are not the score:"]
        pooled = file.parts[0].scores
        for recipe, values in file.recipes.items():
            shown = ", ".join(
                f"{METRICS[name].label} {value:.4f} ({value - pooled[name]:+.4f})" for name, value in values.items()
            )
            lines.append(f"  {recipe}: {shown}")
        lines += ["  best epoch of each subject: cannot be seen in predictions", ""]
    if result.paired is not None:
        lines += _paired_lines(result.paired)
    return "\n".join(lines).rstrip() + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _interval(bounds: Interval | None, unit: str) -> str:
    return "" if bounds is None else f"   {bounds[0]:.4f} to {bounds[1]:.4f} (95 %, over {unit})"


def _confusion(file: Scored) -> list[str]:
    width = max(8, *(len(name) + 2 for name in file.classes))
    rows = [
        ["", *file.classes],
        *([name, *map(str, row)] for name, row in zip(file.classes, file.confusion, strict=True)),
    ]
    return ["actual (rows) and predicted (columns):", *("".join(f"{cell:>{width}}" for cell in row) for row in rows)]


def _paired_lines(paired: Paired) -> list[str]:
    differences = ", ".join(f"{METRICS[name].label} {value:+.4f}" for name, value in paired.differences.items())
    return [
        f"second minus first: {differences}",
        f"  only the first right: {_count(paired.only_first, 'clip')}; only the second: {paired.only_second}",
        f"  exact McNemar test, clips as units: p = {paired.mcnemar:.4f}",
        f"  paired permutation test, subjects as units: p = {paired.permutation:.4f}",
        f"  both after Holm's correction: {paired.corrected[0]:.4f} and {paired.corrected[1]:.4f}",
        "  Clips of one subject are not independent: where the two tests disagree, believe the second.",
    ]
