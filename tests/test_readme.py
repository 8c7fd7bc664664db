"""The README names every parameter, every output and every command that it promises to."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import params
from pipeline.__main__ import main
from tests.test_dvc_yaml import STAGES, keys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def leaves():
    known = keys(params.Params)
    return sorted(key for key in known if not any(other.startswith(f"{key}.") for other in known))


@pytest.mark.parametrize("key", leaves())
def test_every_parameter_is_explained(key):
    assert f"`{key}`" in README


def options(command):
    return [parameter for parameter in main.commands[command].params if parameter.param_type_name == "option"]


def outputs():
    for stage in STAGES.values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            path = next(iter(out)) if isinstance(out, dict) else out
            yield path.replace("${item.dataset}", "<dataset>").replace("${item.subject}", "<subject>")


@pytest.mark.parametrize("path", list(outputs()))
def test_every_output_is_explained(path):
    assert f"`{path}" in README


@pytest.mark.parametrize(
    "command",
    [
        "make repro",
        "make test",
        "dvc exp run -S lambda=1e-7",
        "dvc metrics diff",
        "dvc exp show",
        "dvc plots show",
        "python -m pipeline ablate",
        "python -m pipeline folds",
        "python -m pipeline predict",
    ],
)
def test_every_command_is_shown(command):
    assert command in README


@pytest.mark.parametrize("option", sorted({option.opts[0] for name in main.commands for option in options(name)}))
def test_every_option_is_explained(option):
    assert f"{option} " in README or f"{option}`" in README


# Words of mermaid's flowcharts: as the name of a node each ends the whole picture in a syntax error.
RESERVED = {"call", "class", "classDef", "click", "default", "direction", "end", "flowchart", "graph", "href"}
RESERVED |= {"interpolate", "linkStyle", "style", "subgraph"}


def test_the_picture_of_the_pipeline_has_every_stage_and_names_that_mermaid_takes():
    [picture] = re.findall(r"```mermaid\nflowchart LR\n(.*?)```", README, re.DOTALL)
    nodes = dict(re.findall(r"(\w+)\[\(?(\w+)", picture))
    assert STAGES.keys() <= set(nodes.values())
    named = set(re.findall(r"\w+", re.sub(r"\[.*?\]", "", picture)))
    assert named == nodes.keys() and not named & RESERVED


def test_citation_and_licence_are_there():
    citation = YAML(typ="safe", pure=True).load(ROOT / "CITATION.cff")
    assert citation["license"] == "MIT" and "MIT License" in (ROOT / "LICENSE").read_text()
    assert any("Spatial-Temporal Attention Network" in reference["title"] for reference in citation["references"])
