"""Flow of a clip by FlowNet 2.0: its weights, its batches and its arithmetic on a CPU or a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.flow.estimators import FlowEstimator
from pipeline.flow.flownet2.network import FlowNet2
from pipeline.flow.flownet2.weights import load_weights

# What decides how many clips a GPU is given at a time.
BYTES_OF_WEIGHTS = 2**30  # the weights, 0.6 GiB, and what the correlation holds
BYTES_PER_PIXEL = 4096  # of one pair: activations take 1,770 on a CPU; the rest is room for a GPU's convolutions
WIDEST = 82  # channels of the widest tensor at full size, in the fusion
LARGEST_TENSOR = 2**31  # values; beyond, positions no longer fit into 32 bits, and GPUs take slow ways

SETTINGS: dict[str, str | int | float] = {"method": "flownet2", "align_corners": 1}


class Estimator(FlowEstimator):
    """Flow of uint8 frames by FlowNet 2.0 with the weights of a file.

    `tf32` lets a GPU round the inputs of products to 10 bits; it changes nothing on a CPU. Raises
    `pipeline.errors.InputError` when the weights or the device cannot be used.
    """

    def __init__(self, weights: Path, device: str | torch.device, tf32: bool = False) -> None:
        self._device = resolve_device(str(device))
        with torch.device("meta"):  # the file brings the storage: no second copy, no initialisation
            network = FlowNet2(align_corners=bool(SETTINGS["align_corners"]))
        sha256 = load_weights(network, weights)
        self._network = network.requires_grad_(False).eval().to(self._device)
        self._tf32 = tf32
        self.settings: dict[str, str | int | float] = SETTINGS | {"tf32": int(tf32), "weights_sha256": sha256}
        self.on_gpu = self._device.type != "cpu"
        self.arithmetic: dict[str, str | int] = {"torch": str(torch.__version__)}
        if self.on_gpu:
            self.arithmetic["device"] = torch.cuda.get_device_name(self._device)
        else:
            self.arithmetic |= {"device": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow between a clip's adjacent frames: uint8 (T+1, H, W, 3) RGB -> float32 (T, 2, H, W), pixels."""
        return self.estimate_pairs(frames[:-1], frames[1:])

    def clips_at_once(self, shape: tuple[int, ...]) -> int:
        """Clips of (T+1, H, W, 3) per batch: one on a CPU, on a GPU as many as fit into half of its memory.

        All of its memory counts, not what is free: batches that depend on who else is at work would give other
        last digits on another day.
        """
        if not self.on_gpu:
            return 1  # one clip keeps all cores busy
        frames, height, width, _ = shape
        memory = torch.cuda.get_device_properties(self._device).total_memory
        pixels = min((memory // 2 - BYTES_OF_WEIGHTS) // BYTES_PER_PIXEL, LARGEST_TENSOR // WIDEST)
        return max(1, pixels // ((frames - 1) * height * width))

    def estimate_clips(self, frames: np.ndarray) -> np.ndarray:
        """Flow of N clips in one batch: uint8 (N, T+1, H, W, 3) RGB -> float32 (N, T, 2, H, W), pixels."""
        clips, length, *size = frames.shape
        first, second = (part.reshape(-1, *size) for part in (frames[:, :-1], frames[:, 1:]))
        flow = self.estimate_pairs(first, second)
        return flow.reshape(clips, length - 1, *flow.shape[1:])

    def estimate_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Flow of N pairs in one batch: uint8 (N, H, W, 3) RGB twice -> float32 (N, 2, H, W), pixels."""
        try:
            with torch.inference_mode(), _fixed_arithmetic(self._tf32):
                flow: Tensor = self._network(self._upload(first), self._upload(second))
                return flow.cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"FlowNet 2.0: the GPU has no room for {len(first)} pairs of frames at once, which need less than half "
                "of its memory. Wait until no other program uses it, or set runtime.device: cpu in params.yaml."
            ) from error

    def _upload(self, frames: np.ndarray) -> Tensor:
        if frames.dtype != np.uint8:
            raise TypeError(f"FlowNet 2.0: frames must be uint8, but are {frames.dtype}")
        if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
            raise ValueError(f"FlowNet 2.0: frames must have the shape (N, H, W, 3), but have {frames.shape}")
        # A quarter of the bytes cross to a GPU before they become float32.
        tensor = torch.from_numpy(np.ascontiguousarray(frames)).to(self._device)
        return tensor.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)


@contextmanager
def _fixed_arithmetic(tf32: bool) -> Iterator[None]:
    """Products on a GPU in TF32 or in full float32, the same bits each time.

    PyTorch's own default for convolutions is TF32, and it admits algorithms whose sums come in any order. Of its two
    kinds of switches the older ones, as in training: they move the newer ones along, and PyTorch refuses to say which
    precision holds where the two kinds disagree.
    """
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32, cudnn.deterministic
    try:
        products.allow_tf32 = cudnn.allow_tf32 = tf32
        cudnn.deterministic = True
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = before
