"""How far the estimated apex is from the true one: python -m benchmarks.apex

Synthetic clips of other seeds than the study's, whose true apex is known: the frame in which the expression is
strongest. Beside the estimate stands the middle of the clip. Flow is by DIS, head motion is removed by the affine map.
"""

import tempfile
from pathlib import Path

import click
import h5py
import numpy as np

from pipeline import paths, preparation
from pipeline.flow.dis.estimator import Estimator
from pipeline.frames import frame_files
from pipeline.frames.recording import Recording
from pipeline.params import load_params
from pipeline.synthetic.generator import write_tree


def errors(folder: Path, size: int, fit: str) -> tuple[list[int], list[int], list[int]]:
    """Return errors in frames of the estimate and of the middle, and the number of frames, of each clip."""
    estimator = Estimator(Path(), "cpu")
    estimate, middle, lengths = [], [], []
    with h5py.File(paths.truth(folder)) as truth:
        names = [f"{subject}/{name}" for subject, episodes in truth.items() for name in episodes]
        for name in names:
            true = int(truth[name]["profile"][()].sum(axis=1).argmax())
            numbers = list(frame_files.numbered(folder / "Cropped" / name))
            recording = Recording(folder / "Cropped" / name, numbers[0], numbers[-1])
            estimate.append(preparation.estimated_apex(recording, size, fit, estimator) - true)
            middle.append(len(recording) // 2 - true)
            lengths.append(len(recording))
    return estimate, middle, lengths


@click.command()
@click.option("--seed", "seeds", multiple=True, type=int, default=(1, 2, 3, 4, 5), show_default=True)
@click.option("--clips", default=12, show_default=True, help="Of each seed; at least the subjects of the study.")
def main(seeds: tuple[int, ...], clips: int) -> None:
    """Print mean and largest absolute errors in frames, and shares of clips within 1 and 3 frames."""
    params = load_params(paths.PARAMS)
    click.echo(
        f"{'seed':>5}{'clips':>6}{'frames':>7}  {'way':<9}{'mean':>6}{'worst':>6}{'<= 1':>6}{'<= 3':>6}{'bias':>7}"
    )
    for seed in seeds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for _ in write_tree(folder, **vars(params.synthesize) | {"seed": seed, "clips": clips, "layout": "casme2"}):
                pass
            *found, lengths = errors(folder, params.resize.size, "affine")
        for way, values in zip(("estimated", "middle"), map(np.array, found), strict=True):
            far = np.abs(values)
            click.echo(
                f"{seed:>5}{len(far):>6}{np.mean(lengths):>7.1f}  {way:<9}{far.mean():>6.2f}{far.max():>6}"
                f"{(far <= 1).mean():>6.0%}{(far <= 3).mean():>6.0%}{values.mean():>+7.2f}"
            )


if __name__ == "__main__":
    main()
