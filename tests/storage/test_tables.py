"""Tables come back as they were written."""

import io

import numpy as np
import pandas as pd
import pytest

from pipeline.storage import tables

NAMES = ["007", "NA", "null", "1", "1e3", "nan", "True", "sub01/EP02_01f"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_and_only_empty_cells_are_missing(name, tmp_path):
    table = pd.DataFrame(
        {"clip": [name], "subject": [name], "label": [name], "role": [name], "predicted": [name], "frames": [name]}
    ).assign(onset=[8], apex=[None], p_a=[0.25])
    table.to_csv(tmp_path / "table.csv", index=False)
    found = tables.read(tmp_path / "table.csv", numbers=["onset", "apex"])
    assert list(found.loc[0, "clip":"frames"]) == [name] * 6
    assert found["onset"].dtype == int and found["apex"].isna().all() and found["p_a"].item() == 0.25
    text = (tmp_path / "table.csv").read_text()
    pd.testing.assert_frame_equal(tables.read(io.StringIO(text), numbers=["onset", "apex"]), found)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_nobody_has_heard_of_is_text(name):
    assert tables.read(io.StringIO(f"clip,camera\na,{name}\n"))["camera"].item() == name


def test_numbers_are_what_the_caller_calls_so():
    text = "clip,epoch,loss,apex\n1,1,0.5,\n2,2,0.25,7\n"
    found = tables.read(io.StringIO(text), numbers=("epoch", "loss", "apex", "of another table"))
    assert list(found["clip"]) == ["1", "2"]
    assert found["epoch"].dtype == int and found["loss"].dtype == float and found["apex"].dtype == float
    assert list(tables.read(io.StringIO(text))["epoch"]) == ["1", "2"]


def test_probabilities_come_back_bit_by_bit():
    values = np.random.default_rng(0).dirichlet(np.ones(3), 1000).ravel()
    written = pd.DataFrame({"clip": "a", "p_1": values}).to_csv(index=False)
    found = tables.read(io.StringIO(written))
    pd.testing.assert_frame_equal(found[["p_1"]], pd.read_csv(io.StringIO(written))[["p_1"]], check_exact=True)
    assert found.to_csv(index=False) == written


def test_a_table_without_rows_has_its_columns():
    found = tables.read(io.StringIO("clip,subject,onset,p_a\n"), numbers=["onset"])
    assert list(found) == ["clip", "subject", "onset", "p_a"] and found.empty


def test_names_of_any_script_are_read_as_they_were_written(tmp_path):
    (tmp_path / "table.csv").write_text("clip\nSøren/微表情\n", encoding="utf-8")
    assert tables.read(tmp_path / "table.csv")["clip"].item() == "Søren/微表情"
