"""No room knows one that it should not, and docs/architecture.md shows the rule as it is."""

import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from tests.architecture import RULE, allowed, drawing, module_of, room_of, violations
from tests.imports import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def rooms() -> set[str]:
    """What lies in pipeline/."""
    folders = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    return folders | {path.stem for path in (ROOT / "pipeline").glob("*.py")}


def test_no_room_imports_one_that_it_may_not_know():
    assert not list(violations())


def test_every_room_has_a_rule():
    assert rooms() | {"stages"} <= set(RULE)


def test_the_rule_goes_in_no_circle():
    list(TopologicalSorter({room: {room_of(known) for known in RULE[room]} for room in RULE}).static_order())


@pytest.mark.parametrize(
    ("importer", "imported", "may"),
    [
        ("learning.training", "networks.stanet.network", False),
        ("learning.fold", "networks", False),
        ("networks.stanet.network", "learning.training", True),
        ("networks.stanet.network", "errors", True),
        ("networks.cnn_lstm.network", "learning.training", True),
        ("networks.cnn_lstm.network", "networks.cnn_lstm.states", True),
        ("networks.cnn_lstm.network", "networks.stanet.network", False),
        ("comparators.mdmo", "networks.cnn_lstm.states", False),
        ("frames.recording", "paths", False),
        ("synthetic.generator", "databases.layouts", True),
        ("synthetic.generator", "databases.casme2", False),
        ("synthetic.generator", "databases.layouts_of_others", False),
        ("flow.dis.estimator", "flow.estimators", True),
        ("flow.dis.estimator", "flow.farneback.estimator", False),
        ("flow.flownet2.estimator", "flow.flownet2.network", True),
        ("flow.extraction", "flow.dis.estimator", False),
        ("comparators.hoof", "comparators.shared.blocks", True),
        ("comparators.hoof", "comparators.lbp_top", False),
        ("comparators.protocol.description", "comparators", True),
        ("comparators.protocol.description", "comparators.hoof", False),
        ("adoption.adopt", "runs.folds", False),
        ("__main__", "adoption.adopt", True),
        ("errors", "storage.tables", False),
    ],
)
def test_the_rule_says_who_may_know_whom(importer, imported, may):
    assert allowed(importer, imported) == may


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("pipeline/flow/dis/estimator.py", "flow.dis.estimator"),
        ("pipeline/networks/stanet/__init__.py", "networks.stanet"),
        ("pipeline/__init__.py", "__init__"),
        ("pipeline/__main__.py", "__main__"),
        ("stages/train.py", "stages.train"),
    ],
)
def test_modules_have_the_names_of_their_files(file, module):
    assert module_of(file) == module


def test_the_page_has_the_drawing_of_the_rule():
    [shown] = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert shown == drawing()
    printed = subprocess.run(
        [sys.executable, "-m", "tests.architecture"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout == drawing()


def test_the_page_says_of_every_room_what_it_is_for():
    assert rooms() - {"__init__"} <= set(re.findall(r"^\| `(\w+)` \| .+ \|$", PAGE, re.MULTILINE))
