"""How far a head may move and still be followed: python -m benchmarks.head_reach

Synthetic clips of other seeds than the study's whose heads drift, turn and come closer by up to so many pixels of 192,
where the face fills the frame and before a background at rest. Errors are of the path, mean over the face and over the
frames of a clip. Each clip is also joined to the next one in its middle: cuts, all of which must be refused.
"""

import tempfile
from pathlib import Path

import click
import h5py
import numpy as np

from benchmarks.head_motion import FRAMES, SIZE, before_background, known_motion
from pipeline import paths
from pipeline.frames import frame_files, head_motion, resampling
from pipeline.params import load_params
from pipeline.synthetic.generator import write_tree

REACHES = (1.0, 3.0, 6.0, 9.0)
SHARES = (1.0, 0.41)


def clips(reach: float, seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames of clips, each of another subject, as they are resized, and the true paths of their heads."""
    study = vars(load_params(paths.PARAMS).synthesize)
    motion = {name: study[name] * reach / study["drift"] for name in ("drift", "rotation", "scale")}
    settings = study | motion | {"clips": max(count, 5), "subjects": count, "layout": "casme2", "seed": seed}
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for _ in write_tree(folder, **settings):
            pass
        with h5py.File(paths.truth(folder)) as truth:
            for name in [f"{subject}/{next(iter(episodes))}" for subject, episodes in truth.items()]:
                files = frame_files.numbered(folder / "Cropped" / name).values()
                recording = np.stack([frame_files.read(file) for file in files])
                frames = resampling.resize(resampling.interpolate(recording, FRAMES), SIZE)
                found.append((frames, known_motion(truth[name])[1]))
    return found


def error(path: np.ndarray, true: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How far a path is from the true one in each frame, mean over the pixels `inside`: (FRAMES,)."""
    y, x = np.nonzero(inside)
    points = np.stack([x, y, np.ones(len(x))])
    return np.asarray(np.hypot(*((path - true) @ points).swapaxes(0, 1)).mean(axis=1))


@click.command()
@click.option("--seed", "seeds", multiple=True, default=(1,), show_default=True, help="Of the synthetic clips.")
@click.option("--clips", "count", default=5, show_default=True, help="Of each seed, one per subject.")
def main(seeds: tuple[int, ...], count: int) -> None:
    """Print motion and errors in pixels at 192 px, the least share of the face that moves along, and refusals."""
    click.echo(f"{'reach':>5}{'face':>6}{'moved':>8}{'error':>8}{'largest':>9}{'share':>7}{'refused':>9}{'cuts':>7}")
    for reach in REACHES:
        made = [clip for seed in seeds for clip in clips(reach, seed, count)]
        for share in SHARES:
            shown = [
                (*before_background(frames, true, share, np.random.default_rng(number)), true)
                for number, (frames, true) in enumerate(made)
            ]
            rest = np.tile(np.eye(3)[:2], (FRAMES, 1, 1))
            traces = [head_motion.trace(frames, "affine") for frames, _, _ in shown]
            moved = [error(rest, true, inside).max() for _, inside, true in shown]
            errors = [error(found.path, true, inside) for found, (_, inside, true) in zip(traces, shown, strict=True)]
            refused = sum(bool(found.doubts) for found in traces)
            joined = [
                np.concatenate([frames[: FRAMES // 2], following[FRAMES // 2 :]])
                for (frames, _, _), (following, _, _) in zip(shown, [*shown[1:], shown[0]], strict=True)
            ]
            cuts = sum(bool(head_motion.trace(frames, "affine").doubts) for frames in joined)
            click.echo(
                f"{reach:>5.0f}{share:>6.0%}{np.max(moved):>8.1f}{np.mean(errors):>8.3f}{np.max(errors):>9.3f}"
                f"{min(found.share for found in traces):>7.2f}{refused:>5d}/{len(shown)}{cuts:>4d}/{len(shown)}"
            )


if __name__ == "__main__":
    main()
