"""Speed, memory and accuracy of the flow estimators, in one run: python -m benchmarks.flow [--weights FILE]

FlowNet 2.0 runs with random weights unless a file is given: its speed does not depend on them, its accuracy is then not
measured. On a GPU the same figures are measured there, and the error of TF32.
"""

import tempfile
import time
from pathlib import Path
from unittest import mock

import click
import cv2
import h5py
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from benchmarks.machine import matrix_rate, peak_memory, seconds
from pipeline import paths
from pipeline.device import resolve_device
from pipeline.flow import estimators, extraction
from pipeline.flow.flownet2 import FlowNet2, operators
from pipeline.flow.flownet2.estimator import Estimator
from pipeline.frames import frame_files
from pipeline.storage import clip_store
from pipeline.storage.resume import Pieces
from pipeline.synthetic.generator import write_tree
from pipeline.synthetic.motion import true_flow

SIZE, PAIRS = 192, 19  # of a clip as the pipeline makes it
GFLOP_PER_PAIR = 37.3  # of FlowNet 2.0 at 192 x 192, a multiplication and an addition counted as two
STUDY = 246 * PAIRS  # pairs of a set as large as CASME II
SYNTHETIC = {
    "seed": 1,
    "subjects": 2,
    "clips": 6,
    "height": SIZE,
    "width": SIZE,
    "frames": (20, 24),
    "amplitude": (1.0, 3.0),
    "drift": 1.0,
    "rotation": 0.0,
    "scale": 0.0,
    "noise": 1.0,
    "flicker": 0.01,
}


def slice_loop_correlation(first: Tensor, second: Tensor) -> Tensor:
    """What `operators.correlation` computes, with a loop over the 441 displacements."""
    height, width = first.shape[2:]
    padded = functional.pad(second, (20, 20, 20, 20))
    steps = range(0, 41, 2)
    maps = [(first * padded[:, :, dy : dy + height, dx : dx + width]).mean(1) for dy in steps for dx in steps]
    return torch.stack(maps, 1)


def speed(network: Estimator, device: torch.device) -> None:
    """FlowNet 2.0 beside the same network with a slice loop, and beside the rate of one large matrix product."""
    frames = np.random.default_rng(0).integers(0, 256, (PAIRS + 1, SIZE, SIZE, 3), np.uint8)
    matrices = matrix_rate(device)
    limit = matrices / GFLOP_PER_PAIR
    click.echo(f"float32 matrix rate {matrices:.0f} GFLOP/s; {GFLOP_PER_PAIR} GFLOP per pair: {limit:.2f} pairs/s")
    sizes = {1: frames[:2], PAIRS: frames}
    rates = {}
    for batch, clip in sizes.items():
        rates[batch] = batch / seconds(lambda clip=clip: network(clip), device)
    memory = peak_memory(device)
    for batch, clip in sizes.items():
        with mock.patch("pipeline.flow.flownet2.network.correlation", slice_loop_correlation):
            loop = batch / seconds(lambda clip=clip: network(clip), device)
        click.echo(
            f"flownet2, batch {batch:2}: {rates[batch]:.2f} pairs/s, {rates[batch] / limit:.0%} of the matrix rate, "
            f"{rates[batch] / loop:.2f} x with a slice loop ({loop:.2f})"
        )
    click.echo(f"peak memory at batch {PAIRS}: {memory:.2f} GiB")

    features = torch.rand(2, PAIRS, 256, SIZE // 8, SIZE // 8, device=device)
    with torch.inference_mode():
        product = seconds(lambda: operators.correlation(*features), device)
        loop = seconds(lambda: slice_loop_correlation(*features), device)
        difference = (operators.correlation(*features) - slice_loop_correlation(*features)).abs().max()
    click.echo(
        f"correlation, batch {PAIRS}: {product * 1e3:.1f} ms, slice loop {loop * 1e3:.0f} ms: {loop / product:.0f} x "
        f"(largest difference {difference:.0e})"
    )
    if device.type == "cuda":
        clips = network.clips_at_once((PAIRS + 1, SIZE, SIZE, 3))
        batch = np.broadcast_to(frames, (clips, *frames.shape))
        rate = clips * PAIRS / seconds(lambda: network.estimate_clips(batch), device)
        click.echo(f"flownet2, {clips} clips at once: {rate:.0f} pairs/s, {rate / limit:.0%} of the matrix rate")
        click.echo(f"{STUDY:,} pairs: {STUDY / rate:.1f} s of network time; peak memory {peak_memory(device):.2f} GiB")


class Nothing(estimators.FlowEstimator):
    """An estimator that costs nothing: what is left of the stage is reading and writing."""

    def __init__(self, weights: Path, device: str, tf32: bool = False) -> None:
        self.settings, self.arithmetic = {}, {}
        self._flow = np.random.default_rng(0).normal(size=(PAIRS, 2, SIZE, SIZE)).astype(np.float32)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        return self._flow


class EmulatedTf32(TorchFunctionMode):
    """Rounds the operands of convolutions and products to TF32, as an NVIDIA GPU does; sums stay in float32."""

    PRODUCTS = (torch.conv2d, torch.conv_transpose2d, Tensor.matmul)

    def __torch_function__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, as in PyTorch
        if function in self.PRODUCTS:
            # Bias, strides and the like come after the two operands.
            args = (*(_tf32(arg) if isinstance(arg, Tensor) else arg for arg in args[:2]), *args[2:])
        return function(*args, **(kwargs or {}))


def _tf32(values: Tensor) -> Tensor:
    """To the nearest number with 10 bits after the leading one, ties away from zero."""
    bits = values.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def tf32_error(file: Path, network: Estimator, frames: np.ndarray, device: torch.device) -> None:
    """What rounding to TF32 does to the flow of a clip; emulated where there is no GPU."""
    exact = network(frames)
    if device.type == "cuda":
        rounded, how = Estimator(file, str(device), tf32=True)(frames), ""
    else:
        with EmulatedTf32():
            rounded, how = network(frames), " (emulated: operands of all products rounded to 10 bits)"
    error = np.hypot(*(rounded - exact).swapaxes(0, 1))
    length = np.sqrt(np.square(np.hypot(*exact.swapaxes(0, 1))).mean())
    click.echo(
        f"TF32{how} moves the flow by {error.max():.1e} px at most, {error.mean():.1e} on average; "
        f"the flow is {length:.1e} px long (root mean square)"
    )


def whole_stage(folder: Path, estimator: estimators.FlowEstimator, what: str, clips: int) -> None:
    """Pairs per second of reading, estimating, keeping and writing."""
    frames = np.random.default_rng(0).integers(0, 256, (clips, PAIRS + 1, SIZE, SIZE, 3), np.uint8)
    names = [str(number) for number in range(clips)]
    clip_store.write_stack(folder / "resized.h5", "frames", names, frames)
    at_once = estimator.clips_at_once(frames.shape[1:])
    estimator.estimate_clips(frames[:at_once])  # warm-up
    start = time.perf_counter()
    with clip_store.reading(folder / "resized.h5") as file:
        extraction.key(folder / "resized.h5", estimator, at_once)
        fields = extraction.extract(file["frames"], estimator, at_once, Pieces(Path(tempfile.mkdtemp(dir=folder))))
        clip_store.write_stack(folder / "flow.h5", "flow", names, fields)
    rate = clips * PAIRS / (time.perf_counter() - start)
    click.echo(f"{what}: {rate:.0f} pairs/s, {STUDY / rate:.1f} s for {STUDY:,} pairs")


def synthetic_clips(folder: Path, step: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Every `step`-th frame of clips of synthetic faces, the true flow between them, and the mask of what moves.

    uint8 (T + 1, H, W, 3), float32 (T, 2, H, W) px and bool (H, W).
    """
    clips, flows, masks = [], [], []
    with h5py.File(paths.truth(folder)) as truth:
        for subject, episodes in truth.items():
            for name, clip in episodes.items():
                files = list(frame_files.numbered(folder / "Cropped" / subject / name).values())
                clips.append(np.stack([frame_files.read(file) for file in files[::step]]))
                motion = [clip[key][()] for key in ("basis", "profile", "head")]
                flows.append(np.stack([true_flow(*motion, i, i + step) for i in range(0, len(files) - step, step)]))
                masks.append(clip["moving"][()])
    return clips, flows, masks


def accuracy(compared: dict[str, estimators.FlowEstimator], folder: Path, step: int) -> None:
    """End-point error over the pixels that move, between frames as they were filmed, `step` apart."""
    clips, flows, masks = synthetic_clips(folder, step)

    def error(estimates: list[np.ndarray]) -> float:
        parts = [
            np.hypot(*(estimate - truth).swapaxes(0, 1))[:, moving].ravel()
            for estimate, truth, moving in zip(estimates, flows, masks, strict=True)
        ]
        return float(np.concatenate(parts).mean())

    pairs = sum(len(field) for field in flows)
    zero = error([np.zeros_like(field) for field in flows])
    click.echo(f"{pairs} pairs of synthetic frames, {step} apart: error of zero flow {zero:.4f} px where it moves")
    for name, estimator in compared.items():
        start = time.perf_counter()
        estimates = [estimator(clip) for clip in clips]
        rate = pairs / (time.perf_counter() - start)
        mean = error(estimates)
        rounded = [estimate.astype(np.float16).astype(np.float32) for estimate in estimates]
        rounding = np.concatenate([np.abs(a - b).ravel() for a, b in zip(rounded, estimates, strict=True)])
        click.echo(
            f"  {name}: error {mean:.4f} px, {mean / zero:.2f} of zero flow; {rate:.1f} pairs/s; float16 rounds by "
            f"{rounding.max():.1e} px at most, {rounding.mean():.1e} on average, and moves the error by "
            f"{error(rounded) - mean:+.0e} px"
        )


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), help="Published weights; random ones if not given.")
@click.option("--device", default="auto", show_default=True)
def main(weights: Path | None, device: str) -> None:
    """Measure everything and print it."""
    chosen = resolve_device(device)
    cv2.setNumThreads(torch.get_num_threads())  # OMP_NUM_THREADS holds for all
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"{torch.get_num_threads()} threads"
    click.echo(f"{chosen.type}, {name}, PyTorch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = weights or folder / "random.ckpt"
        if weights is None:
            torch.save(FlowNet2().state_dict(), file)
        network = Estimator(file, str(chosen))
        speed(network, chosen)
        whole_stage(folder, Nothing(Path(), "cpu"), "reading, keeping and writing", clips=20)
        if chosen.type == "cuda":
            whole_stage(folder, network, "reading, estimating, keeping and writing", clips=STUDY // PAIRS)
        compared = {method: estimators.estimator(method, file, "cpu") for method in ("dis", "farneback")}
        if weights:
            compared["flownet2"] = network
        for _ in write_tree(folder / "synthetic", **SYNTHETIC):
            pass
        for step in (1, 4):
            accuracy(compared, folder / "synthetic", step)
        if not weights:
            click.echo("flownet2: accuracy not measured, it needs the published weights (--weights FILE)")
        tf32_error(file, network, synthetic_clips(folder / "synthetic", step=1)[0][0], chosen)


if __name__ == "__main__":
    main()
