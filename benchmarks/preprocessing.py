"""Time and peak memory of the stages before training, against the number of clips: python -m benchmarks.preprocessing

Every stage runs as a process of its own, as under DVC, in a temporary copy of this checkout, on a dataset of 70 frames
of 280 x 340 px per clip. Memory that grew with the number of clips would show from row to row.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import cv2
import numpy as np

from pipeline import paths
from pipeline.storage import params_file

STAGES = ("index", "interpolate", "resize", "extract_flow")
LENGTH, HEIGHT, WIDTH = 70, 340, 280  # as in CASME II
SUBJECTS = 10
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in which the system counts memory


def write_dataset(root: Path, clips: int) -> None:
    """A table of clips and their frames: one recording, linked under the name of every clip."""
    noise = np.random.default_rng(0).uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 3)
    first = root / "frames" / "0"
    first.mkdir(parents=True)
    for number in range(1, LENGTH + 1):
        shifted = cv2.warpAffine(picture, np.float32([[1, 0, number / 50], [0, 1, 0]]), (WIDTH, HEIGHT))
        (first / f"img{number}.jpg").write_bytes(cv2.imencode(".jpg", shifted.astype(np.uint8))[1].tobytes())
    rows = ["clip,subject,label,onset,offset,frames"]
    for clip in range(clips):
        if clip:
            shutil.copytree(first, root / "frames" / str(clip), copy_function=os.link)
        subject = f"sub{clip % SUBJECTS:02d}"
        rows.append(f"{subject}/{clip},{subject},{'ab'[clip % 2]},1,{LENGTH},frames/{clip}")
    (root / "clips.csv").write_text("\n".join(rows) + "\n")


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak resident memory (MB) of a command, with which it must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss * _RSS_UNIT / 1e6


@click.command()
@click.option("--clips", "counts", multiple=True, type=int, default=(60, 250), show_default=True)
def main(counts: tuple[int, ...]) -> None:
    """Print one row per stage and number of clips."""
    click.echo(f"{'clips':>6} {'stage':<14} {'seconds':>8} {'peak MB':>8}")
    for clips in counts:
        with tempfile.TemporaryDirectory() as folder:
            root, checkout = Path(folder, "dataset"), Path(folder, "checkout")
            write_dataset(root, clips)
            for name in ("pipeline", "stages"):
                shutil.copytree(name, checkout / name)
            annotation = {"file": "auto", "sha256": ""}
            database = {"raw": str(root), "annotation": annotation, "exclude": [], "face": "none", "face_boxes": {}}
            values = {
                "dataset": "table",
                "databases": {"table": database},
                "subjects": [f"sub{number:02d}" for number in range(SUBJECTS)],
                "flow.method": "farneback",  # the quickest: the estimator's speed is not what is measured here
            }
            (checkout / paths.PARAMS).write_text(params_file.changed(paths.PARAMS, values)[0])
            (checkout / "weights").mkdir()
            (checkout / "weights/none").touch()
            for stage in STAGES:
                seconds, peak = measured([sys.executable, "-m", f"stages.{stage}", "table"], checkout)
                click.echo(f"{clips:>6} {stage:<14} {seconds:>8.1f} {peak:>8.0f}")


if __name__ == "__main__":
    main()
