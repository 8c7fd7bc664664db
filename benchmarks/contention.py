"""Every stage on a machine that is quiet and on one that is shared: python -m benchmarks.contention

The embedded study is run once, with fewer clips and epochs, in a copy of this checkout. Then each stage is run again as
a process of its own, quiet and beside one process that keeps a core busy, each with the waiting that libgomp has by
default (before) and with that of `pipeline.waiting` (after). The four take turns, so that what else the machine does
meets all of them; each figure is the median of several runs. The stages must leave the files that were there.
"""

import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click
from ruamel.yaml import YAML
from tqdm import tqdm

from benchmarks.folds import DVC, environment, results
from pipeline import paths
from pipeline.params import load_params
from pipeline.storage import params_file
from pipeline.waiting import CHOICES

LIBGOMP_DEFAULT = "300000"
BUSY = (sys.executable, "-c", "while True: pass")
SITUATIONS = [(busy, way) for busy in (False, True) for way in ("before", "after")]


def finished_study(folder: Path, clips: int, epochs: int) -> Path:
    """A clone of this checkout in which a smaller embedded study is finished."""
    if (found := load_params(paths.PARAMS).dataset) != "synthetic":
        raise click.ClickException(f"expected the embedded study in {paths.PARAMS}, found {found}")
    checkout = folder / "checkout"
    subprocess.run(["git", "clone", "--quiet", ".", checkout], check=True)
    text, _ = params_file.changed(paths.PARAMS, {"synthesize.clips": clips, "train.epochs": epochs})
    (checkout / paths.PARAMS).write_text(text, encoding="utf-8")
    (checkout / "dvc.lock").unlink(missing_ok=True)
    command = [*DVC, "repro", "--quiet"]
    subprocess.run(command, cwd=checkout, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return checkout


def commands(checkout: Path) -> dict[str, list[str]]:
    """The command of each kind of stage, as DVC has run it; of those that run several times, the first."""
    lock = YAML(typ="safe", pure=True).load(checkout / "dvc.lock")
    found: dict[str, list[str]] = {}
    for name, stage in lock["stages"].items():
        found.setdefault(name.split("@")[0], shlex.split(stage["cmd"]))
    return found


def ways() -> dict[str, dict[str, str]]:
    """The environments to compare; what the user has chosen counts in neither."""
    chosen = {name for names in CHOICES.values() for name in names}
    plain = {name: value for name, value in environment().items() if name not in chosen}
    return {"before": plain | {"GOMP_SPINCOUNT": LIBGOMP_DEFAULT}, "after": plain}


@contextmanager
def company(busy: bool) -> Iterator[None]:
    """Another process that is at work meanwhile, if wanted."""
    if not busy:
        yield
        return
    process = subprocess.Popen(BUSY)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def seconds(command: list[str], checkout: Path, variables: Mapping[str, str]) -> float:
    """Wall time of a stage."""
    begin = time.perf_counter()
    answer = subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True)
    taken = time.perf_counter() - begin
    if answer.returncode:
        raise click.ClickException(f"{shlex.join(command)} failed:\n{answer.stdout}{answer.stderr}")
    return taken


def row(stage: str, taken: Mapping[tuple[bool, str], list[float]]) -> str:
    """A line of the table: medians, and how many times as long the stage takes in company."""
    middle = {situation: median(values) for situation, values in taken.items()}
    times = [f"{middle[situation]:.1f}" for situation in SITUATIONS]
    ratios = [f"{middle[True, way] / middle[False, way]:.2f}" for way in ("before", "after")]
    return f"| `{stage}` | {' | '.join([*times, *ratios])} |"


@click.command()
@click.option("--clips", default=20, show_default=True, help="Of the database, instead of those in params.yaml.")
@click.option("--epochs", default=10, show_default=True, help="Of each training, instead of those in params.yaml.")
@click.option("--times", default=3, show_default=True, help="How often each stage is run in each situation.")
@click.option("--stage", "only", multiple=True, help="A stage to measure; give several. All, if none is given.")
def main(clips: int, epochs: int, times: int, only: tuple[str, ...]) -> None:
    """Print one row per stage, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = finished_study(Path(folder), clips, epochs)
        expected, stages = results(checkout), commands(checkout)
        if unknown := set(only) - set(stages):
            raise click.ClickException(f"expected stages of {', '.join(stages)}; found {', '.join(sorted(unknown))}")
        measured = {stage: stages[stage] for stage in only or stages}
        taken = {stage: {situation: list[float]() for situation in SITUATIONS} for stage in measured}
        environments = ways()
        with tqdm(total=len(measured) * len(SITUATIONS) * times, disable=None) as bar:
            for _ in range(times):
                for stage, command in measured.items():
                    bar.set_description(stage)
                    for busy, way in SITUATIONS:
                        with company(busy):
                            taken[stage][busy, way].append(seconds(command, checkout, environments[way]))
                        bar.update()
        if results(checkout) != expected:
            raise click.ClickException("expected the files that were there before, found others")
    click.echo("| stage | quiet before | quiet after | busy before | busy after | ratio before | ratio after |")
    click.echo("|---|---|---|---|---|---|---|")
    for stage, values in taken.items():
        click.echo(row(stage, values))


if __name__ == "__main__":
    main()
