"""Join the predictions of all folds of CNN+LSTM, a comparator of Table 1."""

import click

from pipeline import paths
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
        predictions = clips[:0].assign(predicted="")
        click.echo(f"{name}: no {METHOD}, because the apex of the clips is not known")
    else:
        predictions = join(clips[clips["subject"].isin(params.folds)], folds)
    with staged(paths.partial("pool_cnn_lstm", name), paths.comparator(name, METHOD)) as [path]:
        predictions[COLUMNS].to_csv(path, index=False)


if __name__ == "__main__":
    main()
