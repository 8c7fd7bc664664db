"""What the page says of where it comes from."""

from dataclasses import replace

from pipeline.report.provenance import drawing_versions, parameters
from tests.report.studies import params, provenance


def test_parameters_are_what_a_result_depends_on_under_their_keys():
    shown = parameters(params())
    assert not any(key.endswith(".raw") for key in shown) and not any(key.startswith("runtime") for key in shown)
    assert (shown["lambda"], shown["train.augmentation.crop"], shown["report.clips"]) == ("1e-08", "168", "[]")
    assert "synthesize.seed" in shown and list(shown) == sorted(shown)


def test_other_datasets_do_not_depend_on_the_settings_of_the_embedded_one():
    found = parameters(params("casme2", {"annotation": {"file": "/media/coding.xlsx", "sha256": "ab" * 32}}))
    assert not any(key.startswith("synthesize") for key in found)
    assert found["databases.casme2.annotation.file"] == "coding.xlsx"  # where it lies is no part of a result


def test_face_boxes_stay_one_value():
    shown = parameters(params(database={"face_boxes": {"sub01": [1, 2, 3, 4]}}))
    assert shown["databases.synthetic.face_boxes"] == '{"sub01": [1, 2, 3, 4]}'


def test_versions_are_one_row_where_all_folds_agree_and_named_where_not():
    origin = provenance(["sub01", "sub02"])
    assert origin.training_versions() == [("python 3.99, torch 9.9", "all folds")]
    other = replace(origin, trained_with={"sub01": {"torch": "9.9"}, "sub02": {"torch": "9.8"}})
    assert other.training_versions() == [("torch 9.9", "sub01"), ("torch 9.8", "sub02")]


def test_the_packages_that_make_a_page_are_installed():
    assert {"matplotlib", "numpy", "jinja2"} <= set(drawing_versions())


def test_kinds_of_device_are_said_where_there_are_several():
    origin = provenance(["sub01", "sub02", "sub03"])
    assert origin.mixed_devices() == ""
    mixed = replace(origin, devices={"sub01": "cuda", "sub02": "cpu", "sub03": "cuda"})
    assert mixed.mixed_devices() == "cpu: sub02; cuda: sub01, sub03"
