"""Every wrong value in params.yaml is one clear error; right ones come out typed."""

import dataclasses
import os
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline import comparators, networks, params
from pipeline.errors import InputError

COMMITTED = Path(__file__).parents[1] / "params.yaml"
BOXES = "databases__synthetic__face_boxes"
SYNTHETIC = YAML(typ="safe", pure=True).load(COMMITTED)["databases"]["synthetic"]
SEVERAL = {"casme2": SYNTHETIC, "smic": SYNTHETIC}
KFOLD = {"protocol": "k-fold", "dataset": "synthetic-2-fold"}
ONE_OF = "must be one of cnn_lstm, dual_inception, off_apexnet, rcn_a, ststnet"
WEIGHTS = ("class_error", "class_spread", "state_error", "state_spread", "state_continuity")


@pytest.fixture
def load(tmp_path):
    """Load the committed params.yaml with some values replaced; `...` removes a key."""

    def load(**changes):
        yaml = YAML(typ="safe", pure=True)
        document = yaml.load(COMMITTED)
        for path, value in changes.items():
            *sections, key = path.split("__")
            node = document
            for section in sections:
                node = node[section]
            if value is ...:
                del node[key]
            else:
                node[key] = value
        file = tmp_path / "params.yaml"
        yaml.dump(document, file)
        return params.load_params(file)

    return load


def test_the_committed_file_is_valid_and_frozen(load):
    loaded = load()
    assert loaded.lambda_ == 1e-8
    assert loaded.train.augmentation.scales == (0.9, 1.0, 1.1)
    assert loaded.folds == loaded.subjects
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.seed = 1


@pytest.mark.parametrize("name", comparators.methods())
def test_the_committed_constants_of_a_method_are_those_of_its_module(load, name):
    loaded = load().comparators
    assert getattr(loaded, name) == comparators.settings_type(name)()
    assert comparators.settings_type(name)(**loaded.settings(name)) == getattr(loaded, name)


@pytest.mark.parametrize("change", ["comparators.methods=[]", "comparators.methods=[fdm]", "held_out=[sub02]"])
def test_a_list_that_dvc_writes_for_an_experiment_can_be_read(tmp_path, monkeypatch, change):
    file = tmp_path / "params.yaml"
    file.write_text(COMMITTED.read_text())
    monkeypatch.chdir(tmp_path)
    apply_overrides("params.yaml", [change])
    params.load_params(file)


def test_a_float_as_dvc_writes_it_is_a_float(tmp_path):
    file = tmp_path / "params.yaml"
    text = COMMITTED.read_text()
    assert "lambda: 1e-08" in text
    file.write_text(text.replace("lambda: 1e-08", "lambda: 1e-07"))
    assert params.load_params(file).lambda_ == 1e-7


def test_a_whole_number_is_a_float_where_one_is_expected(load):
    assert load(**{"lambda": 0}).lambda_ == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train__lr": -0.1}, ["train.lr", "greater than 0", "-0.1"]),
        ({"train__lr": "fast"}, ["train.lr", "number", "'fast'"]),
        ({"lambda": "1e-8"}, ["lambda", "number", "'1e-8'"]),
        ({"lambda": -1e-8}, ["lambda", "greater than or equal to 0"]),
        ({"lambda": float("nan")}, ["lambda", "finite"]),
        ({"lambda": True}, ["lambda", "number", "True"]),
        ({"seed": 1.5}, ["seed", "integer", "1.5"]),
        ({"train__epochs": 0}, ["train.epochs", "greater than or equal to 1"]),
        ({"train__epochs": True}, ["train.epochs", "integer"]),
        ({"comparators__methods": ["fdmm"]}, ["comparators.methods.0", "must be one of", "did you mean fdm?"]),
        ({"comparators__methods": ["fdm", "fdm"]}, ["comparators.methods", "must not list anything twice"]),
        ({"comparators__class_weight": "even"}, ["comparators.class_weight", "'none' or 'balanced'", "'even'"]),
        ({"comparators__fdm__blocks": [4, 8]}, ["comparators.fdm.blocks", "missing"]),
        ({"comparators__fdm__blocks": [4, 0, 8]}, ["comparators.fdm.blocks.1", "greater than or equal to 1"]),
        ({"comparators__fdm__block": 3}, ["comparators.fdm.block", "unknown key (did you mean blocks?)"]),
        ({"comparators__mdmo__weight": 1.5}, ["comparators.mdmo.weight", "less than or equal to 1", "1.5"]),
        ({"comparators__lbp_top": ...}, ["comparators.lbp_top", "missing"]),
        ({"model__spatial_attention": "no"}, ["model.spatial_attention", "boolean", "'no'"]),
        ({"model__readout": "first"}, ["model.readout", "last", "mean", "'first'"]),
        ({"flow__method": "flownet"}, ["flow.method", "dis", "farneback", "'flownet'"]),
        ({"flow__method": "diss"}, ["did you mean dis?"]),
        ({"flow__method": "flownet3"}, ["did you mean flownet2?"]),
        ({"flow__tf32": "yes"}, ["flow.tf32", "boolean", "'yes'"]),
        ({"flow__method": "flownet2", "resize__size": 200}, ["resize.size", "multiple of 64", "flownet2", "200"]),
        ({"dataset": "casme3"}, ["dataset", "must be synthetic for the database synthetic", "'casme3'"]),
        ({"classes": "three"}, ["dataset", "must be synthetic-3", "classes: three", "'synthetic'"]),
        ({"classes": "four"}, ["classes", "'own', 'three', 'six' or 'seven'", "'four'"]),
        ({"databases": {}}, ["databases", "at least 1"]),
        ({"databases": {"casme4": SYNTHETIC}}, ["databases.casme4", "casme2", "did you mean casme"]),
        ({"classes": "seven"}, ["dataset", "must be synthetic-7", "classes: seven", "'synthetic'"]),
        (
            {"databases": {"casme3": SYNTHETIC, "mmew": SYNTHETIC}, "classes": "seven", "dataset": "casme3-7"},
            ["classes: must be three for several databases (casme3, mmew), found seven", "a name of its own"],
        ),
        *(
            ({"databases__synthetic__missing_frames": value}, ["missing_frames: must be refuse, or a number of frames"])
            for value in ("accept", 0, -1, 1001, 2.5, True, "3", None)
        ),
        (
            {"databases": {"casme2": SYNTHETIC, "smic": SYNTHETIC}},
            ["classes: must be three", "dataset", "a name of its own"],
        ),
        ({"databases": {"casme2": SYNTHETIC, "smic": SYNTHETIC}, "classes": "three", "dataset": "smic-3"}, ["dataset"]),
        (
            {"databases": {"casme2": SYNTHETIC, "smic": SYNTHETIC}, "classes": "three", "dataset": "megc2019"},
            ["databases: must be casme2, samm, smic for dataset: megc2019, found casme2, smic"],
        ),
        ({"accepted": ["smic-s18/s18_sur_03"]}, ["accepted: must be empty for any dataset but megc2019"]),
        ({"databases__synthetic__rwa": "x"}, ["databases.synthetic.rwa", "unknown key", "did you mean raw?"]),
        ({"databases__synthetic__face": "yes"}, ["face", "crop", "none", "'yes'"]),
        ({"report__faces": "no"}, ["report.faces", "valid boolean", "'no'"]),
        ({"report__clips": ["a", "b", "c", "d", "e"]}, ["report.clips", "at most 4 items"]),
        ({"report__clips": ["a", "a"]}, ["report.clips", "must not list anything twice"]),
        (
            {"databases__synthetic__face_boxes": {"sub01/a": [0, 0, 10]}},
            ["face_boxes.sub01/a.3: missing, found only [0, 0, 10]"],
        ),
        (
            {"databases__synthetic__face_boxes": {"sub01/a": [0, -1, 10, 10]}},
            ["face_boxes.sub01/a", "greater than or equal to 0", "-1"],
        ),
        ({"databases__synthetic__annotation__file": "/elsewhere/x.xlsx"}, ["annotation.sha256", "must be given"]),
        ({"databases__synthetic__annotation__file": "../x.xlsx"}, ["annotation.file", "'../x.xlsx'"]),
        ({"databases__synthetic__annotation__sha256": "abc"}, ["annotation.sha256", "'abc'"]),
        (
            {"synthesize__layout": "casme4"},
            ["synthesize.layout", "casme, casme2, casme3, fourdme, mmew, samm, smic", "'casme4'"],
        ),
        ({"train__epoch": 3}, ["train.epoch", "unknown key"]),
        ({"train__threads": 2**40}, ["train.threads", "less than or equal to 1024"]),
        ({"model__regions": 1000}, ["model.regions", "less than or equal to 64"]),
        ({"train__augmentation__scales": [1e9]}, ["train.augmentation.scales.0", "less than or equal to 4"]),
        ({"subjects": ["sub01", "a;b"]}, ["subjects.1", "pattern", "'a;b'"]),
        ({"subjects": ["sub01", "$(id)"]}, ["subjects.1", "pattern", "'$(id)'"]),
        ({"subjects": ["sub01", "-x"]}, ["subjects.1", "pattern", "'-x'"]),
        ({"flow__weights": "a\0b"}, ["flow.weights", "pattern"]),
        ({"lamda": 1.0}, ["lamda", "unknown key", "did you mean lambda?"]),
        ({"seed": ...}, ["seed", "missing"]),
        ({"lambda": ...}, ["lambda", "missing"]),
        ({"databases__synthetic__raw": "recordings/casme2"}, ["raw", "absolute", "'recordings/casme2'"]),
        (
            {"databases__synthetic__raw": "data/raw/mine"},
            ["raw", "data/raw/synthetic or an absolute path", "'data/raw/mine'"],
        ),
        ({"databases__synthetic__raw": "/data/../elsewhere"}, ["raw", "'..'"]),
        ({"subjects": ["sub01", "sub01"]}, ["subjects", "twice"]),
        ({"subjects": ["sub01"]}, ["subjects", "at least 2"]),
        ({"subjects": [1, 2]}, ["subjects.0", "string", "1"]),
        ({"held_out": ["sub09"]}, ["held_out", "sub09"]),
        ({"held_out": []}, ["held_out"]),
        ({"held_out": "some"}, ["held_out", "all"]),
        ({"train__augmentation__crop": 180}, ["train.augmentation.crop", "173", "180"]),
        ({"model__pooling": 6}, ["train.augmentation.crop", "192", "168"]),
        ({"train__augmentation__scales": []}, ["train.augmentation.scales", "at least 1"]),
        ({"train__augmentation__scales": [0.0]}, ["train.augmentation.scales.0", "greater than 0"]),
        ({"runtime__device": "gpu"}, ["runtime.device", "cuda", "'gpu'"]),
    ],
)
def test_a_wrong_value_names_key_value_and_what_is_allowed(load, change, message):
    with pytest.raises(InputError) as error:
        load(**change)
    for part in message:
        assert part in str(error.value)


def test_all_that_does_not_fit_together_is_reported_at_once(load):
    with pytest.raises(InputError) as error:
        load(databases__synthetic__raw="elsewhere", held_out=["sub09"], train__augmentation__crop=190)
    assert ": 3 wrong:\n  databases.synthetic.raw: " in str(error.value)
    assert "\n  held_out: " in str(error.value) and "\n  train.augmentation.crop: " in str(error.value)


def test_an_older_file_is_one_error_that_says_how_to_write_the_new_one(load, tmp_path):
    section = SYNTHETIC | {"raw": "/data/CASME II", "exclude": ["sub01/EP02_01f"], "face": "crop"}
    with pytest.raises(InputError) as error:
        load(databases=..., classes=..., dataset="casme2", **section)
    message = str(error.value)
    assert "found that of an older one" in message
    assert "remove raw, annotation, exclude, face, face_boxes and put these lines in:\n" in message
    advice = YAML(typ="safe", pure=True).load(message.split("put these lines in:\n")[1])
    loaded = load(**advice, dataset="casme2")
    assert loaded.databases["casme2"].exclude == ("sub01/EP02_01f",) and loaded.databases["casme2"].face == "crop"


def test_a_study_of_several_databases_has_a_name_of_its_own_and_three_classes(load):
    loaded = load(databases=SEVERAL, classes="three", dataset="composite")
    assert list(loaded.databases) == ["casme2", "smic"] and not loaded.embedded


def test_a_file_without_protocol_and_folds_is_told_those_of_every_study_before(load):
    with pytest.raises(InputError, match="found that of an older one") as error:
        load(protocol=..., folds=...)
    advice = YAML(typ="safe", pure=True).load(str(error.value).split("put these lines in:\n")[1])
    assert advice == {"protocol": "loso", "folds": ["sub01", "sub02", "sub03", "sub04", "sub05"]}
    assert load(**advice) == load()


def test_the_settings_of_a_network_that_stood_among_the_comparators_are_kept(load):
    comparators = YAML(typ="safe", pure=True).load(COMMITTED)["comparators"]
    own = {"pooling": 4, "features": 8, "hidden": 9, "weights": dict.fromkeys(WEIGHTS, 0.5)}
    with pytest.raises(InputError) as error:
        load(comparators=comparators | {"networks": ["cnn_lstm"], "cnn_lstm": own}, networks=..., train__epochs=7)
    message = str(error.value)
    assert "remove comparators.networks, comparators.cnn_lstm and put these lines in:\n" in message
    advice = YAML(typ="safe", pure=True).load(message.split("put these lines in:\n")[1])
    loaded = load(**advice, train__epochs=7)
    assert loaded.networks.names == ("cnn_lstm",)
    network = loaded.networks.cnn_lstm
    assert (network.pooling, network.features, network.hidden) == (4, 8, 9)
    assert dataclasses.asdict(network.weights) == dict.fromkeys(WEIGHTS, 0.5)
    for name in set(params.OTHER_NETWORKS) - {"cnn_lstm"}:  # there was no other
        assert getattr(loaded.networks, name) == networks.settings_type(name)()
    # It shared these with STANet.
    assert (network.epochs, network.lr, network.batch_size) == (7, loaded.train.lr, loaded.train.batch_size)
    assert (network.crop, network.views) == (loaded.train.augmentation.crop, loaded.train.augmentation.views)


def test_equal_studies_hold_out_their_folds_in_one_order(load):
    some = load(held_out=["sub03", "sub01"])
    assert some.trained_folds == load(held_out=["sub01", "sub03"]).trained_folds == ("sub01", "sub03")
    assert some.folds == some.subjects and load().trained_folds == load().folds


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"folds": ["sub01", "sub02"]}, ["folds: must be sub01, sub02, sub03, sub04, sub05 with protocol: loso"]),
        ({"folds": ["fold1", "fold2"], **KFOLD}, []),
        ({"folds": ["sub01", "sub02"], **KFOLD}, ["folds: must be fold1, fold2 with protocol: k-fold, found sub01"]),
        ({"folds": ["fold1", "fold2"], **KFOLD, "dataset": "synthetic"}, ["dataset: must end with -2-fold"]),
        ({"folds": ["fold1", "fold2"], "protocol": "loso", "dataset": "synthetic-2-fold"}, ["dataset: must be synth"]),
        (
            {"folds": [f"fold{number}" for number in range(1, 7)], "protocol": "k-fold", "dataset": "synthetic-6-fold"},
            ["folds: with protocol: k-fold, expected 2 to 5 folds, one per subject at most; found 6"],
        ),
        (
            {"folds": ["synthetic", "other"], "protocol": "database", "dataset": "synthetic-by-database"},
            ["folds: with protocol: database, expected a study of at least two databases, found synthetic"],
        ),
        ({"folds": ["fold1", "fold2"], **KFOLD, "held_out": ["sub01"]}, ["held_out: must be all or a list of folds"]),
        ({"protocol": "holdout"}, ["protocol", "'loso', 'k-fold' or 'database'", "'holdout'"]),
        ({"folds": ["fold1", "fold1"], **KFOLD}, ["folds: must not list anything twice"]),
    ],
)
def test_protocol_folds_and_name_fit_together(load, changes, messages):
    if not messages:
        assert load(**changes).clip_selection == "synthetic"
        return
    with pytest.raises(InputError) as error:
        load(**changes)
    assert all(message in str(error.value) for message in messages), str(error.value)


def test_a_study_of_several_databases_can_hold_out_each_of_them(load):
    study = {"databases": SEVERAL, "classes": "three", "protocol": "database", "folds": ["casme2", "smic"]}
    assert load(**study, dataset="composite-by-database").clip_selection == "composite"
    with pytest.raises(InputError, match="folds: must be casme2, smic with protocol: database"):
        load(**study | {"folds": ["casme2", "samm"]}, dataset="composite-by-database")
    with pytest.raises(InputError, match="dataset: must not end like the name of another protocol"):
        load(**study | {"protocol": "loso", "folds": list(load().subjects)}, dataset="composite-2-fold")


@pytest.mark.parametrize("name", params.OTHER_NETWORKS)
def test_the_committed_block_of_a_network_has_all_its_settings(load, name):
    committed = YAML(typ="safe", pure=True).load(COMMITTED)["networks"][name]
    assert set(committed) == {field.name for field in dataclasses.fields(networks.settings_type(name))}
    assert load().network_settings(name) == getattr(load().networks, name)


def test_the_settings_of_stanet_are_those_of_the_top_level(load):
    settings = load(**{"lambda": 0.5}, train__precision="bf16", model__regions=2).network_settings("stanet")
    assert (settings.lambda_, settings.precision, settings.regions) == (0.5, "bf16", 2)
    assert (settings.epochs, settings.crop) == (load().train.epochs, load().train.augmentation.crop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks__names": ["cnn_lsmt"]}, [f"networks.names.0: {ONE_OF} (did you mean cnn_lstm?)"]),
        ({"networks__names": ["stanet"]}, [f"networks.names.0: {ONE_OF}", ", found 'stanet'"]),
        ({"networks__names": ["cnn_lstm", "cnn_lstm"]}, ["networks.names", "twice"]),
        ({"networks__cnn_lstm__epochs": 0}, ["networks.cnn_lstm.epochs", "greater than or equal to 1"]),
        ({"networks__cnn_lstm__epoch": 1}, ["networks.cnn_lstm.epoch: unknown key (did you mean epochs?)"]),
        ({"networks__cnn_lstm__weights__class_error": -1}, ["networks.cnn_lstm.weights.class_error"]),
        ({"networks__cnn_lstm": ...}, ["networks.cnn_lstm: missing"]),
        (
            {"networks__names": ["cnn_lstm"], "networks__cnn_lstm__crop": 190},
            ["networks.cnn_lstm.crop: must be at most 173, the smallest scale of 192 px, found 190"],
        ),
    ],
)
def test_a_wrong_setting_of_a_network_is_named(load, change, message):
    with pytest.raises(InputError) as error:
        load(**change)
    assert all(part in str(error.value) for part in message), str(error.value)


def test_a_network_that_is_not_trained_may_have_views_that_do_not_fit(load):
    assert load(networks__cnn_lstm__crop=190).networks.names == ()


def test_all_faults_are_reported_at_once(load):
    with pytest.raises(InputError) as error:
        load(seed="x", train__lr=-1, flow__method="none")
    assert {"seed", "train.lr", "flow.method"} <= set(str(error.value).replace(":", " ").split())


@pytest.mark.parametrize("text", ["lambda: [", "just words", "- a\n- b\n", ""])
def test_a_file_that_is_no_mapping_is_an_error(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml"):
        params.load_params(file)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="expected a YAML file"):
        params.load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]\n", "an alias .* contains itself"),
        ("a: &a {b: *a}\n", "an alias .* contains itself"),
        ("a: &a [" + "1," * 400 + "]\nb: &b [" + "*a," * 400 + "]\n", "or many repeat each other"),
        ("[" * 5000, "expected sections of a few levels"),
        ("? [a]\n: 1\n", "expected a YAML file|keys that are text"),
        (f"seed: {'9' * 6000}\n", "expected a YAML file"),
    ],
)
def test_a_file_without_end_is_one_clear_error(text, message):
    with pytest.raises(InputError, match=message):
        params.parse_params(text, Path("params.yaml"))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(InputError, match="it is a folder, a pipe or a device"):
        params.load_params(tmp_path / "params.yaml")
