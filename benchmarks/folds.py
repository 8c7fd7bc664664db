"""Wall time and memory of all folds, one by one and side by side: python -m benchmarks.folds

Every run starts from a copy of this checkout in which everything up to the flow is done, and must end with the same
predictions, models and curves. Overhead is what a fold costs beyond its training in a process that is already there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import psutil

from pipeline import paths
from pipeline.params import load_params
from pipeline.storage import params_file

DVC = (sys.executable, "-m", "dvc")
FOLDS = (sys.executable, "-m", "pipeline", "folds")
# All folds in one process, without DVC, without writing anything.
TRAINING = """
import time
from pipeline import networks, params, paths, trainings
from pipeline.device import resolve_device
from pipeline.learning import fold, inputs
from pipeline.storage import class_names, tables
study = params.load_params(paths.PARAMS)
classes = class_names.read(paths.classes(study.dataset))
clips = list(tables.read(paths.clips(study.dataset))["clip"])
device, seconds = resolve_device(study.runtime.device), 0.0
for name in (networks.STANET, *study.networks.names):
    network, settings = networks.network(name), study.network_settings(name)
    read = inputs.read(network, settings, trainings.sources_of(study, name), clips)
    begin = time.perf_counter()
    for held_out in study.trained_folds:
        split = tables.read(paths.split(study.dataset, held_out))
        fold.run(*trainings.training(study, name, held_out, classes, split), read, device)
    seconds += time.perf_counter() - begin
print(seconds)
"""


def prepared(folder: Path, epochs: int | None) -> Path:
    """A clone of this checkout in which only the folds and what follows them are missing."""
    checkout = folder / "prepared"
    subprocess.run(["git", "clone", "--quiet", ".", checkout], check=True)
    if epochs:
        text, _ = params_file.changed(paths.PARAMS, {"train.epochs": epochs})
        (checkout / paths.PARAMS).write_text(text)
    (checkout / "dvc.lock").unlink(missing_ok=True)
    study = load_params(checkout / paths.PARAMS)
    read = (f"network_inputs@{database}-{name}" for database in study.databases for name in study.networks.names)
    command = [*DVC, "repro", "--quiet", f"task@{study.dataset}", *read]
    subprocess.run(command, cwd=checkout, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return checkout


def environment() -> dict[str, str]:
    """The clones have no .venv: their stages run this Python."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def measured(command: tuple[str, ...], checkout: Path) -> tuple[float, float]:
    """Seconds of a command, and the peak resident memory of its largest process below the first, in MB."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=checkout, env=environment(), stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max([peak, *memory(process.pid)])
        time.sleep(0.1)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} failed")
    return time.perf_counter() - begin, peak / 1e6


def memory(pid: int) -> Iterator[int]:
    """Resident bytes of the processes below one."""
    try:
        for child in psutil.Process(pid).children(recursive=True):
            try:
                yield child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        return


def results(checkout: Path) -> dict[str, bytes]:
    """Every file that the folds and what follows them have written."""
    files = (file for name in ("models", "results") for file in (checkout / name).rglob("*"))
    return {str(file.relative_to(checkout)): file.read_bytes() for file in files if file.is_file()}


@click.command()
@click.option("--workers", "counts", multiple=True, type=int, default=(1, 2, 4), show_default=True)
@click.option("--epochs", type=int, help="Instead of those in params.yaml, to try this benchmark quickly.")
def main(counts: tuple[int, ...], epochs: int | None) -> None:
    """Print one row per way to train all folds of the study in params.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        start = prepared(Path(folder), epochs)
        study = load_params(start / paths.PARAMS)
        folds = len(study.trained_folds) * (1 + len(study.networks.names))
        alone = subprocess.run(
            [sys.executable, "-c", TRAINING], cwd=start, env=environment(), capture_output=True, text=True, check=True
        )
        training = float(alone.stdout)
        click.echo(f"{folds} folds; training alone {training:.1f} s, {training / folds:.2f} s per fold")
        click.echo(f"{'':<20} {'seconds':>8} {'ratio':>6} {'overhead per fold, s':>21} {'MB per worker':>14}")
        expected, serial = None, None
        for name, command in [
            ("dvc repro", (*DVC, "repro", "--quiet")),
            *((f"folds --workers {count}", (*FOLDS, "--workers", str(count))) for count in counts),
        ]:
            checkout = Path(folder, "run")
            shutil.copytree(start, checkout, symlinks=True)
            seconds, peak = measured(command, checkout)
            serial = serial or seconds
            found = results(checkout)
            expected = expected or found
            if found != expected:
                raise click.ClickException(f"{name}: other results than dvc repro")
            overhead = f"{(seconds - training) / folds:.2f}" if command[-1] in ("--quiet", "1") else ""
            click.echo(f"{name:<20} {seconds:>8.1f} {serial / seconds:>6.2f} {overhead:>21} {peak:>14.0f}")
            shutil.rmtree(checkout)


if __name__ == "__main__":
    main()
