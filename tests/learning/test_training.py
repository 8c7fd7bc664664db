"""One fold: it learns, it is reproducible, and it cannot see what it is tested on."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.learning import augmentation, training
from pipeline.learning.objective import Objective, accuracy, cross_entropy
from pipeline.learning.seeds import derived_seed
from pipeline.learning.training import Phase, TrainingSettings
from pipeline.networks.stanet import Settings
from pipeline.networks.stanet.method import objective
from pipeline.networks.stanet.network import STANet, stanet_loss
from pipeline.storage import resume
from tests import pretend_gpu

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


def settings(**changes):
    values = dict(
        epochs=2,
        lr=1e-3,
        weight_decay=1e-4,
        batch_size=4,
        views=augmentation.views((0.9, 1.0, 1.1), False),
        every_view=False,
        crop=40,
    )
    return TrainingSettings(**values | changes)


def clips(count, seed=0):
    """Clips of two classes, half precision: motion in the upper or the lower half of the field."""
    rng = np.random.default_rng(seed)
    flow = rng.normal(scale=0.02, size=(count, 5, 2, 48, 48))
    labels = np.arange(count) % 2
    for clip, label in zip(flow, labels, strict=True):
        clip[1:3, 1, 8 + 20 * label : 20 + 20 * label, 12:36] += 0.3
    return torch.from_numpy(flow).half(), torch.from_numpy(labels)


def train(flow, labels, held_out, *, lambda_=1e-8, seed=1, device=CPU, pieces=None, on_epoch=None, **changes):
    return training.train_fold(
        [
            Phase(
                "",
                STANet(2, seed=seed),
                replace(objective(Settings()), loss=partial(stanet_loss, lambda_=lambda_)),
                settings(**changes),
            )
        ],
        torch.cat([flow, held_out]),
        torch.arange(len(flow)),
        labels,
        torch.arange(len(held_out)) + len(flow),
        seed=seed,
        device=device,
        threads=1,  # tests run side by side
        pieces=pieces,
        on_epoch=on_epoch,
    )


def test_a_fold_learns_what_can_be_learned():
    fold = train(*clips(16), clips(8, seed=1)[0], epochs=15)
    assert (fold.probabilities.argmax(axis=1) == np.arange(8) % 2).mean() >= 0.9
    assert fold.curve["cross_entropy"].iloc[-1] < 0.5 * fold.curve["cross_entropy"].iloc[0]


def test_probabilities_and_curve_are_complete():
    fold = train(*clips(6), clips(3)[0], epochs=3)
    assert fold.probabilities.shape == (3, 2) and fold.probabilities.dtype == np.float64
    np.testing.assert_allclose(fold.probabilities.sum(axis=1), 1)
    assert list(fold.curve.columns) == ["epoch", "loss", "cross_entropy", "mask_l1", "accuracy"]
    assert fold.curve["epoch"].tolist() == [1, 2, 3]
    curve = fold.curve
    np.testing.assert_allclose(curve["loss"], curve["cross_entropy"] + 1e-8 * curve["mask_l1"], rtol=1e-5)
    assert curve["accuracy"].between(0, 1).all()


@pytest.mark.parametrize(
    "change", [{"every_view": True, "views": augmentation.views((0.9, 1.0), False)[::5]}, {"every_view": False}]
)
def test_a_rerun_gives_the_same_bytes(change):
    one, two = (train(*clips(6), clips(3)[0], **change) for _ in range(2))
    assert one.probabilities.tobytes() == two.probabilities.tobytes()
    assert one.curve.equals(two.curve)
    assert all(torch.equal(one.state[name], two.state[name]) for name in one.state)


def test_a_fold_does_not_depend_on_what_ran_before_it():
    alone = train(*clips(6), clips(3)[0])
    torch.manual_seed(99)
    train(*clips(6, seed=5), clips(3)[0], seed=3)
    assert train(*clips(6), clips(3)[0]).probabilities.tobytes() == alone.probabilities.tobytes()


def test_another_seed_gives_another_model():
    one, two = (train(*clips(6), clips(3)[0], seed=seed) for seed in (1, 2))
    assert one.probabilities.tobytes() != two.probabilities.tobytes()


def test_held_out_clips_have_no_labels_and_no_influence_on_the_model():
    flow, labels = clips(6)
    one = train(flow, labels, clips(3)[0])
    two = train(flow, labels, 100 * torch.randn(5, 5, 2, 48, 48).half())
    assert all(torch.equal(one.state[name], two.state[name]) for name in one.state)


def test_predictions_do_not_depend_on_the_clips_they_are_made_with():
    flow, labels = clips(6)
    held_out = clips(5, seed=1)[0]
    together = train(flow, labels, held_out).probabilities
    alone = train(flow, labels, held_out[3:4]).probabilities
    np.testing.assert_allclose(alone[0], together[3], rtol=1e-5)


def shown(every_view, clips=5):
    clip, view = training._order(clips, settings(every_view=every_view), torch.Generator().manual_seed(0))
    return list(zip(clip.tolist(), view.tolist(), strict=True))


def test_an_epoch_shows_every_view_of_every_clip_once():
    order = shown(every_view=True)
    assert len(order) == len(set(order)) == 5 * 15
    assert {clip for clip, _ in order} == set(range(5)) and {view for _, view in order} == set(range(15))
    assert [clip for clip, _ in order] != sorted(clip for clip, _ in order)


def test_an_epoch_of_random_views_shows_every_clip_once():
    order = shown(every_view=False)
    assert sorted(clip for clip, _ in order) == list(range(5))
    assert len({view for _, view in order}) > 1


def test_every_shown_clip_is_trained_on(monkeypatch):
    seen = []
    batch = training._batch
    monkeypatch.setattr(
        training, "_batch", lambda flow, clips, device: (seen.extend(clips.tolist()), batch(flow, clips, device))[1]
    )
    train(*clips(6), clips(3)[0], epochs=3)
    assert len(seen) == 18 and all(seen.count(clip) == 3 for clip in range(6))


class Interrupted(Exception):
    pass


def interrupt_after(epochs):
    """What ends a training after so many epochs of this run, as a signal would."""
    seen = []

    def on_epoch(epoch):
        seen.append(epoch.number)
        if len(seen) == epochs:
            raise Interrupted

    return on_epoch


def pieces_of(folder):
    return resume.Pieces(folder / "key")


@pytest.mark.parametrize(
    "change",
    [
        {"every_view": True, "views": augmentation.views((1.0,), False)[:3]},
        {"every_view": False},
        {"precision": "bf16"},
    ],
)
def test_a_resumed_training_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path, change):
    data = clips(6), clips(3, seed=1)[0]
    whole = train(*data[0], data[1], epochs=5, **change)
    for epochs in (2, 1):
        with pytest.raises(Interrupted):
            train(*data[0], data[1], epochs=5, pieces=pieces_of(tmp_path), on_epoch=interrupt_after(epochs), **change)
    assert pieces_of(tmp_path).finished == {3}
    trained = []
    rest = train(
        *data[0],
        data[1],
        epochs=5,
        pieces=pieces_of(tmp_path),
        on_epoch=lambda epoch: trained.append(epoch.number),
        **change,
    )
    assert trained == [4, 5]
    assert rest.probabilities.tobytes() == whole.probabilities.tobytes()
    assert rest.curve.equals(whole.curve)
    assert all(torch.equal(rest.state[name], whole.state[name]) for name in whole.state)


def test_a_training_that_was_interrupted_after_its_last_epoch_only_predicts(tmp_path):
    data = clips(6), clips(3, seed=1)[0]
    whole = train(*data[0], data[1], pieces=pieces_of(tmp_path))
    again = train(*data[0], data[1], pieces=pieces_of(tmp_path), on_epoch=interrupt_after(1))
    assert again.probabilities.tobytes() == whole.probabilities.tobytes() and again.curve.equals(whole.curve)


def test_a_damaged_state_is_never_used(tmp_path):
    data = clips(6), clips(3, seed=1)[0]
    whole = train(*data[0], data[1], epochs=3)
    with pytest.raises(Interrupted):
        train(*data[0], data[1], epochs=3, pieces=pieces_of(tmp_path), on_epoch=interrupt_after(2))
    [file] = (tmp_path / "key").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    pieces = pieces_of(tmp_path)
    assert pieces.damaged == [file] and not pieces.finished
    again = train(*data[0], data[1], epochs=3, pieces=pieces)
    assert again.probabilities.tobytes() == whole.probabilities.tobytes()


@pytest.mark.parametrize("changes", [{"lr": 1e30}, {"lambda_": 1e38}])
def test_a_training_that_diverges_gives_no_result(changes, tmp_path):
    with pytest.raises(InputError, match=r"training that converges, but the loss of epoch \d is (nan|inf)\. Lower"):
        train(*clips(6), clips(3)[0], pieces=pieces_of(tmp_path), **changes)
    assert not pieces_of(tmp_path).finished


def test_a_training_that_diverges_in_its_last_step_gives_no_result():
    with pytest.raises(InputError, match=r"the sum of the probabilities is nan\. Lower train\.lr"):
        train(*clips(6), clips(3)[0], lr=1e30, epochs=1, batch_size=6)


def test_bfloat16_is_another_arithmetic_with_nearly_the_same_result():
    data = clips(8), clips(4, seed=1)[0]
    full, half = (train(*data[0], data[1], precision=precision) for precision in ("float32", "bf16"))
    assert all(value.dtype != torch.bfloat16 for value in half.state.values())
    assert full.probabilities.tobytes() != half.probabilities.tobytes()
    np.testing.assert_allclose(half.probabilities, full.probabilities, atol=0.1)


@pytest.fixture(params=[2**34, 2**17], ids=["flow fits", "flow does not fit"])
def gpu(request, monkeypatch):
    properties = SimpleNamespace(total_memory=request.param)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    with pretend_gpu.PretendGPU():
        yield pretend_gpu.DEVICE


@pytest.mark.parametrize("every_view", [False, True])
def test_on_a_gpu_nothing_is_left_on_the_wrong_device(gpu, every_view):
    data = clips(6), clips(3, seed=1)[0]
    change = {"every_view": every_view, "views": augmentation.views((0.9, 1.0), False)[::5]}
    there, here = (train(*data[0], data[1], device=device, **change) for device in (gpu, CPU))
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-5)
    assert all(value.device == CPU for value in there.state.values())


def test_on_a_gpu_an_interrupted_fold_goes_on(gpu, tmp_path):
    data = clips(6), clips(3, seed=1)[0]
    whole = train(*data[0], data[1], epochs=3, device=gpu)
    with pytest.raises(Interrupted):
        train(*data[0], data[1], epochs=3, device=gpu, pieces=pieces_of(tmp_path), on_epoch=interrupt_after(2))
    again = train(*data[0], data[1], epochs=3, device=gpu, pieces=pieces_of(tmp_path))
    assert again.probabilities.tobytes() == whole.probabilities.tobytes()
    assert all(torch.equal(again.state[name], whole.state[name]) for name in whole.state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("changes", [{}, {"precision": "bf16"}, {"batch_size": 4}], ids=str)
def test_reruns_on_a_gpu_give_the_same_bytes(tmp_path, changes):
    """And so does a training that was interrupted; batches of two sizes make two recordings of a step."""
    data, cuda = (*clips(6), clips(3)[0]), torch.device("cuda")
    one, two = (train(*data, epochs=4, every_view=True, device=cuda, **changes) for _ in range(2))
    with pytest.raises(Interrupted):
        train(
            *data,
            epochs=4,
            every_view=True,
            device=cuda,
            **changes,
            pieces=pieces_of(tmp_path),
            on_epoch=interrupt_after(2),
        )
    again = train(*data, epochs=4, every_view=True, device=cuda, **changes, pieces=pieces_of(tmp_path))
    for other in (two, again):
        assert one.probabilities.tobytes() == other.probabilities.tobytes()
        assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_what_a_cpu_learns():
    data = *clips(6), clips(3, seed=1)[0]
    there, here = (train(*data, every_view=True, batch_size=4, device=device) for device in (torch.device("cuda"), CPU))
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-3)
    np.testing.assert_allclose(there.curve, here.curve, rtol=1e-3, atol=1e-4)


class MotionOutput(NamedTuple):
    logits: Tensor
    energy: Tensor
    """(N,)."""


class MotionEnergy(nn.Module):
    """A network that has nothing in common with STANet but its logits."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, flow):
        half = flow.shape[3] // 2
        halves = torch.stack([flow[:, :, 1, :half], flow[:, :, 1, half:]], dim=1).mean(dim=(2, 3, 4))
        return MotionOutput(self.linear(100 * halves), self.linear.weight.square().sum().expand(len(flow)))


def energy_objective():
    return Objective(
        loss=lambda output, classes: cross_entropy(output, classes) + 0.01 * output.energy.mean(),
        measures={
            "accuracy": accuracy,
            "cross_entropy": cross_entropy,
            "energy": lambda output, classes: output.energy.mean(),
        },
    )


def train_motion_energy(pieces=None, on_epoch=None, **changes):
    flow, labels = clips(16)
    return training.train_fold(
        [
            Phase(
                "",
                MotionEnergy(),
                energy_objective(),
                settings(**{"epochs": 10, "lr": 0.05, "batch_size": 7} | changes),
            )
        ],
        torch.cat([flow, clips(8, seed=1)[0]]),
        torch.arange(16),
        labels,
        torch.arange(16, 24),
        seed=1,
        device=CPU,
        threads=1,
        pieces=pieces,
        on_epoch=on_epoch,
    )


def test_the_same_loop_trains_any_network_for_any_objective(tmp_path):
    fold = train_motion_energy()
    assert (fold.probabilities.argmax(axis=1) == np.arange(8) % 2).all()
    curve = fold.curve
    assert list(curve.columns) == ["epoch", "loss", "accuracy", "cross_entropy", "energy"]
    np.testing.assert_allclose(curve["loss"], curve["cross_entropy"] + 0.01 * curve["energy"], rtol=1e-5)
    assert curve["loss"].iloc[-1] < 0.1 * curve["loss"].iloc[0] and curve["energy"].iloc[-1] > 1
    assert set(fold.state) == {"linear.weight", "linear.bias"}
    with pytest.raises(Interrupted):
        train_motion_energy(pieces_of(tmp_path), interrupt_after(4))
    resumed = train_motion_energy(pieces_of(tmp_path))
    assert resumed.curve.equals(fold.curve) and resumed.probabilities.tobytes() == fold.probabilities.tobytes()


class Halves(nn.Module):
    """What a second phase may learn on: the mean vertical motion of both halves, as its predecessor has scaled it."""

    def __init__(self, before: MotionEnergy):
        super().__init__()
        self.before = before.requires_grad_(False)
        self.linear = nn.Linear(2, 2)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, flow):
        output = self.before(flow)
        return MotionOutput(self.linear(output.logits), output.energy)


def two_phases(begun=None):
    """Two trainings, of 3 and 2 epochs; the second one is made of the trained network of the first one."""
    first = MotionEnergy()
    yield Phase("first", first, energy_objective(), settings(epochs=3, lr=0.05, batch_size=7))
    if begun is not None:
        begun.append(first.linear.weight.clone())
    second = Objective(loss=cross_entropy, measures={"accuracy": accuracy})
    yield Phase("second", Halves(first), second, settings(epochs=2, lr=0.05, batch_size=7))


def train_phases(phases, pieces=None, on_epoch=None):
    flow, labels = clips(16)
    return training.train_fold(
        phases,
        torch.cat([flow, clips(8, seed=1)[0]]),
        torch.arange(16),
        labels,
        torch.arange(16, 24),
        seed=1,
        device=CPU,
        threads=1,
        pieces=pieces,
        on_epoch=on_epoch,
    )


def test_phases_are_trained_one_after_the_other_and_the_last_one_predicts():
    begun, seen = [], []
    fold = train_phases(two_phases(begun), on_epoch=seen.append)
    assert begun[0].abs().max() > 0.1  # trained when the second phase is made
    assert torch.equal(fold.state["before.linear.weight"], begun[0])  # which leaves it as it is
    assert [(epoch.phase, epoch.number) for epoch in seen] == [
        *(("first", number) for number in (1, 2, 3)),
        *(("second", number) for number in (4, 5)),
    ]
    curve = fold.curve
    assert list(curve.columns) == ["network", "epoch", "loss", "accuracy", "cross_entropy", "energy"]
    assert curve["network"].tolist() == ["first"] * 3 + ["second"] * 2
    assert curve["epoch"].tolist() == [1, 2, 3, 1, 2]
    assert curve["energy"].isna().tolist() == [False] * 3 + [True] * 2
    assert fold.probabilities.tobytes() == seen[-1].predict().tobytes()


def test_every_phase_has_an_order_of_its_own_drawn_from_the_seed_and_its_name():
    def learnt(name, seed):
        phase = Phase(name, MotionEnergy(), energy_objective(), settings(epochs=1, batch_size=7))
        return training.train_fold([phase], *data, torch.arange(3), seed=seed, device=CPU, threads=1).state[
            "linear.weight"
        ]

    flow, labels = clips(16)
    data = flow, torch.arange(16), labels
    assert torch.equal(learnt("first", 1), learnt("", derived_seed(1, "first")))
    assert not torch.equal(learnt("first", 1), learnt("second", 1))


@pytest.mark.parametrize("epoch", [1, 2, 3, 4, 5])
def test_a_training_interrupted_in_either_phase_ends_with_equal_bytes(tmp_path, epoch):
    """Also between the phases, and after the last epoch."""
    whole, trained = train_phases(two_phases()), []
    with pytest.raises(Interrupted):
        train_phases(two_phases(), pieces_of(tmp_path), interrupt_after(epoch))
    assert pieces_of(tmp_path).finished == {min(epoch, 3), epoch}  # the last state of the first phase stays
    rest = train_phases(two_phases(), pieces_of(tmp_path), lambda epoch: trained.append(epoch.number))
    assert trained == list(range(epoch + 1, 6))
    assert rest.probabilities.tobytes() == whole.probabilities.tobytes() and rest.curve.equals(whole.curve)
    assert all(torch.equal(rest.state[name], whole.state[name]) for name in whole.state)


def test_every_epoch_is_reported_with_its_measures_and_its_network():
    seen, weights = [], []

    def on_epoch(epoch):
        seen.append(epoch)
        weights.append(epoch.network.linear.weight.clone())

    fold = train_motion_energy(on_epoch=on_epoch, epochs=3)
    assert [(epoch.phase, epoch.number) for epoch in seen] == [("", 1), ("", 2), ("", 3)]
    rows = fold.curve.drop(columns="epoch").to_dict("records")
    assert [epoch.measures for epoch in seen] == rows
    assert not torch.equal(weights[0], weights[2]) and torch.equal(weights[2], fold.state["linear.weight"])


def test_a_prediction_after_an_epoch_changes_nothing_and_the_last_one_counts():
    """The network with batch normalisation would remember test clips that it is shown in the mode for training."""
    data, seen = (*clips(6), clips(3, seed=1)[0]), []
    quiet = train(*data, epochs=3)
    fold = train(*data, epochs=3, on_epoch=lambda epoch: seen.append(epoch.predict()))
    assert len(seen) == 3 and seen[0].tobytes() != seen[2].tobytes()
    assert seen[2].tobytes() == fold.probabilities.tobytes() == quiet.probabilities.tobytes()
    assert all(torch.equal(fold.state[name], quiet.state[name]) for name in quiet.state)


def test_without_views_an_input_tensor_is_shown_as_it_is_and_without_shuffle_in_its_order(monkeypatch):
    class Watching(MotionEnergy):
        def forward(self, flow):
            shown.append(flow)
            return super().forward(flow)

    shown, (flow, labels) = [], clips(5)
    plain = TrainingSettings(epochs=1, lr=1e-3, batch_size=2, shuffle=False)
    phase = Phase("", Watching(), energy_objective(), plain)
    training.fit(phase, flow, torch.arange(5), labels, seed=0, device=CPU)
    assert torch.equal(torch.cat(shown), flow.float()) and [len(batch) for batch in shown] == [2, 2, 1]


def test_momentum_is_that_of_stochastic_gradient_descent():
    """The same steps, taken by PyTorch's own loop."""
    flow, labels = clips(6)
    plain = TrainingSettings(epochs=3, lr=0.1, batch_size=6, weight_decay=0.01, momentum=0.9, shuffle=False)
    phase = Phase("", MotionEnergy(), energy_objective(), plain)
    training.fit(phase, flow, torch.arange(6), labels, seed=0, device=CPU)
    expected = MotionEnergy()
    optimiser = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        energy_objective().loss(expected(flow.float()), labels).backward()
        optimiser.step()
    torch.testing.assert_close(phase.network.linear.weight, expected.linear.weight)


class Pooled(nn.Module):
    """Little to compile, but sums whose order depends on whether the compiler knows the size of the batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 5, stride=2), nn.BatchNorm2d(4), nn.ReLU())
        self.linear = nn.Linear(4, 2)

    def forward(self, flow):
        maps = self.layers(flow.flatten(0, 1)).unflatten(0, flow.shape[:2])
        return MotionOutput(self.linear(maps.mean(dim=(1, 3, 4))), flow.new_zeros(len(flow)))


def train_pooled(pieces=None, on_epoch=None, **changes):
    flow, labels = clips(19)
    return training.train_fold(
        [
            Phase(
                "",
                Pooled(),
                Objective(loss=cross_entropy, measures={"accuracy": accuracy}),
                settings(batch_size=8, **changes),  # batches of 8, 8 and 3 clips
            )
        ],
        torch.cat([flow, clips(3, seed=1)[0]]),
        torch.arange(19),
        labels,
        torch.arange(19, 22),
        seed=1,
        device=CPU,
        threads=1,
        pieces=pieces,
        on_epoch=on_epoch,
    )


@pytest.mark.whole_run  # what a compiler costs, it costs for the smallest network, too
@pytest.mark.filterwarnings("ignore")  # the compiler makes warnings, and keeps them to itself
def test_a_compiled_fold_does_not_depend_on_what_was_compiled_before(tmp_path):
    """The last batch of an epoch is smaller than the others, which is what a compiler would remember."""
    whole = train_pooled(compile=True)
    with pytest.raises(Interrupted):
        train_pooled(pieces_of(tmp_path), interrupt_after(1), compile=True)
    again = train_pooled(pieces_of(tmp_path), compile=True)
    assert all(torch.equal(again.state[name], whole.state[name]) for name in whole.state)
    assert again.probabilities.tobytes() == whole.probabilities.tobytes()
    np.testing.assert_allclose(whole.probabilities, train_pooled().probabilities, atol=1e-3)


@pytest.mark.whole_run
@pytest.mark.filterwarnings("ignore")  # the compiler makes warnings, and keeps them to itself
def test_a_compiled_stanet_predicts_what_a_plain_one_does():
    data = *clips(6), clips(3, seed=1)[0]
    one_size = {"epochs": 1, "batch_size": 6}  # each size of batch is compiled by itself
    compiled, plain = (train(*data, compile=compile_first, **one_size) for compile_first in (True, False))
    np.testing.assert_allclose(compiled.probabilities, plain.probabilities, atol=1e-3)


TRAIN_TWICE = """
import sys
from pathlib import Path
import stages.train
from pipeline.learning import training
from tests.learning import test_training as tests

training.fix_arithmetic(1)
data = *tests.clips(6), tests.clips(3, seed=1)[0]
try:
    tests.train(*data, pieces=tests.pieces_of(Path(sys.argv[1])), on_epoch=tests.interrupt_after(1))
except tests.Interrupted:
    tests.train(*data, pieces=tests.pieces_of(Path(sys.argv[1])))
print("torch._dynamo" in sys.modules)
if sys.argv[2:]:
    tests.train_pooled(compile=True)
    print("torch._dynamo" in sys.modules)
"""


def compiler_loaded(tmp_path, *arguments):
    """What a new interpreter says of PyTorch's compiler after a training that was interrupted and resumed."""
    command = [sys.executable, "-c", TRAIN_TWICE, str(tmp_path), *arguments]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_a_training_does_not_load_the_compiler(tmp_path):
    assert compiler_loaded(tmp_path) == ["False"]


@pytest.mark.whole_run
def test_a_training_that_compiles_loads_the_compiler(tmp_path):
    assert compiler_loaded(tmp_path, "compile") == ["False", "True"]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.filterwarnings("ignore")  # loading the compiler makes warnings
def test_the_compiler_computes_as_deterministically_as_the_rest(monkeypatch, deterministic):
    from torch._inductor import config

    monkeypatch.setattr(torch, "compile", lambda network, **_: network)  # which takes seconds to begin
    monkeypatch.setattr(config, "deterministic", not deterministic)
    training.fix_arithmetic(1, deterministic=deterministic)
    training.compiled(nn.Linear(1, 1))
    assert config.deterministic == torch.are_deterministic_algorithms_enabled() == deterministic


@pytest.mark.parametrize(("kind", "values"), [(torch.optim.Adam, 3), (torch.optim.SGD, 1)])
def test_the_optimiser_takes_the_steps_of_pytorchs_own(kind, values):
    momentum = {"momentum": 0.9} if kind is torch.optim.SGD else {}

    def trained(kind):
        layer = nn.Linear(3, 2)
        with torch.no_grad():
            layer.weight.copy_(torch.arange(6.0).reshape(2, 3))
            layer.bias.zero_()
        optimiser = kind(layer.parameters(), lr=0.1, weight_decay=0.01, fused=True, **momentum)
        for _ in range(3):
            optimiser.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            optimiser.step()
        again = kind(layer.parameters(), lr=0.5, fused=True, **momentum)
        again.load_state_dict(optimiser.state_dict())
        layer(torch.ones(1, 3)).square().sum().backward()
        again.step()
        return [*layer.parameters(), *(value for state in again.state.values() for value in state.values())]

    ours, theirs = trained(training._unguarded(kind)), trained(kind)
    assert len(ours) == 2 + 2 * values
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
