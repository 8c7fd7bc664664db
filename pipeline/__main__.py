"""The commands that a person types: python -m pipeline COMMAND.

Each command imports what it needs itself, so that none waits for the packages of another.
"""

import errno
import sys
import tempfile
from pathlib import Path

import click

from pipeline.errors import InputError

_UNUSABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}


class _Commands(click.Group):
    """A group whose commands end with one message where input or environment is wrong, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno not in _UNUSABLE or error.filename is None:
                raise
            raise click.ClickException(f"{_short(error.filename)}: {error.strerror}") from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("pipeline"):
                raise
            raise click.ClickException(
                f"expected the environment of this project, but {sys.executable} has no {error.name}. Activate it: "
                ". .venv/bin/activate (`make repro` sets it up)"
            ) from error


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) < 200 else f"{text[:100]}... ({len(text)} characters)"


@click.group(cls=_Commands)
@click.pass_context
def main(context: click.Context) -> None:
    """What is done by hand beside `dvc repro`."""
    from pipeline.runs import recovery

    context.obj = recovery.recover()
    for sentence in context.obj:
        click.echo(sentence, err=True)


@main.command()
@click.pass_obj
def recover(mended: list[str]) -> None:
    """Mend what an interrupted DVC has damaged: dvc.lock and .dvc/tmp/rwlock. Every other command does so, too."""
    if not mended:
        click.echo("dvc.lock and DVC's rwlock are whole")


@main.command()
@click.option("--remove", is_flag=True, help="Remove what is damaged, so that it can be made or fetched again.")
def verify(remove: bool) -> None:
    """Compare every object that dvc.lock names with its hash, and the files of the workspace, too."""
    from collections.abc import Iterable

    from tqdm import tqdm

    from pipeline.runs import integrity

    def bar(files: Iterable[integrity.File]) -> Iterable[integrity.File]:
        return tqdm(files, desc="verify", unit="file", disable=None)

    found = integrity.verify(bar)
    click.echo(f"{found.objects} objects in DVC's cache, {found.bytes / 1e6:,.0f} MB read")
    if found.missing:
        named = ", ".join(sorted({file.stage for file in found.missing}))
        click.echo(f"{len(found.missing)} are not there; `dvc repro` makes, or `dvc pull` fetches, those of {named}")
    if not found.damaged:
        click.echo("None is damaged")
        return
    listed = "\n".join(f"  {integrity.advice(one, remove)}" for one in found.damaged)
    if remove:
        integrity.remove(found.damaged)
        click.echo(f"{len(found.damaged)} were damaged and are removed:\n{listed}")
        return
    raise InputError(
        f"{len(found.damaged)} are damaged:\n{listed}\nRemove them with `python -m pipeline verify --remove`. What "
        "belongs to another study needs that study in params.yaml to be made again"
    )


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def weights(file: Path) -> None:
    """Say what is in a file of FlowNet 2.0 weights, and whether the network sees motion with it."""
    from pipeline.flow.flownet2.estimator import Estimator
    from pipeline.flow.flownet2.weights import identify
    from pipeline.flow.known_motion import sanity_check

    found = identify(file)
    click.echo(f"{file}: {found.network}, {found.tensors} tensors, {found.parameters:,} parameters")
    click.echo(f"SHA-256 {found.sha256}")
    error, zero = sanity_check(Estimator(file, "cpu").estimate_pairs)
    click.echo(f"On a synthetic pair with known motion: end-point error {error:.3f} px, of zero flow {zero:.3f} px")
    if error > 0.75 * zero:  # weights that were never trained come out at 1 or above
        raise InputError(
            f"{file}: expected a network that sees motion, but its error is {error / zero:.2f} times that of zero "
            "flow, which sees none. The file has the right layout but not the weights of a trained FlowNet 2.0; "
            "download it again."
        )
    click.echo("The network sees motion. Name the file in params.yaml (flow.weights) and set flow.method: flownet2")


@main.command()
@click.argument("name")
@click.option("--from", "root", type=click.Path(path_type=Path), help="Folder of the dataset as its owners ship it.")
@click.option(
    "--annotation", "annotated", type=click.Path(path_type=Path), help="Its annotation, if several are there."
)
@click.option("--flow", "method", help="flow.method to use, instead of the one that the paper used.")
@click.option(
    "--classes",
    type=click.Choice(["own", "three"]),
    default="own",
    show_default=True,
    help="Its own classes, or negative, positive and surprise.",
)
@click.option("--check", is_flag=True, help="Only look: nothing is written.")
def use(name: str, root: Path | None, annotated: Path | None, method: str | None, classes: str, check: bool) -> None:
    """Check a copy of the database NAME and write its settings into params.yaml.

    NAME is casme, casme2, smic, table (any folder with a table in the columns of clips.csv) or synthetic.
    """
    from pipeline.adoption import adopt

    adopt.use(name, root, annotated, method, classes, check)


@main.command()
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Train every variant so often.")
@click.option("--csv", "csv", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to a file, too.")
@click.option("--md", "markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a self-contained page.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes on this machine, each with train.threads.")
@click.option("--scheduler", help="Address or scheduler file of a running Dask cluster to use instead.")
def ablate(
    seeds: int,
    csv: Path | None,
    markdown: Path | None,
    page: Path | None,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Table 2 of the paper on the active dataset: four variants of the network as DVC experiments.

    params.yaml, dvc.lock and results stay as they are. A run that was interrupted goes on where it ended.
    """
    from pipeline.evaluation import ablation_table
    from pipeline.runs import ablation
    from pipeline.storage.outputs import staged

    _one_of(workers, scheduler)
    forms = (csv, ablation_table.as_csv), (markdown, ablation_table.as_markdown), (page, ablation_table.as_html)
    wanted = [(path, write) for path, write in forms if path is not None]
    for path, _ in wanted:  # before hours of training, not after
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: expected a file in a folder that is there; found no folder {path.parent}")
        try:
            tempfile.TemporaryFile(dir=path.absolute().parent).close()
        except OSError as error:
            raise InputError(f"{path}: expected a folder that can be written to ({error.strerror})") from error
    table = ablation.run(seeds, workers, scheduler)
    click.echo(ablation_table.as_text(table), nl=False)
    for path, write in wanted:
        with staged(path.absolute().parent / ".partial" / path.name, path) as [draft]:
            draft.write_text(write(table), encoding="utf-8")


@main.command()
@click.argument("clip")
@click.option("--onset", type=int, help="First frame; the first of a video is 1.")
@click.option("--offset", type=int, help="Last frame.")
@click.option("--face", type=click.Choice(["crop", "none"]), help="Cut the frames to the face, or do not.")
@click.option("--model", type=click.Path(path_type=Path), help="Ask this network only.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="File to draw, .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def predict(
    clip: str,
    onset: int | None,
    offset: int | None,
    face: str | None,
    model: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Class of CLIP, a folder of frames, a video file or the id of a clip of the dataset.

    A new clip is shown to the networks of all folds, whose probabilities are averaged; a clip of the dataset only to
    the network that was trained without its subject.
    """
    from tqdm import tqdm

    from pipeline import prediction

    with tqdm(total=len(prediction.STEPS), leave=False, disable=None) as bar:

        def step(name: str) -> None:
            bar.set_description(name)
            bar.update()

        found = prediction.predict(clip, onset=onset, offset=offset, face=face, model=model, picture=picture, step=step)
    click.echo(prediction.as_json(found) if as_json else prediction.as_text(found), nl=False)


@main.command()
@click.option("--workers", type=click.IntRange(min=1), help="Processes on this machine, each with train.threads.")
@click.option("--scheduler", help="Address or scheduler file of a running Dask cluster to use instead.")
@click.option("--variants", is_flag=True, help="Of the experiments of `ablate` instead, all in one queue.")
@click.option("--seeds", type=click.IntRange(min=1), help="With --variants: how many seeds, as in `ablate`.")
def folds(workers: int | None, scheduler: str | None, variants: bool, seeds: int | None) -> None:
    """Train all out-of-date folds side by side, here or on a Dask cluster, then run what follows."""
    _one_of(workers, scheduler)
    if variants:
        from pipeline.runs import ablation

        ablation.train_folds(seeds or 1, workers, scheduler)
        again = f" --seeds {seeds}" if seeds else ""
        click.echo(f"All folds are in DVC's cache: `python -m pipeline ablate{again}` makes the experiments of them")
    elif seeds:
        raise InputError("--seeds is for --variants; one study has the seed of params.yaml")
    else:
        from pipeline.runs.folds import run_folds

        run_folds(workers, scheduler)


def _one_of(workers: int | None, scheduler: str | None) -> None:
    if workers and scheduler is not None:
        raise InputError("expected --workers for this machine or --scheduler for a cluster, found both")


if __name__ == "__main__":
    main(prog_name="python -m pipeline")
