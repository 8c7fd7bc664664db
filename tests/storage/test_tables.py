"""Tables come back as they were written."""

import io

import pandas as pd
import pytest

from pipeline.storage import tables


@pytest.mark.parametrize("name", ["007", "NA", "null", "1", "1e3", "nan", "True", "sub01/EP02_01f"])
def test_names_are_text_and_only_empty_cells_are_missing(name, tmp_path):
    table = pd.DataFrame(
        {"clip": [name], "subject": [name], "label": [name], "role": [name], "predicted": [name], "frames": [name]}
    ).assign(onset=[8], apex=[None], p_a=[0.25])
    table.to_csv(tmp_path / "table.csv", index=False)
    found = tables.read(tmp_path / "table.csv")
    assert list(found.loc[0, "clip":"frames"]) == [name] * 6
    assert found["onset"].dtype == int and found["apex"].isna().all() and found["p_a"].item() == 0.25
    pd.testing.assert_frame_equal(tables.read(io.StringIO((tmp_path / "table.csv").read_text())), found)
