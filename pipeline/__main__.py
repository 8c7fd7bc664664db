"""The commands that a person types: python -m pipeline COMMAND.

Each command imports what it needs itself, so that none waits for the packages of another.
"""

import errno
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pipeline.errors import InputError

if TYPE_CHECKING:  # no command waits for the packages of another
    from pipeline.adoption.copies import Face

_UNUSABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}

_quiet = click.option("--quiet", is_flag=True, help="Do not say what to type next.")


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
    from pipeline.runs import recovery, site_cache

    site_cache.check()
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
@click.option("--casme2", type=click.Path(path_type=Path), help="Folder of CASME II, for a study of several.")
@click.option("--casme3", type=click.Path(path_type=Path), help="Folder of CAS(ME)3, for a study of several.")
@click.option("--fourdme", type=click.Path(path_type=Path), help="Folder of 4DME, for a study of several.")
@click.option("--mmew", type=click.Path(path_type=Path), help="Folder of MMEW, for a study of several.")
@click.option("--samm", type=click.Path(path_type=Path), help="Folder of SAMM, for a study of several.")
@click.option("--smic", type=click.Path(path_type=Path), help="Folder of SMIC, for a study of several.")
@click.option("--table", type=click.Path(path_type=Path), help="Folder of a table, for a study of several.")
@click.option("--as", "title", help="Name of a study of several, instead of composite.")
@click.option(
    "--annotation",
    "annotated",
    multiple=True,
    help="Its annotation, if several are there; in a study of several, DATABASE=FILE.",
)
@click.option(
    "--face",
    "faces",
    multiple=True,
    metavar="crop|none",
    help="Cut the frames to the face, or do not; in a study of several, DATABASE=crop.",
)
@click.option("--accept", "accepted", multiple=True, help="Clip in which megc2019 may differ from the official list.")
@click.option("--flow", "method", help="flow.method to use, instead of the one that the paper used.")
@click.option(
    "--classes",
    metavar="TASK",
    help="own (if not given); three: negative, positive and surprise; or a number of classes, such as 7 for casme3.",
)
@click.option(
    "--missing-frames",
    "missing_frames",
    multiple=True,
    metavar="N",
    help="Most consecutive frames that a clip may lack, or refuse; in a study of several, DATABASE=N.",
)
@click.option(
    "--protocol",
    type=click.Choice(["loso", "k-fold", "database"]),
    default="loso",
    show_default=True,
    help="What a fold tests: one subject, a group of subjects, or all subjects of a database.",
)
@click.option("--folds", type=click.IntRange(min=2), help="Number of folds, with --protocol k-fold.")
@click.option("--check", is_flag=True, help="Only look: nothing is written.")
@_quiet
def use(
    name: str,
    root: Path | None,
    title: str | None,
    annotated: tuple[str, ...],
    faces: tuple[str, ...],
    accepted: tuple[str, ...],
    method: str | None,
    classes: str | None,
    missing_frames: tuple[str, ...],
    protocol: str,
    folds: int | None,
    check: bool,
    quiet: bool,
    **folders: Path | None,
) -> None:
    """Check a copy of the database NAME and write its settings into params.yaml.

    NAME is casme, casme2, casme3, fourdme, mmew, samm, smic, table (any folder with a table in the columns of
    clips.csv) or synthetic; composite for one study of several databases; or megc2019 for the composite whose clips are
    compared with the official list.
    """
    from pipeline import next_commands, paths
    from pipeline.adoption import adopt
    from pipeline.databases import megc2019
    from pipeline.params import load_params

    tested = adopt.Protocol(protocol, folds)
    roots = {database: folder for database, folder in folders.items() if folder is not None}
    if name not in (adopt.COMPOSITE, megc2019.NAME):
        if roots or title or accepted or max(len(annotated), len(faces), len(missing_frames)) > 1:
            raise InputError(
                f"{name} is one database: expected --from DIR; found what is for a study of several (use composite or "
                f"use {megc2019.NAME})"
            )
        annotation = Path(annotated[0]) if annotated else None
        face = _face(faces[0]) if faces else None
        gap = _gap(missing_frames[0]) if missing_frames else None
        adopt.use(name, root, annotation, method, classes or "own", check, tested, face, gap)
    else:
        if root or classes not in (None, "three", "3"):
            raise InputError(
                f"{name} is a study of several databases in three classes: expected --smic DIR --casme2 DIR"
            )
        if title and name != adopt.COMPOSITE:
            raise InputError(f"--as: expected with composite; {name} has a name")
        files = {database: Path(file) for database, file in _by_database("--annotation", "FILE", annotated).items()}
        cut = {database: _face(face) for database, face in _by_database("--face", "crop", faces).items()}
        gaps = {database: _gap(n) for database, n in _by_database("--missing-frames", "N", missing_frames).items()}
        adopt.use_composite(title or name, roots, files, method, accepted, check, tested, cut, gaps)
    if next_commands.wanted(quiet, result=False):
        click.echo(next_commands.after_use(load_params(paths.PARAMS), check))


def _by_database(option: str, what: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return the value of an option for each database, from DATABASE=VALUE."""
    values: dict[str, str] = {}
    for entry in given:
        database, _, value = entry.partition("=")
        if not value:
            raise InputError(f"{option}: expected DATABASE={what} in a study of several databases; found {entry}")
        values[database] = value
    return values


def _face(given: str) -> "Face":
    if given == "crop":
        return "crop"
    if given == "none":
        return "none"
    raise InputError(f"--face: expected crop or none; found {given}")


def _gap(given: str) -> int | Literal["refuse"]:
    """Return the value of `missing_frames` in params.yaml."""
    if given == "refuse":
        return "refuse"
    if given.isdecimal() and 1 <= int(given) <= 1000:
        return int(given)
    raise InputError(f"--missing-frames: expected refuse, or a number of frames from 1 to 1000; found {given}")


@main.command()
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Train every variant so often.")
@click.option("--csv", "csv", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to a file, too.")
@click.option("--md", "markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a self-contained page.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes on this machine, each with train.threads.")
@click.option("--scheduler", help="Address or scheduler file of a running Dask cluster to use instead.")
@_quiet
def ablate(
    seeds: int,
    csv: Path | None,
    markdown: Path | None,
    page: Path | None,
    workers: int | None,
    scheduler: str | None,
    quiet: bool,
) -> None:
    """Table 2 of the paper on the active dataset: four variants of the network as DVC experiments.

    params.yaml, dvc.lock and results stay as they are. A run that was interrupted goes on where it ended.
    """
    from pipeline import next_commands, paths
    from pipeline.evaluation import ablation_table
    from pipeline.params import load_params
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
    if next_commands.wanted(quiet, result=True):
        plan = ablation.planned(load_params(paths.PARAMS), seeds)
        click.echo(next_commands.after_ablate(plan[0].name, plan[-1].name, seeds))


@main.command()
@click.argument("names", nargs=-1, metavar="A B ...")
@click.option(
    "--other-seed", "other_seeds", multiple=True, metavar="NAME", help="A with another seed; may be given again."
)
@click.option("--csv", "csv", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to a file, too.")
def compare(names: tuple[str, ...], other_seeds: tuple[str, ...], csv: Path | None) -> None:
    """Compare A with B and all others: intervals, tests by clip and by subject, what can be concluded.

    Each is a DVC experiment on the active dataset, results/<dataset>/comparators/<method>.csv, or any other CSV file
    with the columns clip, subject, label and predicted, all for the same clips. Of a study of several databases, the
    scores of each follow.
    """
    from pipeline.runs import compare_results
    from pipeline.storage.outputs import staged

    found = compare_results.run(names, other_seeds)
    click.echo(compare_results.as_text(found), nl=False)
    if csv is not None:
        with staged(csv.absolute().parent / ".partial" / csv.name, csv) as [draft]:
            draft.write_text(compare_results.as_csv(found), encoding="utf-8")


@main.command()
@click.argument("clip")
@click.option("--onset", type=int, help="First frame; the first of a video is 1.")
@click.option("--offset", type=int, help="Last frame.")
@click.option("--face", type=click.Choice(["crop", "none"]), help="Cut the frames to the face, or do not.")
@click.option("--model", type=click.Path(path_type=Path), help="Ask this network only.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="File to draw, .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_quiet
def predict(
    clip: str,
    onset: int | None,
    offset: int | None,
    face: str | None,
    model: Path | None,
    picture: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Class of CLIP, a folder of frames, a video file or the id of a clip of the dataset.

    A new clip is shown to the networks of all folds, whose probabilities are averaged; a clip of the dataset only to
    the network that was trained without its subject.
    """
    from tqdm import tqdm

    from pipeline import next_commands, paths, prediction
    from pipeline.params import load_params

    with tqdm(total=len(prediction.STEPS), leave=False, disable=None) as bar:

        def step(name: str) -> None:
            bar.set_description(name)
            bar.update()

        found = prediction.predict(clip, onset=onset, offset=offset, face=face, model=model, picture=picture, step=step)
    click.echo(prediction.as_json(found) if as_json else prediction.as_text(found), nl=False)
    if next_commands.wanted(quiet or as_json, result=True):
        click.echo(next_commands.after_predict(load_params(paths.PARAMS), found.picture))


@main.command()
@click.option("--workers", type=click.IntRange(min=1), help="Processes on this machine, each with train.threads.")
@click.option("--scheduler", help="Address or scheduler file of a running Dask cluster to use instead.")
@click.option("--variants", is_flag=True, help="Of the experiments of `ablate` instead, all in one queue.")
@click.option("--seeds", type=click.IntRange(min=1), help="With --variants: how many seeds, as in `ablate`.")
@_quiet
def folds(workers: int | None, scheduler: str | None, variants: bool, seeds: int | None, quiet: bool) -> None:
    """Train all out-of-date folds side by side, here or on a Dask cluster, then run what follows."""
    from pipeline import next_commands, paths
    from pipeline.params import load_params

    _one_of(workers, scheduler)
    if variants:
        from pipeline.runs import ablation

        ablation.train_folds(seeds or 1, workers, scheduler)
        text = next_commands.after_folds_of_variants(seeds)
    elif seeds:
        raise InputError("--seeds is for --variants; one study has the seed of params.yaml")
    else:
        from pipeline.runs.folds import run_folds

        run_folds(workers, scheduler)
        text = next_commands.after_repro(load_params(paths.PARAMS))
    if next_commands.wanted(quiet, result=False):
        click.echo(text)


@main.command("next")
def next_() -> None:
    """Say what to type after `dvc repro`; `make repro` ends with it."""
    from pipeline import next_commands, paths
    from pipeline.params import load_params

    click.echo(next_commands.after_repro(load_params(paths.PARAMS)))


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--clip", default="clip", show_default=True, help="Column of the clips.")
@click.option("--subject", default="subject", show_default=True, help="Column of the subjects.")
@click.option("--truth", default="label", show_default=True, help="Column of the true classes.")
@click.option("--predicted", default="predicted", show_default=True, help="Column of the predicted classes.")
@click.option("--part", help="Column of the databases, where there are several.")
@click.option("--against", help="Which clips there must be: megc2019 (the official list), or a clips.csv.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def score(
    files: tuple[Path, ...],
    clip: str,
    subject: str,
    truth: str,
    predicted: str,
    part: str | None,
    against: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Accuracy, UF1 and UAR of the predictions in one file, or of two files and what is between them.

    A file is a predictions.csv of this pipeline, a table of your own whose columns you name, or a log of the MEGC 2019
    challenge.
    """
    from pipeline import scoring
    from pipeline.evaluation.prediction_files import Headers

    if len(files) > 2:
        raise InputError(f"expected one file or two, found {len(files)}")
    if as_json and as_csv:
        raise InputError("expected --json or --csv, found both")
    result = scoring.score(files, Headers(clip, subject, truth, predicted, part), against)
    form = scoring.as_json if as_json else scoring.as_csv if as_csv else scoring.as_text
    click.echo(form(result), nl=False)


@main.command()
@click.option("--network", default="stanet", show_default=True, help="Another network of the study.")
def leakage(network: str) -> None:
    """Say what choosing each fold's epoch on its test clips would have claimed, beside the honest score.

    Trains all folds of a network once more; no result of the study changes.
    """
    from tqdm import tqdm

    from pipeline import leakage

    with tqdm(unit="epoch", leave=False, disable=None) as bar:

        def report(fold: str, epoch: int, epochs: int) -> None:
            bar.set_description(f"leakage {fold}")
            bar.total, bar.n = epochs, epoch
            bar.refresh()

        found = leakage.run(network, report)
    click.echo(leakage.as_text(found), nl=False)
    click.echo(f"{leakage.page(found.dataset, network)}, {leakage.table(found.dataset, network)}")


@main.command()
@click.argument("layout")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--subjects", type=click.IntRange(min=1), help="How many; synthesize.subjects if not given.")
@click.option("--clips", type=click.IntRange(min=1), help="How many; synthesize.clips if not given.")
@click.option("--seed", type=click.IntRange(min=0), help="Of faces and expressions; synthesize.seed if not given.")
def synthesize(layout: str, folder: Path, subjects: int | None, clips: int | None, seed: int | None) -> None:
    """Write a tree of synthetic faces to FOLDER as the owners of the database LAYOUT lay theirs out.

    LAYOUT is casme, casme2, casme3, fourdme, mmew, samm or smic. The tree can then be studied like a licensed copy. One
    of casme3, fourdme or mmew also has the faults of the released copies: missing frames, impossible rows, misleading
    names. Everything else is as the section synthesize in params.yaml says.
    """
    from dataclasses import asdict

    from tqdm import tqdm

    from pipeline import paths
    from pipeline.params import load_params
    from pipeline.storage.outputs import staged
    from pipeline.synthetic import generator, traps

    settings = asdict(load_params(paths.PARAMS).synthesize) | {"layout": layout}
    given = {"subjects": subjects, "clips": clips, "seed": seed}
    settings |= {key: value for key, value in given.items() if value is not None}
    if folder.exists():
        raise InputError(f"{folder}: expected the name of a new folder, found one that is there")
    said: list[str] = []
    try:
        if layout in traps.TRAPPED:
            traps.check(settings["clips"], settings["frames"][0])
        with staged(folder.absolute().parent / ".partial" / folder.name, folder) as [draft]:
            for _ in tqdm(generator.write_tree(draft, **settings), total=settings["clips"], unit="clip", disable=None):
                pass
            if layout in traps.TRAPPED:
                said = traps.set_traps(draft, layout)
    except ValueError as error:
        raise InputError(str(error)) from error
    if said:
        click.echo("It has the faults of the released copies:")
        click.echo("\n".join(f"  {sentence}" for sentence in said))
    click.echo(f"{folder}: {settings['clips']} clips of {settings['subjects']} subjects, as {layout}")


def _one_of(workers: int | None, scheduler: str | None) -> None:
    if workers and scheduler is not None:
        raise InputError("expected --workers for this machine or --scheduler for a cluster, found both")


if __name__ == "__main__":
    main(prog_name="python -m pipeline")
