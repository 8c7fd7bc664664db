import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn import functional

from pipeline.errors import InputError
from pipeline.flow.flownet2 import FlowNet2, operators
from pipeline.flow.flownet2 import estimator as estimator_module
from pipeline.flow.flownet2 import network as network_module
from pipeline.flow.flownet2.estimator import Estimator
from pipeline.learning import training
from tests import pretend_gpu

pytestmark = pytest.mark.xdist_group("flownet2 as it is")  # one process makes the 162 million weights

GOLDEN = Path(__file__).parent / "golden" / "flownet2.npz"
INNER = ("flownetc", "flownets_1", "flownets_2", "flownets_d")


# The whole network against the reference.


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


def golden_weights(key: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """The recipe of golden/README.md."""
    generator = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(key.encode())]))
    values = generator.standard_normal(shape, dtype=np.float32)
    transposed = "deconv" in key or "upsampled_flow" in key
    fan = shape[0] * 4 if transposed else np.prod(shape[1:])
    values *= np.float32(0.1) if len(shape) == 1 else np.float32(np.sqrt(2 / (1.01 * fan)))
    return torch.from_numpy(values)


@pytest.fixture(scope="module")
def network(golden) -> FlowNet2:
    with torch.device("meta"):
        network = FlowNet2()
    seed = int(golden["seed"])
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    state = {key: golden_weights(key, shape, seed) for key, shape in shapes.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "FlowNet2_checkpoint.pth.tar"
    torch.save({"state_dict": network.state_dict()}, path)
    yield path
    path.unlink()  # pytest would keep 650 MB of each of the last three runs


@pytest.fixture(scope="module")
def estimator(weights) -> Estimator:
    return Estimator(weights, torch.device("cpu"))


def close(result, expected: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(result), expected, rtol=0, atol=tolerance)


def to_tensor(frame: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frame).permute(2, 0, 1)[None].float()


def run(network: FlowNet2, first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
    """The flow, and what the networks inside returned."""
    outputs = {}
    hooks = [
        getattr(network, name).register_forward_hook(
            lambda module, inputs, output, name=name: outputs.update({name: output.clone()})
        )
        for name in INNER
    ]
    outputs["flow"] = network(first, second)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize("align_corners", [True, False])
def test_golden(network, golden, monkeypatch, align_corners):
    monkeypatch.setattr(network, "align_corners", align_corners)
    first, second = map(to_tensor, golden["frames"])
    # The golden pair second of two: a batch must not mix its pairs.
    outputs = run(network, torch.cat((second, first)), torch.cat((first, second)))
    name = f"FlowNet2_align{int(align_corners)}"
    close(outputs["flow"][1], golden[name], 2e-4)
    for inner in INNER:
        close(outputs[inner][1], golden[f"{name}_{inner}"], 5e-5)


def zero_filled_warp(image, flow):
    height, width = image.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = x + flow[:, 0], y + flow[:, 1]
    grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=3)
    return functional.grid_sample(image, grid, padding_mode="zeros", align_corners=True)


def mean_of_each_frame(first, second):
    return tuple((frame - frame.mean(dim=(2, 3), keepdim=True)) / 255 for frame in (first, second))


def small_displacements_off(network, monkeypatch):
    right = network.flownets_d.forward
    monkeypatch.setattr(network.flownets_d, "forward", lambda pair: right(pair) / 20**2)  # 1 / 8000 in all


def bilinear_before_the_fusion(network, monkeypatch):
    monkeypatch.setattr(network_module, "upsample_nearest", lambda flow: operators.upsample_bilinear(flow, False))


def zeros_outside_the_frame(network, monkeypatch):
    monkeypatch.setattr(network_module, "warp", zero_filled_warp)


def mean_per_frame(network, monkeypatch):
    monkeypatch.setattr(network_module, "normalise", mean_of_each_frame)


# With these weights all that the network for small displacements says is worth at most 0.058 px of flow: less
# than the 0.1 px of the others, but 250 times what test_golden allows.
@pytest.mark.parametrize(
    ("mistake", "least"),
    [
        (small_displacements_off, 0.05),
        (bilinear_before_the_fusion, 0.1),
        (zeros_outside_the_frame, 0.1),
        (mean_per_frame, 0.1),
    ],
)
def test_golden_tells_wiring_mistakes(network, golden, monkeypatch, mistake, least):
    mistake(network, monkeypatch)
    flow = network(*map(to_tensor, golden["frames"]))[0].numpy()
    assert np.abs(flow - golden["FlowNet2_align1"]).max() > least


def test_state_dict_is_that_of_the_published_weights(network):
    state = network.state_dict()
    assert len(state) == 220
    assert sum(tensor.numel() for tensor in state.values()) == 162_518_834
    assert {name.split(".")[0] for name in state} == {*INNER, "flownetfusion"}
    shapes = {
        "flownetc.conv_redir.0.weight": (32, 256, 1, 1),
        "flownetc.conv3_1.0.weight": (256, 473, 3, 3),
        "flownetc.upsampled_flow6_to_5.bias": (2,),
        "flownets_1.conv1.0.weight": (64, 12, 7, 7),
        "flownets_2.deconv4.0.weight": (1026, 256, 4, 4),
        "flownets_d.inter_conv5.0.weight": (512, 1026, 3, 3),
        "flownetfusion.conv0.0.weight": (64, 11, 3, 3),
        "flownetfusion.predict_flow0.bias": (2,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    for part in ("flownets_1", "flownets_2"):
        assert f"{part}.upsampled_flow6_to_5.bias" not in state


# Operators against loops in float64.


def loop_correlation(first: np.ndarray, second: np.ndarray, picks: np.ndarray) -> list[float]:
    _, channels, height, width = first.shape
    values = []
    for n, displacement, y, x in picks:
        to_y, to_x = y + 2 * (displacement // 21 - 10), x + 2 * (displacement % 21 - 10)
        inside = 0 <= to_y < height and 0 <= to_x < width
        values.append(first[n, :, y, x] @ second[n, :, to_y, to_x] / channels if inside else 0.0)
    return values


@pytest.mark.parametrize("shape", [(3, 5, 8, 6), (2, 4, 42, 48), (1, 3, 8, 64)])  # 20 positions reach outside
@pytest.mark.parametrize("products_at_once", [2**26, 1])
def test_correlation(monkeypatch, shape, products_at_once):
    monkeypatch.setattr(operators, "PRODUCTS_AT_ONCE", products_at_once)
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, *shape))
    result = operators.correlation(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    assert result.shape == (shape[0], 441, *shape[2:])
    picks = np.argwhere(np.ones(result.shape, bool))
    picks = picks[rng.permutation(len(picks))[:40_000]]
    close(result[tuple(picks.T)], loop_correlation(first, second, picks), 1e-12)


def test_correlation_works_through_the_batch(monkeypatch):
    monkeypatch.setattr(operators, "PRODUCTS_AT_ONCE", 2 * 4 * 12 * 13)  # two pairs of 8 x 6 positions
    multiplied = []
    matmul = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: multiplied.append(len(a)) or matmul(a, b))
    operators.correlation(*torch.ones(2, 5, 3, 8, 6))
    assert multiplied == [2, 2, 1]


def loop_warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    pairs, _, height, width = image.shape
    result = np.zeros_like(image)
    for n, y, x in np.ndindex(pairs, height, width):
        to_x, to_y = x + flow[n, 0, y, x], y + flow[n, 1, y, x]
        left, top = int(np.floor(to_x)), int(np.floor(to_y))
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            weight = (1 - abs(to_x - column)) * (1 - abs(to_y - row))
            row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
            result[n, :, y, x] += weight * image[n, :, row, column]
    return result


@pytest.mark.parametrize("reach", [0.0, 0.4, 3.0, 30.0])  # of frames of 7 x 9 pixels
def test_warp(reach):
    rng = np.random.default_rng(2)
    image = rng.normal(size=(2, 3, 7, 9))
    flow = rng.uniform(-reach, reach, size=(2, 2, 7, 9))
    flow[1] = flow[1].round()  # whole pixels, which also meet the border exactly
    expected = loop_warp(image, flow)
    result = operators.warp(torch.from_numpy(image), torch.from_numpy(flow)).numpy()
    close(result, expected, 1e-12)
    result = operators.warp(torch.from_numpy(image).float(), torch.from_numpy(flow).float()).numpy()
    close(result, expected, 2e-5)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(3, 5), (1, 2)])
def test_upsample_bilinear(align_corners, size):
    flow = np.random.default_rng(3).normal(size=(2, 2, *size))
    large = [4 * length for length in size]
    expected = np.zeros((2, 2, *large))
    for n, channel, y, x in np.ndindex(*expected.shape):
        value = 0.0
        for row, column in np.ndindex(*size):
            weights = []
            for to, at, length in ((y, row, size[0]), (x, column, size[1])):
                source = to * (length - 1) / (4 * length - 1) if align_corners else (to + 0.5) / 4 - 0.5
                source = np.clip(source, 0, length - 1)
                weights.append(max(0, 1 - abs(source - at)))
            value += weights[0] * weights[1] * flow[n, channel, row, column]
        expected[n, channel, y, x] = value
    result = operators.upsample_bilinear(torch.from_numpy(flow), align_corners).numpy()
    close(result, expected, 1e-12)


def test_upsample_nearest():
    flow = np.random.default_rng(4).normal(size=(2, 2, 3, 5))
    expected = np.zeros((2, 2, 12, 20))
    for n, channel, y, x in np.ndindex(*expected.shape):
        expected[n, channel, y, x] = flow[n, channel, y // 4, x // 4]
    np.testing.assert_array_equal(operators.upsample_nearest(torch.from_numpy(flow)).numpy(), expected)


def test_normalise():
    frames = np.random.default_rng(5).uniform(0, 255, size=(2, 3, 3, 4, 5))  # frame, pair, channel, y, x
    frames[1, 1] *= 0.5  # pairs and frames with means of their own
    expected = np.zeros_like(frames)
    for n, channel in np.ndindex(3, 3):
        total = 0.0
        for frame, y, x in np.ndindex(2, 4, 5):
            total += frames[frame, n, channel, y, x]
        expected[:, n, channel] = (frames[:, n, channel] - total / (2 * 4 * 5)) / 255
    for result, wanted in zip(operators.normalise(*torch.from_numpy(frames)), expected, strict=True):
        close(result.numpy(), wanted, 1e-12)


def test_channel_norm():
    x = np.random.default_rng(6).normal(size=(2, 3, 4, 5))
    expected = np.zeros((2, 1, 4, 5))
    for n, row, column in np.ndindex(2, 4, 5):
        expected[n, 0, row, column] = sum(x[n, channel, row, column] ** 2 for channel in range(3)) ** 0.5
    close(operators.channel_norm(torch.from_numpy(x)), expected, 1e-12)


# Finite output, whatever the frames.


def test_zero_weights_give_no_flow(golden):
    with torch.device("meta"):
        network = FlowNet2()
    # One zero stands for all values of a tensor: nothing of 650 MB to allocate.
    zeros = {name: torch.zeros(()).expand(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(zeros, assign=True)
    with torch.no_grad():
        flow = network(*(to_tensor(frame)[..., :64, :64] for frame in golden["frames"]))
    assert (flow == 0).all()


def test_constant_frames(network):
    pairs = torch.tensor([(0.0, 0.0), (255.0, 255.0), (0.0, 255.0), (255.0, 0.0)])
    first, second = (levels[:, None, None, None].expand(-1, 3, 64, 64) for levels in pairs.T)
    assert network(first, second).isfinite().all(dim=(1, 2, 3)).tolist() == [True] * 4


def test_equal_frames(network, golden):
    frame = to_tensor(golden["frames"][0])[..., :64, :64]
    assert network(frame, frame).isfinite().all()


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    st.sampled_from([(64, 64), (64, 128), (128, 64)]).flatmap(
        lambda size: arrays.arrays(np.uint8, (2, 1, *size, 3), fill=st.integers(0, 255))
    )
)
def test_no_frames_give_nan(estimator, frames):
    flow = estimator.estimate_pairs(*frames)
    assert flow.shape == (1, 2, *frames.shape[2:4])
    assert np.isfinite(flow).all()


# What is refused.


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        (torch.zeros(1, 3, 64, 100), torch.zeros(1, 3, 64, 100), ValueError, "64 high and 100 wide"),
        (torch.zeros(1, 3, 170, 140), torch.zeros(1, 3, 170, 140), ValueError, "multiples of 64"),
        (torch.zeros(1, 3, 0, 64), torch.zeros(1, 3, 0, 64), ValueError, "have"),
        (torch.zeros(0, 3, 64, 64), torch.zeros(0, 3, 64, 64), ValueError, "have"),
        (torch.zeros(3, 64, 64), torch.zeros(3, 64, 64), ValueError, "(N, 3, H, W)"),
        (torch.zeros(1, 64, 64, 3), torch.zeros(1, 64, 64, 3), ValueError, "(N, 3, H, W)"),
        (torch.zeros(1, 3, 64, 64), torch.zeros(2, 3, 64, 64), ValueError, "one shape"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, 64, 64), TypeError, "uint8"),
        (torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64).double(), TypeError, "float64"),
        (np.zeros((1, 3, 64, 64), np.float32), torch.zeros(1, 3, 64, 64), TypeError, "ndarray"),
    ],
)
def test_network_refuses(network, first, second, error, message):
    with pytest.raises(error) as caught:
        network(first, second)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "error", "message"),
    [
        (np.zeros((3, 64, 64, 3), np.float32), TypeError, "float32"),
        (np.zeros((3, 64, 64), np.uint8), ValueError, "(N, H, W, 3)"),
        (np.zeros((1, 64, 64, 3), np.uint8), ValueError, "(N, H, W, 3)"),
        (np.zeros((3, 64, 100, 3), np.uint8), ValueError, "multiples of 64"),
    ],
)
def test_estimator_refuses(estimator, frames, error, message):
    with pytest.raises(error) as caught:
        estimator(frames)
    assert message in str(caught.value)


# The estimator.


def test_estimator(estimator, golden):
    first, second = golden["frames"]
    flow = estimator(np.stack((first, second, first)))
    assert flow.dtype == np.float32
    assert flow.shape == (2, 2, 192, 192)
    close(flow[0], golden["FlowNet2_align1"], 2e-4)
    backward = estimator.estimate_pairs(second[None], first[None])
    close(flow[1:], backward, 2e-4)


def test_several_clips_in_one_batch(estimator):
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 128, 3), np.uint8)
    flow = estimator.estimate_clips(clips)
    assert flow.shape == (2, 2, 2, 64, 128)
    close(flow, np.stack([estimator(clip) for clip in clips]), 2e-4)


def test_a_cpu_is_given_one_clip_at_a_time(estimator):
    assert not estimator.on_gpu
    assert estimator.clips_at_once((20, 192, 192, 3)) == 1


@pytest.mark.parametrize(
    ("gigabytes", "size", "clips"),
    [(80, 192, 14), (139, 192, 25), (8, 192, 1), (4, 192, 1), (1, 192, 1), (80, 64, 131), (1000, 192, 37)],
)
def test_a_gpu_is_given_what_fits_into_half_of_its_memory(estimator, monkeypatch, gigabytes, size, clips):
    monkeypatch.setattr(estimator, "on_gpu", True)
    properties = SimpleNamespace(total_memory=gigabytes * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert estimator.clips_at_once((20, size, size, 3)) == clips


def test_a_gpu_that_is_full_is_one_clear_error(estimator, monkeypatch):
    def full(first, second):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(estimator, "_network", full)
    with pytest.raises(InputError, match=r"no room for 2 pairs.*runtime\.device: cpu"):
        estimator(np.zeros((3, 64, 64, 3), np.uint8))


def test_what_decides_the_last_digits_is_known(estimator):
    assert set(estimator.arithmetic) == {"torch", "device", "threads"}


def test_estimator_settings(estimator):
    digest = estimator.settings["weights_sha256"]
    assert len(digest) == 64
    expected = {"method": "flownet2", "align_corners": 1, "tf32": 0, "weights_sha256": digest}
    assert estimator.settings == expected


@pytest.fixture(params=[False, True])
def tf32_of_training(request):
    threads = torch.get_num_threads()
    training.fix_arithmetic(threads, tf32=request.param, deterministic=False)
    yield request.param
    training.fix_arithmetic(threads, tf32=False, deterministic=False)


@pytest.mark.parametrize("tf32", [False, True])
def test_product_precision_is_set_and_put_back(tf32, tf32_of_training):
    def precision():
        newer = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        return [
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
            *(backend.fp32_precision == "tf32" for backend in newer),
            torch.get_float32_matmul_precision() == "high",
        ]

    assert not torch.backends.cudnn.deterministic
    with pytest.raises(KeyError), estimator_module._fixed_arithmetic(tf32):
        assert precision() == [tf32] * 5
        assert torch.backends.cudnn.deterministic
        raise KeyError
    assert precision() == [tf32_of_training] * 5
    assert not torch.backends.cudnn.deterministic


def test_on_a_gpu_nothing_is_left_on_the_wrong_device(estimator, weights, monkeypatch):
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)
    here = estimator.estimate_clips(clips)
    monkeypatch.setattr(estimator_module, "resolve_device", lambda name: pretend_gpu.DEVICE)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a pretended GPU")
    with pretend_gpu.PretendGPU():
        there = Estimator(weights, "cuda")
        np.testing.assert_allclose(there.estimate_clips(clips), here, atol=1e-5)
    assert there.on_gpu and there.arithmetic["device"] == "a pretended GPU"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_golden_on_a_gpu(weights, golden):
    flow = Estimator(weights, torch.device("cuda"))(golden["frames"])
    close(flow[0], golden["FlowNet2_align1"], 1e-3)
