"""Time and peak memory of the methods of Table 1, against the number of clips: python -m benchmarks.comparators

Both stages of a method, `describe` and `classify`, run as processes of their own, as under DVC, in a temporary copy of
this checkout: on the clips of the embedded study, if `dvc repro` has made them, and on generated ones of 20 frames of
192 x 192 px. CPU seconds are those of all processes of a stage; on a quiet machine with as many cores as clips are
described on, the seconds on the clock are fewer.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
import pandas as pd
import psutil

from pipeline import comparators, paths
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.params import load_params
from pipeline.storage import apexes, clip_store, params_file, tables
from pipeline.storage.apexes import Apex

FRAMES, SIZE = 20, 192
CLASSES = ("disgust", "happiness", "others", "repression", "surprise")
KINDS = 10
"""Different clips, of which the others are noisy copies."""


def measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Seconds on the clock, seconds on processors, and peak memory (MB) of a command with all its processes."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    found = 0
    while not found:
        peak = max(peak, sum(_memory(each) for each in [watched, *_children(watched)]))
        time.sleep(0.05)
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak / 1e6


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def write_clips(checkout: Path, clips: int, subjects: int) -> None:
    """Frames, flow and table of a generated study of the dataset `synthetic`."""
    rng = np.random.default_rng(0)
    smooth = [cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE, 2)).astype(np.float32), (0, 0), 12) for _ in range(KINDS)]
    fields = np.stack([0.3 * field / field.std() for field in smooth]).transpose(0, 3, 1, 2)  # (kinds, 2, S, S)
    face = cv2.GaussianBlur(rng.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 2)
    face = 128 + 40 * (face - face.mean()) / face.std()
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=0).astype(np.float32)
    course = np.sin(np.linspace(0, np.pi, FRAMES))  # onset, apex, offset

    def frames() -> Iterator[np.ndarray]:
        for number in range(clips):
            moved = [
                cv2.remap(
                    face,
                    *(grid - np.float32(3 * share) * fields[number % KINDS].astype(np.float32)),
                    cv2.INTER_LINEAR,
                    None,
                    cv2.BORDER_REFLECT,
                )
                for share in course
            ]
            yield np.clip(np.stack(moved) + rng.normal(size=(FRAMES, SIZE, SIZE, 1)), 0, 255).astype(np.uint8)

    def flow() -> Iterator[np.ndarray]:
        for number in range(clips):
            steps = np.diff(3 * course)[:, None, None, None] * fields[number % KINDS]
            yield (steps + 0.02 * rng.normal(size=steps.shape)).astype(np.float16)

    table = pd.DataFrame({"subject": sorted(f"sub{number % subjects:02d}" for number in range(clips))})
    table.insert(0, "clip", [f"{subject}/{number:04d}" for number, subject in enumerate(table["subject"])])
    wrong = rng.uniform(size=clips) < 0.3  # so that no method finds it easy
    kinds = np.where(wrong, rng.integers(KINDS, size=clips), np.arange(clips) % KINDS)
    table["label"] = [CLASSES[kind % len(CLASSES)] for kind in kinds]
    (checkout / paths.clips("synthetic")).parent.mkdir(parents=True)
    table.to_csv(checkout / paths.clips("synthetic"), index=False)
    clip_store.write_stack(checkout / paths.stabilised("synthetic"), "frames", list(table["clip"]), frames())
    clip_store.write_stack(checkout / paths.flow("synthetic"), "flow", list(table["clip"]), flow())
    to_apex = (3 * fields[number % KINDS] for number in range(clips))
    clip_store.write_stack(checkout / paths.key_flow("synthetic"), "flow", list(table["clip"]), to_apex)
    apex = Apex(FRAMES // 2, "annotated")
    apexes.table((clip, apex) for clip in table["clip"]).to_csv(checkout / paths.apex("synthetic"), index=False)


def link_clips(checkout: Path) -> None:
    """Those of the embedded study, where they are."""
    files = (paths.clips, paths.stabilised, paths.flow, paths.key_flow, paths.apex)
    for path in (file("synthetic") for file in files):
        if not path.is_file():
            raise InputError(f"expected {path}; found none. Run `dvc repro`, or leave --study out")
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).symlink_to(path.absolute())


@click.command()
@click.option("--clips", "counts", multiple=True, type=int, default=(60, 246), show_default=True)
@click.option("--subjects", default=26, show_default=True)
@click.option("--study", is_flag=True, help="The clips of the embedded study instead.")
@click.option("--method", "methods", multiple=True, type=click.Choice(comparators.methods()), help="Only these.")
def main(counts: tuple[int, ...], subjects: int, study: bool, methods: tuple[str, ...]) -> None:
    """Print a row per method and number of clips."""
    head = f"{'clips':>6} {'folds':>6} {'method':<12}"
    for stage in ("describe", "classify"):
        head += f" {stage:>10} {'CPU s':>7} {'peak MB':>8}"
    click.echo(f"{head}   (seconds)")
    for count in (0,) if study else counts:
        with tempfile.TemporaryDirectory() as folder:
            checkout = Path(folder)
            for name in ("pipeline", "stages"):
                shutil.copytree(name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
            if study:
                link_clips(checkout)
            else:
                write_clips(checkout, count, subjects)
            table = tables.read(checkout / paths.clips("synthetic"))
            known = sorted(table["subject"].unique())
            folds = protocols.as_text({subject: [subject] for subject in known})
            (checkout / paths.folds("synthetic")).write_text(folds)
            (checkout / paths.PARAMS).write_text(
                params_file.changed(paths.PARAMS, {"subjects": known, "folds": known})[0]
            )
            landmarks = Path(load_params(paths.PARAMS).comparators.landmarks)
            (checkout / landmarks.parent).mkdir(parents=True, exist_ok=True)
            (checkout / landmarks).symlink_to(landmarks.absolute())
            measured([sys.executable, "-m", "stages.describe_inputs", "synthetic"], checkout)
            total = np.zeros(4)
            for method in methods or load_params(paths.PARAMS).comparators.methods:
                row = f"{len(table):>6} {len(known):>6} {method:<12}"
                for stage in (("describe", "synthetic"), ("classify",)):
                    words = [sys.executable, "-m", f"stages.{stage[0]}", *stage[1:], method]
                    seconds, processors, peak = measured(words, checkout)
                    total += [seconds, processors, 0, 0] if stage[0] == "describe" else [0, 0, seconds, processors]
                    row += f" {seconds:>10.1f} {processors:>7.1f} {peak:>8.0f}"
                    if stage[0] == "describe":
                        measured([sys.executable, "-m", "stages.inputs", *["synthetic"] * 2, method], checkout)
                click.echo(row)
            click.echo(json.dumps({"describe": total[:2].round(1).tolist(), "classify": total[2:].round(1).tolist()}))


if __name__ == "__main__":
    main()
