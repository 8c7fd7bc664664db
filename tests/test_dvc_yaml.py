"""dvc.yaml names everything that a stage depends on: its modules, transitively, and its parameters."""

import ast
import dataclasses
import hashlib
import typing
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import flow, params
from pipeline.report.provenance import parameters

ROOT = Path(__file__).parents[1]

# Modules whose change cannot change the bytes of an output; what only they import is exempt with them.
EXEMPT = {
    "pipeline/learning/memory.py": "where numbers lie in memory, not what they are",
    "pipeline/device.py": "which device computes: a matter of `runtime`, which no stage depends on",
    "pipeline/errors.py": "the text of errors: a stage that fails has no output",
    "pipeline/flow/flownet2_weights.py": "hands over a file, which is in `deps`, unchanged and by name, or refuses it",
    "pipeline/storage/outputs.py": "moves finished files into place, whatever is in them",
    "pipeline/params.py": "a change of a value is tracked by `params`; a change of the checks makes no output",
    "pipeline/paths.py": "a change of a path is a change of `deps` and `outs`",
    "stages/command.py": "progress display and the form of errors",
    "stages/__init__.py": "empty",
    "pipeline/__init__.py": "empty",
}

STAGES = {
    name: stage.get("do", stage)
    for name, stage in YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"].items()
}
PER_DATABASE = ("index", "interpolate", "resize", "extract_flow", "gather")

# Parameters that a stage reads and that change nothing of what it writes.
READ_ONLY = {
    "index": {
        "databases": "which databases there are is in the names of the stages",
        "subjects": "a wrong list ends the stage early; `task` depends on it",
        "classes": "as above",
        "synthesize": "as above",
        "synthesize.layout": "as above",
    },
    "gather": {"databases": "which databases there are is in the names of the stages"},
    "train": {"databases": "which manifests are read is in the folder of the manifests, which it depends on"},
}


def imports(path: Path) -> set[str]:
    """Files of this repository that a module imports, as names relative to the root."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from package import name`: the module `package.name` where there is one, otherwise the package itself.
            modules = [
                f"{node.module}.{alias.name}" if file_of(f"{node.module}.{alias.name}") else node.module
                for alias in node.names
            ]
        else:
            continue
        found |= {file for module in modules if (file := file_of(module))}
    return found


def file_of(module: str) -> str | None:
    base = Path(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate.as_posix()
    return None


def closure(start: str) -> set[str]:
    """A module and everything that it imports, without what is exempt."""
    found, pending = set(), {start}
    while pending:
        file = pending.pop()
        if file not in found and file not in EXEMPT:
            found.add(file)
            pending |= imports(ROOT / file)
    return found


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("method", flow.METHODS)
def test_deps_are_the_modules_that_the_stage_imports(stage, method):
    deps = {dep.replace("${flow.method}", method) for dep in STAGES[stage]["deps"]}
    declared = {dep for dep in deps if dep.endswith(".py")}
    expected = closure(f"stages/{stage}.py")
    if "pipeline/flow/__init__.py" in expected:  # it imports the estimator by name
        expected |= closure(f"pipeline/flow/{method}.py")
    assert declared == expected


def test_every_exemption_exists_and_has_a_reason():
    for file, reason in EXEMPT.items():
        assert (ROOT / file).is_file() or reason == "empty"
        assert reason


def test_an_import_is_found_in_all_its_forms(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "import pipeline.evaluation.loso\nfrom pipeline import params as p\nfrom pipeline.frames import recording\n"
        "from pipeline.databases import casme2\n"
        "from pipeline.databases import readers\nimport numpy\n\ndef f():\n"
        "    from pipeline.evaluation.metrics import scores\n"
    )
    assert imports(module) == {
        "pipeline/evaluation/loso.py",
        "pipeline/frames/recording.py",
        "pipeline/params.py",
        "pipeline/databases/casme2.py",
        "pipeline/databases/readers.py",
        "pipeline/evaluation/metrics.py",
    }


def keys(section: type, prefix: str = "") -> set[str]:
    """All keys of params.yaml, `train.augmentation.crop`, with their sections."""
    found = set()
    for field in dataclasses.fields(section):
        name = prefix + ("lambda" if field.name == "lambda_" else field.name)
        kind = typing.get_type_hints(section)[field.name]
        if typing.get_origin(kind) is dict and typing.get_args(kind)[1] is params.Database:
            found |= (
                {name} | {f"{name}.{inner}" for inner in keys(params.Database, "synthetic.")} | {f"{name}.synthetic"}
            )
            continue
        found |= {name} | (keys(kind, f"{name}.") if dataclasses.is_dataclass(kind) else set())
    return found


def used(stage: str) -> set[str]:
    """Keys that a stage's script reads from `params`."""
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text())
    chains = set()
    for node in ast.walk(tree):
        chain, inner = [], node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if chain and isinstance(inner, ast.Name) and inner.id == "params":
            chains.add(".".join("lambda" if part == "lambda_" else part for part in chain))
    known = keys(params.Params)
    # `params.folds` is derived from two keys.
    derived = {"folds": ("held_out", "subjects"), "embedded": ("databases",)}
    chains = {part for chain in chains for part in derived.get(chain, (chain,))}
    unknown = chains - known
    assert not unknown, f"{stage} reads what params.yaml does not have: {unknown}"
    return chains


def settings_read(stage: str) -> set[str]:
    """Keys of a database's section that a stage's script reads from `settings`."""
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text())
    known = {field.name for field in dataclasses.fields(params.Database)}
    return {
        f"databases.${{key}}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "settings"
        and node.attr in known
    }


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_those_that_the_script_reads(stage):
    declared = set(STAGES[stage].get("params", []))
    tracked_otherwise = {"dataset"} | READ_ONLY.get(stage, {}).keys()  # `dataset` is part of the stage's name
    for key in used(stage) | settings_read(stage):
        covered = any(key == name or key.startswith(f"{name}.") for name in declared)
        covered |= key == "databases" and stage in PER_DATABASE  # whose section's keys are looked at one by one
        section_of_declared = any(name.startswith(f"{key}.") for name in declared)
        paths = {f"${{{key}}}", key.replace("databases.${key}.", "${item.") + "}"}
        by_path = bool(paths & set(STAGES[stage]["deps"]))
        assert covered or section_of_declared or by_path or key in tracked_otherwise or key.startswith("runtime"), key


@pytest.mark.parametrize("stage", STAGES)
def test_runtime_is_tracked_by_no_stage(stage):
    assert not any(name.startswith("runtime") for name in STAGES[stage].get("params", []))


def test_params_yaml_has_exactly_the_known_keys():
    document = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")

    def flatten(node, prefix=""):
        return {
            name
            for key, value in node.items()
            for name in {prefix + key} | (flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else set())
        }

    assert flatten(document) == keys(params.Params)


def test_every_stage_of_the_design_is_there():
    assert list(STAGES) == [
        *("synthesize", "index", "interpolate", "resize", "extract_flow", "gather"),
        *("task", "train", "aggregate", "report"),
    ]


def test_outputs_with_faces_are_never_pushed():
    for stage, name in (("interpolate", "interpolated.h5"), ("resize", "resized.h5")):
        [out] = STAGES[stage]["outs"]
        assert out == {f"data/${{key}}/{name}": {"push": False}}
    for name in ("report.html", "figures"):  # faces, where report.faces is true
        assert {f"results/${{item.dataset}}/{name}": {"push": False}} in STAGES["report"]["outs"]


def test_the_page_is_never_older_than_what_it_shows():
    declared = set(STAGES["report"]["params"])
    shown = parameters(params.load_params(ROOT / "params.yaml"))
    assert {key.split(".")[0] for key in shown} <= declared | {"dataset"}
    assert "pipeline/report/page.html.jinja" in STAGES["report"]["deps"]


def test_the_committed_lock_belongs_to_the_code():
    """After a change of code, `dvc repro` brings dvc.lock up to date; it is committed with the code."""
    lock = YAML(typ="safe", pure=True).load(ROOT / "dvc.lock")
    stale = {
        f"{stage}: {dep['path']}"
        for stage, entry in lock["stages"].items()
        for dep in entry["deps"]
        if dep["path"].endswith(".py") and hashlib.md5((ROOT / dep["path"]).read_bytes()).hexdigest() != dep["md5"]
    }
    assert not stale
    active = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    per_dataset = STAGES.keys() - {"synthesize", "train", *PER_DATABASE}
    expected = {"synthesize"} | {f"{stage}@{active['dataset']}" for stage in per_dataset}
    expected |= {f"{stage}@{database}" for stage in PER_DATABASE for database in active["databases"]}
    expected |= {f"train@{active['dataset']}-{subject}" for subject in active["subjects"]}
    assert expected <= set(lock["stages"])
