"""Networks by their names: which there are, how they are built, and how they learn from arrays."""

import io
import sys
import textwrap
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pipeline import networks
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.learning import fold, inputs, seeds
from pipeline.learning.checkpoint import Checkpoint
from pipeline.learning.fold import Fold
from pipeline.learning.inputs import Inputs
from pipeline.storage import clip_store, parts
from pipeline.storage.sources import Source

CPU = torch.device("cpu")
TINY = {"epochs": 6, "lr": 3e-3, "batch_size": 4, "crop": 40, "scales": [1.0], "views": "random"}
TOY = {
    "__init__.py": '''
        """The mean of each flow field, classified by a linear layer."""

        from pydantic.dataclasses import dataclass

        from pipeline.learning.settings import STRICT, Epochs

        TITLE = "Toy"
        REMARK = "an example"
        READS = "flow"


        @dataclass(frozen=True, config=STRICT)
        class Settings:
            epochs: Epochs = 40
            lr: float = 0.1
    ''',
    "method.py": """
        import numpy as np
        from torch import nn

        from pipeline.learning.objective import Logits
        from pipeline.learning.initialisation import initialise
        from pipeline.learning.training import TrainingSettings


        def prepare(clip, settings):
            return clip.mean(axis=(2, 3), dtype=np.float32)


        class Toy(nn.Module):
            def __init__(self, classes, seed):
                super().__init__()
                self.linear = nn.Linear(10, classes)
                initialise(self, seed)

            def forward(self, means):
                return Logits(self.linear(means.flatten(1)))


        def build(classes, settings, seed):
            return Toy(classes, seed)


        def training(settings):
            return TrainingSettings(epochs=settings.epochs, lr=settings.lr, batch_size=4)
    """,
}


@pytest.fixture(autouse=True)
def arithmetic():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Name of a network whose folder lies beside those of the package."""
    folder = tmp_path / "networks" / "toy_of_a_test"
    folder.mkdir(parents=True)
    for name, text in TOY.items():
        (folder / name).write_text(textwrap.dedent(text))
    known = networks.names()
    monkeypatch.setattr(networks, "names", lambda: tuple(sorted((*known, folder.name))))
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(folder.parent)])
    yield folder.name
    for module in [name for name in sys.modules if name.startswith(f"{networks.__name__}.{folder.name}")]:
        del sys.modules[module]


def clips(count, seed=0):
    """Flow (count, 5, 2, 48, 48) of two classes: motion in the upper or the lower half; and the labels."""
    rng = np.random.default_rng(seed)
    flow = rng.normal(scale=0.02, size=(count, 5, 2, 48, 48)).astype(np.float32)
    labels = np.arange(count) % 2
    for clip, label in zip(flow, labels, strict=True):
        clip[1:4, 1, 4 + 20 * label : 24 + 20 * label, 8:40] += 0.5 - label
    return flow, labels


def fit_predict(name="stanet", flow=None, labels=None, test=None, classes=2, **options):
    given, known = clips(12)
    settings = TINY if name == "stanet" else {}
    return networks.fit_predict(
        name,
        given if flow is None else flow,
        known if labels is None else labels,
        clips(6, seed=1)[0] if test is None else test,
        classes=classes,
        **{"threads": 1} | settings | options,
    )


# --- names, settings, and what is built ---


def test_every_folder_with_a_network_is_one():
    assert networks.names() == ("cnn_lstm", "dual_inception", "off_apexnet", "rcn_a", "stanet", "ststnet")


@pytest.mark.parametrize("name", networks.names())
def test_every_network_says_what_it_is_and_can_be_built_with_its_defaults(name):
    network = networks.network(name)
    assert network.title and network.reads in ("flow", "frames", "key_flow") and isinstance(network.remark, str)
    module = networks.build(name, 3)
    assert isinstance(module, nn.Module)
    settings = networks.settings(name)
    # Of frames, a network prepares those that it selected; a crop is taken of what it prepared.
    size = getattr(settings, "crop", 64)
    shape = {"flow": (4, 2, size, size), "frames": (5, size, size, 3), "key_flow": (2, size, size)}[network.reads]
    clip = np.zeros(shape, np.uint8 if network.reads == "frames" else np.float32)
    prepared = torch.from_numpy(np.stack([network.prepare(clip, settings)] * 2)).float()
    assert module(prepared).logits.shape == (2, 3)
    assert {path.name for path in network.code()} >= {"__init__.py", "method.py"}


@pytest.mark.parametrize("name", networks.names())
def test_the_seed_decides_the_initial_values(name):
    one, same, other = (networks.build(name, 3, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("call", [networks.network, networks.settings_type, networks.settings, networks.build])
def test_an_unknown_network_is_one_clear_error_with_those_that_there_are(call):
    arguments = ("stanett", 3) if call is networks.build else ("stanett",)
    there_are = ", ".join(networks.names())
    with pytest.raises(InputError, match=f"expected one of the networks {there_are}; found 'stanett'"):
        call(*arguments)


def test_all_wrong_settings_are_listed_with_those_that_there_are():
    with pytest.raises(InputError) as error:
        networks.build("stanet", 3, epochs=0, readout="first", pooling="2", lambda_=float("nan"), layers=4)
    faults = str(error.value).splitlines()
    assert [fault.split(":")[0] for fault in faults[:-1]] == [
        *("stanet.epochs", "stanet.lambda_", "stanet.pooling", "stanet.readout", "stanet.layers")
    ]
    assert "greater than or equal to 1, found 0" in faults[0] and "found 'first'" in faults[3]
    assert "found 4" in faults[4] and "lambda_" in faults[5] and "temporal_attention" in faults[5]


@pytest.mark.parametrize("settings", [{"lambda_": -1.0}, {"scales": []}, {"lr": 0}, {"views": "some"}, {"crop": 8}])
def test_a_value_that_params_yaml_may_not_have_is_refused(settings):
    [name] = settings
    with pytest.raises(InputError, match=rf"^stanet\.{name}.*found"):
        networks.build("stanet", 3, **settings)


def test_a_setting_inside_a_setting_is_named():
    with pytest.raises(InputError, match=r"cnn_lstm\.weights\.class_error: .*greater than or equal to 0, found -1"):
        networks.settings("cnn_lstm", weights={"class_error": -1})


def test_settings_that_are_given_count_and_the_others_are_the_defaults():
    settings = networks.settings("stanet", scales=(0.9, 1.0), pooling=2)
    default = asdict(networks.settings_type("stanet")())
    assert asdict(settings) == default | {"scales": (0.9, 1.0), "pooling": 2}
    assert networks.build("cnn_lstm", 3, features=9).lstm.input_size == 9


# --- learning from arrays ---


@pytest.mark.parametrize("name", ["stanet", "toy"])
def test_a_network_learns_what_can_be_learned(request, name):
    name = request.getfixturevalue("toy") if name == "toy" else name
    found = fit_predict(name, **({"epochs": 25} if name == "stanet" else {}))
    assert found.shape == (6, 2) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert list(found.argmax(axis=1)) == [0, 1] * 3


@pytest.mark.parametrize("name", ["stanet", "toy"])
def test_two_runs_give_equal_bytes_and_another_seed_others(request, name):
    name = request.getfixturevalue("toy") if name == "toy" else name
    first = fit_predict(name, epochs=2)
    torch.manual_seed(5)
    np.random.seed(5)
    assert fit_predict(name, epochs=2).tobytes() == first.tobytes()
    assert fit_predict(name, epochs=2, seed=1).tobytes() != first.tobytes()


def test_frames_are_prepared_by_the_network_and_prepared_ones_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (6, 5, 48, 48, 3)).astype(np.uint8)
    settings = {"epochs": 1, "crop": 40, "scales": [1.0], "features": 4, "hidden": 4, "threads": 1}
    labels = np.arange(4) % 2
    found = networks.fit_predict("cnn_lstm", frames[:4], labels, frames[4:], classes=2, **settings)
    network = networks.network("cnn_lstm")
    ready = np.stack([network.prepare(clip, networks.settings("cnn_lstm")) for clip in frames])
    assert ready.shape == (6, 5, 1, 48, 48)
    again = networks.fit_predict("cnn_lstm", ready[:4], labels, ready[4:], classes=2, prepared=True, **settings)
    assert again.tobytes() == found.tobytes()


def test_every_epoch_is_reported_once_and_the_last_prediction_is_the_result():
    seen, predicted = [], []

    def on_epoch(epoch):
        seen.append((epoch.phase, epoch.number, set(epoch.measures)))
        predicted.append(epoch.predict())

    found = fit_predict(epochs=3, on_epoch=on_epoch)
    assert seen == [("", number, {"loss", "cross_entropy", "mask_l1", "accuracy"}) for number in (1, 2, 3)]
    assert predicted[-1].tobytes() == found.tobytes() == fit_predict(epochs=3).tobytes()
    assert predicted[0].tobytes() != found.tobytes()


def test_what_raises_after_an_epoch_ends_the_training():
    class Enough(Exception):
        pass

    def on_epoch(epoch):
        seen.append(epoch.number)
        raise Enough

    seen = []
    with pytest.raises(Enough):
        fit_predict(epochs=3, on_epoch=on_epoch)
    assert seen == [1]


def test_the_clips_to_predict_train_nothing():
    found = fit_predict(epochs=2)
    strange = np.concatenate([clips(6, seed=1)[0], np.full((2, 5, 2, 48, 48), 9, np.float32)])
    np.testing.assert_allclose(fit_predict(epochs=2, test=strange)[:6], found, rtol=1e-4)


def test_lists_are_arrays_and_no_clip_to_predict_gives_no_row():
    flow, labels = clips(12)
    found = fit_predict(flow=list(flow), labels=labels.tolist(), epochs=1)
    assert found.tobytes() == fit_predict(epochs=1).tobytes()
    assert fit_predict(test=flow[:0], epochs=1).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.arange(12)}, r"whole numbers from 0 to 1, found int64: 0, 1, 2"),
        ({"labels": np.arange(12) % 2 - 1}, r"whole numbers from 0 to 1, found int64: -1, 0"),
        ({"labels": np.zeros(12)}, r"whole numbers from 0 to 1, found float64: 0\.0"),
        ({"labels": np.array(["disgust", "tense"] * 6)}, r"whole numbers from 0 to 1, found <U7: disgust, tense"),
        ({"labels": np.zeros((12, 1), int)}, r"one label for each training clip.*labels \(12, 1\)"),
        ({"labels": np.zeros(11, int)}, r"labels \(11,\), clips \(12, 5, 2, 48, 48\) to train with"),
        ({"test": np.zeros((6, 4, 2, 48, 48), np.float32)}, r"arrays of one shape; .*\(6, 4, 2, 48, 48\) to predict"),
        ({"flow": np.full((12, 5, 2, 48, 48), np.nan, np.float32)}, "finite values, found NaN or infinity"),
        ({"test": np.full((6, 5, 2, 48, 48), np.inf, np.float32)}, "finite values, found NaN or infinity"),
        ({"flow": np.zeros((0, 5, 2, 48, 48)), "labels": np.zeros(0, int)}, "at least one clip to train with"),
        ({"epochs": -1}, r"stanet\.epochs"),
        ({"layers": 3}, r"stanet\.layers"),
        ({"name": "stanett"}, "expected one of the networks"),
    ],
)
def test_what_cannot_be_learnt_from_is_one_clear_error(change, message):
    with pytest.raises(InputError, match=message):
        fit_predict(**change)


def test_a_training_that_diverges_is_one_clear_error(toy):
    with pytest.raises(InputError, match="expected a training that converges, but"):
        fit_predict(toy, flow=1000 * clips(12)[0], lr=1e38)


# --- a network in a folder of its own, as a fold of a study ---


def test_a_new_folder_is_a_network_in_every_fold(toy, tmp_path):
    """Read from files, trained, and kept; it leaves out all that it need not say."""
    flow, labels = clips(12)
    names = [f"s{number // 4}/{number}" for number in range(12)]
    clip_store.write_stack(tmp_path / "flow.h5", "flow", names, list(flow.astype(np.float16)), {"method": "dis"})
    network, settings = networks.network(toy), networks.settings(toy)
    found = inputs.read(network, settings, [Source("d", "", parts.file_of(tmp_path / "flow.h5"), None)], names)
    assert found.arrays.shape == (12, 5, 2) and (found.frames, found.size) == (6, 48)
    table = pd.DataFrame({"clip": names, "subject": [name[:2] for name in names]})
    table["label"] = np.where(labels, "positive", "negative")
    task = Fold("d", "fold1", ["negative", "positive"], protocols.split(table, ["s0", "s2"]), 3, 1, True)
    files = fold.run(network, settings, task, found, CPU)
    predictions, curve = (pd.read_csv(io.BytesIO(content)) for content in (files.predictions, files.curve))
    assert list(predictions["subject"]) == ["s0"] * 4 + ["s2"] * 4
    assert list(predictions["predicted"]) == list(predictions["label"])
    assert list(curve.columns) == ["epoch", "loss", "accuracy"] and len(curve) == fold.epochs(network, settings) == 40
    (tmp_path / "fold1.pt").write_bytes(files.model)
    model = Checkpoint.read(tmp_path / "fold1.pt")
    assert model.test_subjects == ["s0", "s2"] and list(model.state_dict) == ["linear.weight", "linear.bias"]
    assert model.params == {
        **{"network": toy, "seed": 3, "settings": {"epochs": 40, "lr": 0.1}, "threads": 1, "deterministic": True},
        "flow": {"method": "dis"},
    }
    assert network.seed(7) == seeds.derived_seed(7, toy) and network.values(settings) is None
    assert not network.needs_apex and network.title == "Toy"


def test_the_key_of_a_training_has_the_code_of_its_network(toy):
    task = Fold("d", "s", ["a", "b"], pd.DataFrame(columns=["clip", "subject", "label", "role"]), 0, 1, True)
    network, settings = networks.network(toy), networks.settings(toy)

    def key():
        return fold.key(network, settings, task, inputs.NOTHING, CPU)

    before = key()
    assert before == key()
    [code] = [path for path in network.code() if path.name == "method.py"]
    code.write_text(code.read_text() + "\n# changed\n")
    assert key() != before


def test_a_function_that_a_network_lacks_is_named(toy):
    network = networks.network(toy)
    with pytest.raises(AttributeError, match=r"toy_of_a_test\.method has no function select"):
        network.select(np.zeros(1), None)


def test_a_fold_without_an_input_of_a_clip_is_one_clear_error(toy):
    split = pd.DataFrame({"clip": ["a", "b"], "subject": ["s", "t"], "label": ["x", "y"], "role": ["train", "test"]})
    read = Inputs(("a",), torch.zeros(1, 10), frozenset(), (), 6, 48, {}, ())
    with pytest.raises(InputError, match=r"1 of them are not among .*\(b\)"):
        fold.run(
            networks.network(toy), networks.settings(toy), Fold("d", "t", ["x", "y"], split, 0, 1, True), read, CPU
        )
