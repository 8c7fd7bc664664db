"""Join the predictions of all folds of CNN+LSTM, a comparator of Table 1, and say what its row must say."""

import json

import click
import pandas as pd

from pipeline import paths
from pipeline.cnn_lstm.states import STATES
from pipeline.evaluation.loso import join
from pipeline.params import load_params
from pipeline.storage import tables
from pipeline.storage.outputs import staged
from stages.command import stage

METHOD = "cnn_lstm"
COLUMNS = ["clip", "subject", "label", "predicted"]


@stage
def main() -> None:
    """One row per clip; none where the study cannot have this method, because the apex is not known."""
    params = load_params(paths.PARAMS)
    name = params.dataset
    clips = tables.read(paths.clips(name))
    folds = {subject: tables.read(paths.comparator_fold(name, METHOD, subject)) for subject in params.folds}
    if all(fold.empty for fold in folds.values()):
        predictions, remark = clips[:0].assign(predicted=""), "N/A: no apex"
        click.echo(f"{name}: no {METHOD}, because the apex of its clips, or of a whole database, is not known")
    else:
        predictions, remark = join(clips[clips["subject"].isin(params.folds)], folds), _remark(clips)
    facts = {
        "title": "CNN+LSTM",
        "values": len(STATES) * params.comparators.cnn_lstm.features,
        "remark": remark,
    }
    targets = [paths.comparator(name, METHOD), paths.comparator_facts(name, METHOD)]
    with staged(paths.partial("pool_cnn_lstm", name), *targets) as [table, notes]:
        predictions[COLUMNS].to_csv(table, index=False)
        notes.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _remark(clips: pd.DataFrame) -> str:
    """What a reader of the row must know; an empty cell of `apex` is a missing value."""
    unknown = int(clips["apex"].isna().sum())
    assumed = f"; the middle stands in for the apex of {unknown} of {len(clips)} clips" if unknown else ""
    return f"the paper's states and objectives, formulas and constants chosen here{assumed}"


if __name__ == "__main__":
    main()
