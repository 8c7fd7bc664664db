"""The stages of Table 1 on a few small clips: what they write, again the same, and what they refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from pipeline import comparators, paths
from pipeline.evaluation import comparison, protocols
from pipeline.storage import apexes, clip_store, described, parts
from pipeline.storage.apexes import Apex
from stages import classify, compare, describe, describe_inputs, inputs, largest_class
from tests.tiny import merge

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).parent / "schematic_face.tflite"  # which sees a face in whatever is red
SUBJECTS = ["s1", "s2", "s3"]
LABELS = ["disgust", "tense"]
METHODS = {"lbp_sip": (1, 2, 2), "fdm": (2, 3, 3)}
STUDY = {
    "subjects": SUBJECTS,
    "comparators": {"methods": list(METHODS), **{name: {"blocks": list(blocks)} for name, blocks in METHODS.items()}},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of twelve clips, in the current folder; STANet has one of three clips wrong."""
    monkeypatch.chdir(tmp_path)
    configure(STUDY)
    Path("weights").mkdir()
    Path("weights/none").touch()
    paths.PUBLISHED.parent.mkdir(parents=True)
    shutil.copy(ROOT / paths.PUBLISHED, paths.PUBLISHED)
    table = pd.DataFrame({"subject": [SUBJECTS[number % 3] for number in range(12)]}).sort_values("subject")
    table.insert(0, "clip", [f"{subject}/EP{number:02d}" for number, subject in enumerate(table["subject"])])
    table["label"] = [LABELS[number % 2] for number in range(12)]
    rng = np.random.default_rng(0)
    moving = (table["label"] == "tense").to_numpy()[:, None, None, None, None]
    flow = (rng.normal(size=(12, 7, 2, 32, 32)) + moving).astype(np.float16)
    frames = rng.integers(256, size=(12, 8, 32, 32, 3), dtype=np.uint8)
    for path in (paths.clips("synthetic"), paths.predictions("synthetic")):
        path.parent.mkdir(parents=True)
    clips = list(table["clip"])
    clip_store.write_stack(paths.stabilised("synthetic"), "frames", clips, list(frames))
    clip_store.write_stack(paths.flow("synthetic"), "flow", clips, list(flow))
    clip_store.write_stack(paths.key_flow("synthetic"), "flow", clips, list(flow[:, :4].sum(1)))
    apexes.table((clip, Apex(5, "annotated")) for clip in clips).to_csv(paths.apex("synthetic"), index=False)
    table.to_csv(paths.clips("synthetic"), index=False)
    paths.classes("synthetic").write_text(json.dumps(LABELS))
    paths.folds("synthetic").write_text(protocols.as_text({subject: [subject] for subject in SUBJECTS}))
    wrong = np.arange(12) % 3 == 0
    predicted = table["label"].where(~wrong, "tense")
    table.assign(predicted=predicted, p_disgust=0.5, p_tense=0.5).to_csv(paths.predictions("synthetic"), index=False)
    run(describe_inputs, "synthetic")
    return table


def configure(changes):
    yaml = YAML()
    document = yaml.load(ROOT / "params.yaml")
    merge(document, changes)
    yaml.dump(document, Path("params.yaml"))


def run(stage, *arguments, fails=False):
    result = CliRunner().invoke(stage.main, arguments)
    assert result.exit_code == 1 if fails else result.exit_code == 0, result.output
    return result.output


def run_all(methods=tuple(METHODS)):
    """Bytes of everything that the stages write."""
    run(describe_inputs, "synthetic")
    for method in methods:
        run(describe, "synthetic", method)
        run(inputs, "synthetic", "synthetic", method)
        run(classify, method)
    run(largest_class)
    run(compare)
    written = [file for folder in ("data", "results") for file in Path(folder).rglob("*") if file.is_file()]
    return {file.as_posix(): file.read_bytes() for file in written}


def test_features_predictions_and_table_are_written_and_equal_every_time(study):
    first = run_all()
    with clip_store.reading(paths.features("synthetic", "fdm")) as file:
        assert clip_store.clip_names(file) == list(study["clip"])
        assert file["features"].shape == (12, 18, 2) and file["features"].attrs["method"] == "fdm"
        assert json.loads(file["features"].attrs["settings"]) == {"blocks": [2, 3, 3]}
    for method in (*METHODS, "largest_class"):
        predictions = pd.read_csv(paths.comparator("synthetic", method), dtype=str)
        assert list(predictions.columns) == ["clip", "subject", "label", "predicted"]
        assert list(predictions["clip"]) == list(study["clip"]) and list(predictions["label"]) == list(study["label"])
    table = comparison.read(paths.table1("synthetic"))
    assert list(table.columns[:6]) == ["method", "accuracy", "uf1", "uar", "correct", "clips"]
    assert list(table["method"]) == ["stanet", *METHODS, "largest_class"]
    rows = table.set_index("method")
    assert rows.loc["fdm", "correct"] == 12  # the flow says it all
    assert dict(rows["values"].dropna()) == {"fdm": 36, "lbp_sip": 80, "largest_class": 0}
    assert rows.loc["stanet", "remark"] == "one seed" and rows.loc["fdm", "remark"] == comparators.remark("fdm")
    assert not Path(".partial").exists()
    shutil.rmtree("data/synthetic/features")
    shutil.rmtree(paths.described_by_methods("synthetic"))
    assert run_all() == first


def test_what_each_method_describes_is_named_with_its_hash(study):
    arrays = {"frames": paths.stabilised, "flow": paths.flow, "key_flow": paths.key_flow}
    files = {kind: parts.file_of(path("synthetic")) for kind, path in arrays.items()}
    methods = comparators.methods()
    assert {file.stem for file in paths.described_by_methods("synthetic").iterdir()} == set(methods)
    for method in methods:
        reads = described.read(paths.described("synthetic", method))
        assert reads.arrays == files[comparators.reads(method)]
        assert reads.frames == (files["frames"] if comparators.has_regions(method) else None)


def test_pixels_are_those_of_the_flow_to_the_apex(study):
    configure(STUDY | {"comparators": {"methods": ["pixels"], "pixels": {"size": 16}}})
    # Pictures go from 0 to 255 in every clip, so that only the place of a motion can tell classes apart.
    noise = np.random.default_rng(1).normal(size=(12, 2, 32, 32))
    noise[(study["label"] == "tense").to_numpy(), ..., 16:] += 5
    clip_store.write_stack(paths.key_flow("synthetic"), "flow", list(study["clip"]), list(noise.astype(np.float16)))
    run_all(methods=["pixels"])
    row = comparison.read(paths.table1("synthetic")).set_index("method").loc["pixels"]
    assert (row["correct"], row["values"], row["remark"]) == (12, 3 * 16 * 16, comparators.remark("pixels"))
    # Of the other arrays nothing is read.
    before = paths.features("synthetic", "pixels").read_bytes()
    for path in (paths.flow("synthetic"), paths.stabilised("synthetic")):
        path.write_bytes(b"something else")
    run(describe, "synthetic", "pixels")
    assert paths.features("synthetic", "pixels").read_bytes() == before


def test_a_row_says_whether_its_regions_lie_between_landmarks(study):
    frames = np.zeros((8, 64, 64, 3), np.uint8)
    frames[..., 0] = 255
    flow = np.random.default_rng(0).normal(size=(12, 7, 2, 64, 64)).astype(np.float16)
    clip_store.write_stack(paths.stabilised("synthetic"), "frames", list(study["clip"]), [frames] * 12)
    clip_store.write_stack(paths.flow("synthetic"), "flow", list(study["clip"]), list(flow))
    Path("weights/face_landmark.tflite").write_bytes(STAND_IN.read_bytes())
    for model, regions in (
        ("none", "on a grid instead of between landmarks"),
        ("face_landmark.tflite", "between landmarks"),
    ):
        comparators = STUDY["comparators"] | {"methods": ["mdmo", "fdm"], "landmarks": f"weights/{model}"}
        configure(STUDY | {"comparators": comparators, "head_motion": "keep"})
        run_all(methods=("mdmo", "fdm"))
        remarks = comparison.read(paths.table1("synthetic")).set_index("method")["remark"]
        assert remarks["mdmo"] == f"regions {regions}; without the paper's alignment of faces"
        assert "regions" not in remarks["fdm"]


def test_features_do_not_hang_on_labels_and_predictions_not_on_those_held_out(study):
    before = run_all()
    own = study["subject"] == "s2"
    study.assign(label=study["label"].where(~own, "disgust")).to_csv(paths.clips("synthetic"), index=False)
    for method in METHODS:
        run(describe, "synthetic", method)
        features = paths.features("synthetic", method)
        assert features.read_bytes() == before[features.as_posix()]
        run(classify, method)
        changed, original = (
            pd.read_csv(source, dtype=str).set_index("clip")["predicted"]
            for source in (paths.comparator("synthetic", method), _file(before, paths.comparator("synthetic", method)))
        )
        assert list(changed[own.to_numpy()]) == list(original[own.to_numpy()])


def _file(written, path):
    target = Path("before.csv")
    target.write_bytes(written[path.as_posix()])
    return target


def test_without_methods_the_largest_class_remains(study):
    configure(STUDY | {"comparators": {"methods": []}})
    run_all(methods=())
    assert list(comparison.read(paths.table1("synthetic"))["method"]) == ["stanet", "largest_class"]


def test_a_method_that_is_taken_out_leaves_no_row(study):
    run_all()
    configure(STUDY | {"comparators": {"methods": ["fdm"]}})
    run(compare)
    assert list(comparison.read(paths.table1("synthetic"))["method"]) == ["stanet", "fdm", "largest_class"]


def test_a_study_of_some_folds_has_their_clips_alone(study):
    configure(STUDY | {"held_out": ["s1", "s3"]})
    predictions = pd.read_csv(paths.predictions("synthetic"))
    predictions[predictions["subject"] != "s2"].to_csv(paths.predictions("synthetic"), index=False)
    run_all()
    table = comparison.read(paths.table1("synthetic"))
    assert set(table["clips"]) == {8} and set(table["subjects"]) == {2}
    # They are trained with everybody else, as in the whole study.
    assert set(pd.read_csv(paths.comparator("synthetic", "fdm"))["subject"]) == {"s1", "s3"}


def test_what_cannot_be_described_or_classified_is_one_clear_error(study):
    configure(STUDY | {"comparators": {"fdm": {"blocks": [2, 3, 99]}}})
    message = run(describe, "synthetic", "fdm", fails=True)
    assert "clip s1/EP00: " in message and "expected a grid of 1 to 32 blocks" in message
    assert not paths.features("synthetic", "fdm").exists()
    assert "expected one of the comparators" in run(describe, "synthetic", "svm", fails=True)
    configure(STUDY | {"comparators": {"methods": ["lbp_topp"]}})
    message = run(describe, "synthetic", "fdm", fails=True)
    assert "comparators.methods.0: must be one of" in message and "did you mean lbp_top?" in message


def test_still_clips_of_one_class_have_a_result_and_no_nan(study):
    still = [np.zeros((7, 2, 32, 32), np.float16)] * 12
    clip_store.write_stack(paths.flow("synthetic"), "flow", list(study["clip"]), still)
    constant = [np.full((8, 32, 32, 3), 90, np.uint8)] * 12
    clip_store.write_stack(paths.stabilised("synthetic"), "frames", list(study["clip"]), constant)
    # s1 alone is tense: without s1 there is but one class to learn.
    labels = study["label"].where(study["subject"] == "s1", "disgust")
    study.assign(label=labels).to_csv(paths.clips("synthetic"), index=False)
    predictions = pd.read_csv(paths.predictions("synthetic")).assign(label=labels.to_numpy())
    predictions.to_csv(paths.predictions("synthetic"), index=False)
    run_all()
    assert set(pd.read_csv(paths.comparator("synthetic", "fdm"))["predicted"]) == {"disgust"}
    assert "nan" not in paths.table1("synthetic").read_text().lower()


@pytest.mark.parametrize(("method", "path"), [("lbp_sip", paths.stabilised), ("fdm", paths.flow)])
def test_an_array_that_was_changed_is_named(study, method, path):
    path("synthetic").write_bytes(b"something else")
    message = run(describe, "synthetic", method, fails=True)
    assert f"{path('synthetic').name}: expected the content with SHA-256" in message
    assert not paths.features("synthetic", method).exists()
    paths.described("synthetic", method).unlink()
    message = run(describe, "synthetic", method, fails=True)
    assert f"{method}.json: expected the manifest of what a method describes" in message


def test_a_damaged_file_of_features_is_named(study):
    run_all()
    paths.features("synthetic", "fdm").write_bytes(b"something else")
    assert "fdm.h5: expected the content with SHA-256" in run(classify, "fdm", fails=True)
