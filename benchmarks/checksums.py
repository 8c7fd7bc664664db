"""What the checksums of the arrays cost: python -m benchmarks.checksums

Flow of some clips is written and read with them, as `pipeline.storage.clip_store` does, and by h5py without; the two
take turns. Both files are in the system's cache, so the figures are those of the arithmetic and not of a disk.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import h5py
import numpy as np

from pipeline.storage import clip_store

SHAPE = (19, 2, 192, 192)


def write_plain(path: Path, clips: list[str], fields: list[np.ndarray]) -> None:
    """The same arrays in the same chunks, without checksums."""
    with h5py.File(path, "w") as file:
        stack = file.create_dataset("flow", shape=(len(clips), *SHAPE), dtype=np.float16, chunks=(1, *SHAPE))
        for row, field in enumerate(fields):
            stack[row] = field


def read(path: Path, clips: int) -> None:
    """Every clip, one after the other."""
    with clip_store.reading(path) as file:
        for row in range(clips):
            clip_store.values(file, "flow", row)


def seconds(function: Callable[[], None]) -> float:
    """Wall time of a call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


@click.command()
@click.option("--clips", default=60, show_default=True, help="How many.")
@click.option("--times", default=7, show_default=True, help="How often each file is written and read.")
def main(clips: int, times: int) -> None:
    """Print medians and sizes."""
    rng = np.random.default_rng(0)
    fields = [rng.normal(size=SHAPE).astype(np.float16) for _ in range(clips)]
    names = [f"{number:04d}" for number in range(clips)]
    taken: dict[str, tuple[list[float], list[float]]] = {"without": ([], []), "with": ([], [])}
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            for way, (writing, reading) in taken.items():
                path = Path(folder) / f"{way}.h5"
                if way == "with":
                    writing.append(seconds(lambda path=path: clip_store.write_stack(path, "flow", names, iter(fields))))
                else:
                    writing.append(seconds(lambda path=path: write_plain(path, names, fields)))
                reading.append(seconds(lambda path=path: read(path, clips)))
                sizes[way] = path.stat().st_size
    for way, (writing, reading) in taken.items():
        click.echo(f"{way}: written in {median(writing):.2f} s, read in {median(reading):.2f} s, {sizes[way]:,} bytes")


if __name__ == "__main__":
    main()
