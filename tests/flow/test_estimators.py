"""The methods are the folders that are there, and a new one concerns nobody who does not choose it."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.flow import estimators
from pipeline.flow.estimators import METHODS

ROOM = Path(estimators.__file__).parent
ROOT = ROOM.parents[1]
SHARED = [ROOM / "estimators.py", ROOM / "extraction.py", ROOT / "stages/extract_flow.py"]


def test_the_methods_are_known():
    assert METHODS == ("dis", "farneback", "flownet2")


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_an_estimator_bears_its_own_name(method):
    assert estimators.estimator(method, Path("weights/none"), "cpu").settings["method"] == method


def test_a_new_method_is_one_folder(tmp_path):
    """The name is known to params.yaml, whose errors list it, and the estimator is used, without a change elsewhere."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOM / "dis", tmp_path / "pipeline/flow/brox")
    (tmp_path / "pipeline/flow/__pycache__").mkdir(exist_ok=True)  # a folder, and no method
    script = """
from pathlib import Path
from pipeline import errors, params
from pipeline.flow.estimators import METHODS, estimator
print(*METHODS)
print(type(estimator("brox", Path("weights/none"), "cpu")).__module__)
text = Path("params.yaml").read_text()
print(params.parse_params(text.replace("method: dis ", "method: brox "), Path("params.yaml")).flow.method)
try:
    params.parse_params(text.replace("method: dis ", "method: broks "), Path("params.yaml"))
except errors.InputError as error:
    print(error)
"""
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    names, module, chosen, *error = answer.stdout.splitlines()
    assert names == "brox dis farneback flownet2"
    assert module == "pipeline.flow.brox.estimator" and chosen == "brox"
    assert "flow.method: must be one of brox, dis, farneback, flownet2 (did you mean brox?)" in " ".join(error)


@pytest.mark.parametrize("module", SHARED, ids=lambda path: path.name)
def test_what_all_flow_depends_on_names_no_method(module):
    """A name there would have everybody's flow estimated again."""
    words = {node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant)}
    assert not words & set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_names_another(method):
    for module in (ROOM / method).rglob("*.py"):
        text = module.read_text()
        assert not [other for other in METHODS if other != method and f"flow.{other}" in text], module
