"""What is left of the head in the flow, by the way it is taken out: python -m benchmarks.head_motion

Mean end-point error inside the face, by DIS, against the known motion of the expression alone. The clips are embedded
ones of other seeds than the study's. Their faces fill the frame; then they are cut out and laid before a background at
rest, rich in texture, which a fit may take for the head.
"""

import tempfile
from pathlib import Path

import click
import cv2
import h5py
import numpy as np

from pipeline import paths
from pipeline.flow.dis.estimator import Estimator
from pipeline.frames import frame_files, head_motion, resampling
from pipeline.params import load_params
from pipeline.synthetic.generator import write_tree
from pipeline.synthetic.motion import true_flow

FRAMES, SIZE = 20, 192
SHARES = (1.0, 0.63, 0.41, 0.30)
BORDER = 6  # pixels at the edge of the face, and of the frame, that do not count


def known_motion(clip: h5py.Group) -> tuple[np.ndarray, np.ndarray]:
    """Flow of the expression alone, (FRAMES - 1, 2, SIZE, SIZE), and the head's path, (FRAMES, 2, 3), as resized."""
    basis, profile, head = (clip[name][()] for name in ("basis", "profile", "head"))
    recorded = np.arange(len(profile))
    times = np.linspace(0, len(profile) - 1, FRAMES)
    profile, head = (
        np.stack([np.interp(times, recorded, course) for course in values.reshape(len(recorded), -1).T], axis=1)
        for values in (profile, head)
    )
    rest = np.tile(np.eye(3)[:2], (FRAMES, 1, 1))
    ratio = np.array([SIZE / basis.shape[3], SIZE / basis.shape[2]])
    flow = [true_flow(basis, profile, rest, i, i + 1) for i in range(FRAMES - 1)]
    resized = [[cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for part in field] for field in flow]
    to_resized = np.diag([*ratio, 1.0])
    to_resized[:2, 2] = (ratio - 1) / 2  # pixel centres are whole numbers
    path = to_resized @ _full(head) @ np.linalg.inv(to_resized)
    return np.array(resized) * ratio[:, None, None], path[:, :2]


def _full(path: np.ndarray) -> np.ndarray:
    """Affine maps (N, 2, 3), or their (N, 6), as (N, 3, 3)."""
    last = np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(path), 1, 3))
    return np.concatenate([path.reshape(-1, 2, 3), last], axis=1)


def before_background(
    frames: np.ndarray, path: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """An ellipse of the frames, which goes with the head, before texture at rest: frames, and bool, what is inside.

    With a share of 1 the frames themselves.
    """
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    face = np.ones((SIZE, SIZE), np.float32)
    if share < 1:
        face = (np.hypot(x / 0.9, y * 0.9) < SIZE * np.sqrt(share / np.pi)).astype(np.float32)
    noise = rng.uniform(0, 255, (SIZE, SIZE)).astype(np.float32)
    waves = sum(weight * cv2.GaussianBlur(noise, (0, 0), width) for width, weight in ((1.5, 1), (4, 3), (9, 8)))
    background = np.clip(128 + 40 * (waves - waves.mean()) / waves.std(), 0, 255)[..., None]
    carried = [cv2.warpAffine(face, head, face.shape, None, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE) for head in path]
    cover = np.stack(carried)[..., None]
    inside = cv2.erode(face, np.ones((2 * BORDER + 1,) * 2)) > 0.5
    inside[:BORDER] = inside[-BORDER:] = inside[:, :BORDER] = inside[:, -BORDER:] = False
    return np.rint(cover * frames + (1 - cover) * background).astype(np.uint8), inside


def ways(frames: np.ndarray, head: np.ndarray) -> dict[str, np.ndarray]:
    """Flow of a clip without the motion of its head, whose true path is `head`, by each of the ways."""
    estimate = Estimator(Path(), "cpu")
    flow, path = estimate(frames), head_motion.follow(frames, "affine")
    # Giving flow a head that moves the other way round takes the steps of a path out.
    inverse = {name: np.linalg.inv(_full(maps))[:, :2] for name, maps in (("true", head), ("fitted", path))}
    return {
        "kept": flow,
        "registered": estimate(head_motion.stabilised(frames, path)),
        "true steps": head_motion.restored(flow, inverse["true"]),
        "path's steps": head_motion.restored(flow, inverse["fitted"]),
        "each field's": head_motion.without(flow, path, "affine"),
    }


@click.command()
@click.option("--seed", "seeds", multiple=True, default=(1, 2, 3), show_default=True, help="Of the embedded clips.")
@click.option("--clips", default=12, show_default=True, help="Of each seed, of as many subjects as the study has.")
def main(seeds: tuple[int, ...], clips: int) -> None:
    """Print errors in pixels per frame; `each field's` is what the pipeline does."""
    study = load_params(paths.PARAMS).synthesize
    settings = vars(study) | {"clips": max(clips, study.subjects), "layout": "casme2"}
    errors: dict[float, dict[str, list[float]]] = {share: {} for share in SHARES}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for _ in write_tree(folder, **settings | {"seed": seed}):
                pass
            with h5py.File(paths.truth(folder)) as truth:
                names = [f"{subject}/{name}" for subject, episodes in truth.items() for name in episodes]
                for number, name in enumerate(names[:clips]):
                    true, head = known_motion(truth[name])
                    files = frame_files.numbered(folder / "Cropped" / name).values()
                    recording = np.stack([frame_files.read(file) for file in files])
                    frames = resampling.resize(resampling.interpolate(recording, FRAMES), SIZE)
                    for share, found in errors.items():
                        shown, inside = before_background(frames, head, share, np.random.default_rng([seed, number]))
                        for way, flow in ways(shown, head).items():
                            error = np.hypot(*(flow - true).swapaxes(0, 1))[:, inside].mean()
                            found.setdefault(way, []).append(float(error))
    click.echo(f"{'face':>5} " + "".join(f"{way:>14}" for way in errors[SHARES[0]]))
    for share, found in errors.items():
        click.echo(f"{share:>5.0%} " + "".join(f"{np.mean(values):>14.4f}" for values in found.values()))


if __name__ == "__main__":
    main()
