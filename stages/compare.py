"""Table 1: all methods on the same clips and folds, beside what was published."""

import json
from pathlib import Path

import click
import pandas as pd

from pipeline import paths
from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import Method
from pipeline.params import load_params
from pipeline.storage import tables
from pipeline.storage.outputs import staged
from stages.command import stage


@stage
def main() -> None:
    """Compare every method of the study with STANet."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    stanet = Method(paths.STANET, [tables.read(paths.predictions(name))], "STANet", remark="one seed")
    # The methods of params.yaml, not the files in the folder: those of an earlier, longer list stay on disk.
    others = [
        _method(method, paths.comparator(name, method), paths.comparator_facts(name, method))
        for method in (*params.comparators.methods, *params.networks.names, "largest_class")
    ]
    classes = json.loads(paths.classes(name).read_text(encoding="utf-8"))
    table = comparison.compare(stanet, [method for method in others if not method.not_applicable], classes)
    table = comparison.with_not_applicable(table, others)
    # The published figures are for the databases' own classes.
    published = tables.read(paths.PUBLISHED)
    table = comparison.with_published(table, published, name if params.classes == "own" else "")
    with staged(paths.partial("compare", name), paths.table1(name)) as [path]:
        table.to_csv(path, index=False)
    for _, row in comparison.scored(table).iterrows():
        click.echo(f"{name}: {row['title']}, {row['correct']} of {row['clips']} clips right")


def _method(method: str, predictions: Path, facts: Path) -> Method:
    """A row, with what is noted beside its predictions, if anything is."""
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {}
    table: pd.DataFrame = tables.read(predictions)
    return Method(method, [table], **known)


if __name__ == "__main__":
    main()
