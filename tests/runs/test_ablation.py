"""The plan of an ablation, and what is told apart before an experiment is taken for finished."""

from pathlib import Path

import pytest

from pipeline import params
from pipeline.errors import InputError
from pipeline.runs import ablation

PARAMS = Path(__file__).parents[2] / "params.yaml"


def with_(seed=0, weight="1e-08"):
    """params.yaml with another seed and lambda."""
    text = PARAMS.read_text().replace("\nseed: 0", f"\nseed: {seed}").replace("lambda: 1e-08", f"lambda: {weight}")
    return params.parse_params(text, PARAMS)


def test_the_four_rows_are_those_of_table_2():
    plan = ablation.planned(with_(seed=5, weight="1e-07"), 1)
    keys = ("model.spatial_attention", "model.temporal_attention", "lambda", "seed")
    assert {experiment.name: tuple(experiment.settings[key] for key in keys) for experiment in plan} == {
        "synthetic-baseline-seed5": (False, False, 0, 5),
        "synthetic-sab-seed5": (True, False, 0, 5),
        "synthetic-sab-l1-seed5": (True, False, 1e-7, 5),
        "synthetic-sab-tab-l1-seed5": (True, True, 1e-7, 5),
    }
    assert [experiment.variant.name for experiment in plan] == ["baseline", "+SAB", "+SAB+l1", "+SAB+TAB+l1"]


def test_seeds_count_up_and_a_whole_table_comes_before_the_next_seed():
    plan = ablation.planned(with_(seed=2), 3)
    assert [experiment.seed for experiment in plan] == [2] * 4 + [3] * 4 + [4] * 4
    assert len({experiment.name for experiment in plan}) == 12


def test_a_lambda_of_0_cannot_be_ablated():
    with pytest.raises(InputError, match="lambda is 0"):
        ablation.planned(with_(weight="0"), 1)


def test_what_differs_is_named_by_its_key():
    then = {"epochs": 2, "lr": 0.1, "augmentation": {"crop": 56}}
    now = {"epochs": 3, "lr": 0.1, "augmentation": {"crop": 48}}
    assert list(ablation._changed("train", then, now, {})) == [
        "train.augmentation.crop was 56, would be 48",
        "train.epochs was 2, would be 3",
    ]
    assert not list(ablation._changed("lambda", 0, 1e-8, {"lambda": 0}))
    assert list(
        ablation._changed(
            "model", {"temporal_attention": True}, {"temporal_attention": True}, {"model.temporal_attention": False}
        )
    ) == ["model.temporal_attention was True, would be False"]


def test_files_that_params_yaml_names_come_into_the_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("weights/flow.pth.tar", "weights/face landmark ü.tflite", "weights/no folder", "elsewhere.tflite")
    for name in (*names, "weights/none"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    (tmp_path / "data").mkdir()
    text = PARAMS.read_text().replace("landmarks: weights/none", f"landmarks: {names[1]}")
    text = text.replace("weights: weights/none", f"weights: {names[0]}")
    assert ablation._borrowed(params.parse_params(text, PARAMS)) == [Path(names[1]), Path(names[0])]
    absolute = text.replace(names[0], str(tmp_path / "elsewhere.tflite"))
    assert ablation._borrowed(params.parse_params(absolute, PARAMS)) == [Path(names[1])]
