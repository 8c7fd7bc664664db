"""Table 2 of the paper, with what it leaves out: how sure each figure and each step is.

A row is a variant of the network, trained once per seed; each row is compared with the one above it.
"""

import html
import io
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np
import pandas as pd

from pipeline.evaluation.significance import mcnemar, wilson_interval

# A test between two rows counts only the clips that change sides. Where all of them go one way, p is 2 * 0.5 ** n.
_SMALLEST_SIGNIFICANT = next(n for n in range(1, 99) if 2 * 0.5**n < 0.05)


@dataclass(frozen=True)
class Row:
    """One variant; tuples have an entry per seed."""

    name: str
    clips: int
    correct: tuple[int, ...]
    difference: tuple[int, ...] | None
    """Clips more than the row above; None in the first row."""
    p: tuple[float, ...] | None
    """p of the exact McNemar test against the row above, between networks of one seed; None in the first row."""

    @property
    def accuracies(self) -> tuple[float, ...]:
        return tuple(correct / self.clips for correct in self.correct)

    @property
    def accuracy(self) -> float:
        """Mean over the seeds."""
        return mean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the accuracy over the seeds; None with one seed."""
        return stdev(self.accuracies) if len(self.correct) > 1 else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of Wilson, for the mean number of correct clips, rounded to a whole one.

        It says how far other clips might lead, not other seeds; that is the deviation.
        """
        return wilson_interval(round(mean(self.correct)), self.clips)


@dataclass(frozen=True)
class Table:
    """The rows of Table 2, and which study they belong to."""

    dataset: str
    seeds: tuple[int, ...]
    subjects: int
    folds_left_out: int
    """Subjects that were never held out, so that their clips are missing."""
    rows: tuple[Row, ...]


def table(
    dataset: str, seeds: tuple[int, ...], folds_left_out: int, results: Mapping[str, Mapping[int, pd.DataFrame]]
) -> Table:
    """Compare variants by their predictions.

    Parameters
    ----------
    dataset
        Name of the dataset.
    seeds
        In the order in which they are shown.
    folds_left_out
        How many subjects were not held out.
    results
        Predictions (`clip,subject,label,predicted`) by name of the variant and by seed, in the order of the rows.

    Raises
    ------
    ValueError
        The predictions are not for the same clips, in the same order and with the same labels.
    """
    first = next(iter(results.values()))[seeds[0]]
    rows: list[Row] = []
    above: dict[int, np.ndarray] = {}
    for name, predictions in results.items():
        right = {}
        for seed in seeds:
            if not predictions[seed][["clip", "label"]].equals(first[["clip", "label"]]):
                raise ValueError(f"{name}, seed {seed}: predictions for other clips, or with other labels")
            right[seed] = (predictions[seed]["label"] == predictions[seed]["predicted"]).to_numpy()
        rows.append(
            Row(
                name,
                len(first),
                tuple(int(right[seed].sum()) for seed in seeds),
                tuple(int(right[seed].sum() - above[seed].sum()) for seed in seeds) if above else None,
                tuple(mcnemar(above[seed], right[seed]) for seed in seeds) if above else None,
            )
        )
        above = right
    return Table(dataset, seeds, first["subject"].nunique(), folds_left_out, tuple(rows))


def as_text(table: Table) -> str:
    """The table as text for a terminal."""
    cells = [_heads(table), *(_cells(row) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    remarks = (textwrap.fill(note, 100, initial_indent="- ", subsequent_indent="  ") for note in notes(table))
    return "\n".join([title(table), "", *lines, "", *remarks, ""])


def as_markdown(table: Table) -> str:
    """The table as Markdown, for a README or a notebook."""
    heads = _heads(table)
    lines = [heads, ["---"] * len(heads), *(_cells(row) for row in table.rows)]
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([f"**{title(table)}**", "", *rows, "", *(f"- {note}" for note in notes(table)), ""])


def as_html(table: Table) -> str:
    """The table as one HTML page that needs no other file."""
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in _heads(table))
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in table.rows
    )
    remarks = "\n".join(f"<li>{html.escape(note)}</li>" for note in notes(table))
    return _PAGE.format(title=html.escape(title(table)), heads=heads, rows=rows, notes=remarks)


def as_csv(table: Table) -> str:
    """The table as CSV in full precision: a line per row and seed, scores as fractions.

    The columns `mean` and `sd` are those of the row's accuracy over its seeds.
    """
    lines = []
    for row in table.rows:
        for number, seed in enumerate(table.seeds):
            low, high = wilson_interval(row.correct[number], row.clips)
            lines.append(
                {
                    "row": row.name,
                    "seed": seed,
                    "clips": row.clips,
                    "correct": row.correct[number],
                    "accuracy": row.accuracies[number],
                    "low": low,
                    "high": high,
                    "difference": row.difference[number] if row.difference else None,
                    "p": row.p[number] if row.p else None,
                    "mean": row.accuracy,
                    "sd": row.deviation,
                }
            )
    text = io.StringIO()
    pd.DataFrame(lines).astype({"difference": "Int64"}).to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def title(table: Table) -> str:
    """One line that says what was studied."""
    seeds = ", ".join(map(str, table.seeds))
    return (
        f"Table 2 on {table.dataset}: {table.rows[0].clips} clips of {table.subjects} subjects, "
        f"seed{'s' if len(table.seeds) > 1 else ''} {seeds}"
    )


def notes(table: Table) -> list[str]:
    """Remarks that belong under the table: what its figures cannot show."""
    several = len(table.seeds) > 1
    steps = ", ".join(f"{row.name}: {_each(row.difference)}" for row in table.rows if row.difference)
    if several:
        tested = "one for each seed; they share the clips, so neither combine them nor pick the best"
        interval = "of the mean number of correct clips"
        spread = "sd and range of the accuracy are over the seeds: what chance in the training does."
    else:
        tested = "between networks of the same seed"
        interval = "of the accuracy"
        spread = "One seed: a few clips hang on it alone. `--seeds 3` shows how many."
    found = [
        f"One clip is {100 / table.rows[0].clips:.2f} points. The steps in clips are {steps}.",
        f"p: exact McNemar test against the row above, paired by clip, {tested}. "
        f"Below 0.05 takes at least {_SMALLEST_SIGNIFICANT} clips that change sides, all in one direction.",
        f"95 % interval: Wilson's, {interval}. It says how far other clips might lead, and takes them for independent, "
        "which clips of one subject are not quite.",
        spread,
        "Settings (lambda, learning rate, epochs, the variant itself) that are chosen by looking at these scores are "
        "chosen on test data: say so when you report them.",
    ]
    if table.folds_left_out:
        found.insert(0, f"PARTIAL: {table.folds_left_out} subjects were never held out (held_out in params.yaml).")
    return found


def _heads(table: Table) -> list[str]:
    spread = ["sd", "range"] if len(table.seeds) > 1 else []
    return ["", "accuracy", *spread, "correct", "95 % interval", "difference", "p"]


def _cells(row: Row) -> list[str]:
    low, high = row.interval
    spread = []
    if row.deviation is not None:
        spread = [f"{100 * row.deviation:.2f}", f"{100 * min(row.accuracies):.2f} to {100 * max(row.accuracies):.2f}"]
    difference = p = ""
    if row.difference is not None and row.p is not None:
        average = mean(row.difference)
        difference = f"{_signed(average)} clip{'s' * (abs(average) != 1)} ({_signed(100 * average / row.clips)})"
        p = " ".join(_probability(value) for value in row.p)
    return [
        row.name,
        f"{100 * row.accuracy:.2f} %",
        *spread,
        f"{' '.join(map(str, row.correct))} of {row.clips}",
        f"{100 * low:.1f} to {100 * high:.1f} %",
        difference,
        p,
    ]


def _each(differences: tuple[int, ...]) -> str:
    return " ".join(map(_signed, differences))


def _signed(value: float) -> str:
    return f"{value:+.2f}".rstrip("0").rstrip(".") if value else "0"


def _probability(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --paper: #ffffff; --ink: #1c1c1e; --line: #d9d9de; }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ --paper: #16171a; --ink: #ececf0; --line: #3a3b41; }} }}
body {{ margin: 0 auto; padding: 1.5rem 1.2rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 1.7rem; }}
ul {{ max-width: 52rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }}
</style>
<h1>{title}</h1>
<div><table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
<ul>
{notes}
</ul>
</html>
"""
