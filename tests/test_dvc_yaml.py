"""dvc.yaml names everything that a stage depends on: its modules, transitively, and its parameters."""

import ast
import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import typing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dvc.fs import LocalFileSystem
from dvc.parsing import DataResolver
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline import comparators, networks, params
from pipeline.databases import profiles, recordings
from pipeline.evaluation import metrics
from pipeline.flow.estimators import METHODS
from pipeline.report.provenance import parameters
from pipeline.storage import tables
from tests.imports import imports

ROOT = Path(__file__).parents[1]

# Modules whose change cannot change the bytes of an output; what only they import is exempt with them.
EXEMPT = {
    "pipeline/learning/memory.py": "where numbers lie in memory, not what they are",
    "pipeline/learning/compiler.py": "a stage whose network cannot be compiled has no output",
    "pipeline/device.py": "which device computes: a matter of `runtime`, which no stage depends on",
    "pipeline/errors.py": "the text of errors: a stage that fails has no output",
    "pipeline/storage/locks.py": "which process may write, not what it writes",
    "pipeline/storage/outputs.py": "moves finished files into place, whatever is in them",
    "pipeline/params.py": "a change of a value is tracked by `params`; a change of the checks makes no output",
    "pipeline/paths.py": "a change of a path is a change of `deps` and `outs`",
    "stages/command.py": "progress display and the form of errors",
    "pipeline/runs/dvc_lock.py": "keeps a copy of dvc.lock, which no stage reads",
    "pipeline/runs/integrity.py": "compares files with their hashes and changes none",
    "pipeline/waiting.py": "how threads wait for each other, not what they compute",
    "pipeline/processor.py": "last digits on some processors; the processor itself is no dependency either",
    "stages/__init__.py": "calls the two above",
    "pipeline/__init__.py": "as above",
}

STAGES = {
    name: stage.get("do", stage)
    for name, stage in YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"].items()
}
PER_DATABASE = (
    *("index", "interpolate", "resize", "stabilise", "extract_flow", "key_flow", "describe_inputs", "gather"),
)
PER_METHOD = ("describe", "comparator_inputs", "classify")
PER_NETWORK = ("network_inputs", "train_network", "pool")
SCRIPTS = {name: stage["cmd"].split("stages.")[1].split()[0] for name, stage in STAGES.items()}
ROOM = "pipeline/comparators"
NETWORKS = "pipeline/networks"
METHOD, NETWORK = "${item.method}", "${item.network}"

# Parameters that a stage reads and that change nothing of what it writes.
READ_ONLY = {
    "index": {
        "databases": "which databases there are is in the names of the stages",
        "subjects": "a wrong list ends the stage early; `task` depends on it",
        "classes": "as above",
        "protocol": "as above",
        "synthesize": "as above",
        "synthesize.layout": "as above",
        "train": "where nothing can be compiled, the stage ends early; `train` depends on it",
        "train.compile": "as above",
    },
    "extract_flow": {"train": "as for `index`", "train.compile": "as for `index`"},
    "gather": {"databases": "which databases there are is in the names of the stages"},
    "classify": {"databases": "which manifests are read is in the folder of the manifests, which it depends on"},
    "aggregate": {
        f"networks.{NETWORK}": "read of other networks alone, in `pool`",
        "databases": "as above",
    },
    "pool": {"databases": "which manifests are read is in the folder of the manifests, which it depends on"},
}


WORDS = {f"{NETWORKS}/__init__.py": {"fit_predict"}, "pipeline/learning/network.py": {"phases", "seed"}}
# Functions of a folder or a module whose imports cannot change what these scripts write.
LEFT_OUT = {
    # What is learnt of features cannot change them.
    "stages/describe.py": {f"{ROOM}/": {"classify"}},
    # These ask a network how it is called and what it reads, and compute nothing with it.
    "stages/aggregate.py": WORDS,
    "stages/inputs.py": WORDS | {f"{ROOM}/": {"classify"}},
}


def closure(start: str) -> set[str]:
    """A module and everything that it imports to run, without what is exempt or left out."""
    left_out = LEFT_OUT.get(start, {})
    found, pending = set(), {start}
    while pending:
        file = pending.pop()
        if file not in found and file not in EXEMPT:
            found.add(file)
            without = set().union(*(names for place, names in left_out.items() if file.startswith(place)))
            pending |= imports(ROOT / file, without, annotations=False)
    return found


def modules(folder: str) -> set[str]:
    """All modules in a folder, and everything that they import."""
    return set().union(*(closure(path.relative_to(ROOT).as_posix()) for path in (ROOT / folder).rglob("*.py")))


def code(stage: str, **chosen: str) -> set[str]:
    """The modules among the `deps` of a stage, those in folders included."""
    deps = STAGES[stage]["deps"]
    for name, value in chosen.items():
        deps = [dep.replace(f"${{{name.replace('_', '.')}}}", value) for dep in deps]
    folders = [dep for dep in deps if dep.startswith("pipeline/") and (ROOT / dep).is_dir()]
    inside = {path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")}
    return inside | {dep for dep in deps if dep.endswith(".py")}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in (*PER_METHOD, *PER_NETWORK)])
@pytest.mark.parametrize("method", METHODS)
def test_deps_are_the_modules_that_the_stage_imports(stage, method):
    expected = closure(f"stages/{SCRIPTS[stage]}.py")
    if "pipeline/flow/estimators.py" in expected:  # it imports the estimator by name
        expected |= modules(f"pipeline/flow/{method}")
    if stage == "train":  # it imports the network by name, and nothing else of its folder
        expected |= closure(f"{NETWORKS}/stanet/method.py")
        named = {file for file in expected if file.startswith(f"{NETWORKS}/stanet/")}
        assert named == {f"{NETWORKS}/stanet/{name}.py" for name in ("__init__", "method", "network")}
    if stage == "describe_inputs":  # it asks every method what it reads
        expected |= modules(ROOM)
    assert code(stage, flow_method=method) == expected


@pytest.mark.parametrize("stage", PER_NETWORK)
@pytest.mark.parametrize("network", params.OTHER_NETWORKS)
def test_deps_of_a_network_are_its_folder_and_what_networks_share(stage, network):
    expected = closure(f"stages/{SCRIPTS[stage]}.py")
    own = f"{NETWORKS}/{network}"
    if stage == "network_inputs":  # what it reads is in `__init__.py`
        expected.add(f"{own}/__init__.py")
    else:
        expected |= {path.relative_to(ROOT).as_posix() for path in (ROOT / own).glob("*.py")}
    if stage == "train_network":  # it computes with what the folder imports, where `pool` asks it for a few words
        expected |= modules(own) | {"pipeline/flow/pictures.py"}  # which some networks share
    assert code(stage, item_network=network) == expected


@pytest.mark.parametrize("stage", PER_METHOD)
@pytest.mark.parametrize("method", comparators.methods())
def test_deps_of_a_method_are_its_module_and_what_methods_share(stage, method):
    expected = closure(f"stages/{SCRIPTS[stage]}.py")
    if stage == "comparator_inputs":  # what it reads is in its module
        expected.add(f"{ROOM}/{method}.py")
    elif f"{ROOM}/__init__.py" in expected:  # it imports the method by name
        without = {"classify"} if stage == "describe" else set()
        for file in imports(ROOT / ROOM / f"{method}.py", without, annotations=False):
            expected |= closure(file)
        expected.add(f"{ROOM}/{method}.py")
        shared = ("shared",) if stage == "describe" else ("shared", "learnt")
        # Whole folders: no template can say which of the shared modules one method needs.
        expected |= {path.relative_to(ROOT).as_posix() for name in shared for path in (ROOT / ROOM / name).glob("*.py")}
        expected.add("pipeline/flow/pictures.py")
    assert code(stage, item_method=method) == expected


def test_what_is_described_does_not_depend_on_what_is_learnt():
    """Outside of their functions `classify`, neither methods nor what they share import from `learnt`."""
    for path in (ROOT / ROOM).rglob("*.py"):
        if path.parent.name != "learnt":
            learnt = {file for file in imports(path, {"classify"}) if file.startswith(f"{ROOM}/learnt/")}
            assert not learnt, path


def resolved(root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """All stages as DVC makes them of the templates."""
    definition = YAML(typ="safe", pure=True).load(root / "dvc.yaml")
    stages: dict[str, dict[str, Any]] = DataResolver(Repo(root), root.as_posix(), definition).resolve()["stages"]
    return stages


def with_networks(folder: Path, *names: str) -> Path:
    """A checkout, of the two files that DVC resolves, that lists these networks."""
    document = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    document["networks"]["names"] = list(names)
    YAML().dump(document, folder / "params.yaml")
    shutil.copy(ROOT / "dvc.yaml", folder)
    Repo.init(folder, no_scm=True)
    return folder


def test_a_block_of_one_method_is_a_parameter_of_that_methods_stages_alone():
    stages = resolved()
    block = "comparators.fdm"
    concerned = {name for name, stage in stages.items() if block in stage.get("params", [])}
    assert concerned == {"describe@synthetic-fdm", "classify@synthetic-fdm"}
    # Of what they write, these two are read by nothing but the comparison; the report prints every parameter.
    readers = downstream(stages, concerned)
    assert readers - concerned == {"comparator_inputs@synthetic-fdm", "compare@synthetic", "report@synthetic"}
    of_all = {name for name, stage in stages.items() if "comparators" in stage.get("params", [])}
    assert of_all == {"report@synthetic"}


def test_published_figures_concern_the_comparison_alone():
    assert [name for name, stage in STAGES.items() if "pipeline/evaluation/published.csv" in stage["deps"]] == [
        "compare"
    ]


def test_clips_are_described_without_any_table_of_labels():
    for stage in ("key_flow", "describe_inputs", "describe"):
        deps = [dep for dep in STAGES[stage]["deps"] if "/described/" not in dep]
        tables = [dep for dep in deps if dep.endswith((".csv", ".json")) or dep.endswith("/splits")]
        # `key_flow` reads where clips begin and end; what it keeps of a row has no label.
        assert tables == (["data/${key}/recordings.csv"] if stage == "key_flow" else [])


def test_key_flow_concerns_the_methods_that_read_it_alone():
    """A change of it reruns manifests; what follows a manifest that stays as it was does not rerun."""
    stages = resolved()
    readers = {
        name.split("@")[0]
        for name, stage in stages.items()
        if {"data/synthetic/key_flow.h5", "data/synthetic/apex.csv"} & set(stage["deps"])
    }
    assert readers <= {"describe_inputs", "comparator_inputs", "network_inputs"} and "describe_inputs" in readers
    changed = {name for name, stage in stages.items() if "apex" in stage.get("params", [])}
    assert changed == {"key_flow@synthetic", "report@synthetic"}


def test_without_methods_the_largest_class_is_still_compared(tmp_path):
    document = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    document["comparators"]["methods"] = []
    YAML().dump(document, tmp_path / "params.yaml")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    Repo.init(tmp_path, no_scm=True)
    definition = YAML(typ="safe", pure=True).load(tmp_path / "dvc.yaml")
    stages = DataResolver(Repo(tmp_path), tmp_path.as_posix(), definition).resolve()["stages"]
    assert not [name for name in stages if name.split("@")[0] in PER_METHOD]
    # Every file that a stage reads is one that another stage writes, or is there.
    written = {out for stage in stages.values() for out in outputs(stage)}
    for stage in stages.values():
        for dep in stage["deps"]:
            made = any(out == dep or out.startswith(f"{dep}/") or dep.startswith(f"{out}/") for out in written)
            assert made or (ROOT / dep).exists(), dep


def outputs(stage: dict[str, Any]) -> list[str]:
    listed = [*stage.get("outs", []), *stage.get("metrics", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]


def downstream(stages: dict[str, dict[str, Any]], start: set[str]) -> set[str]:
    """These stages and all that read what they write, directly or by others."""
    found, grown = set(), set(start)
    while grown != found:
        found = grown
        written = {out for name in found for out in outputs(stages[name])}
        grown = found | {
            name
            for name, stage in stages.items()
            if any(out == dep or out.startswith(f"{dep}/") for dep in stage["deps"] for out in written)
        }
    return found


def test_what_python_compiles_does_not_change_a_folder_that_a_stage_depends_on():
    compiled = f"pipeline/flow/{METHODS[0]}/__pycache__/estimator.cpython-311.pyc"
    answer = subprocess.run([sys.executable, "-m", "dvc", "check-ignore", compiled], cwd=ROOT, capture_output=True)
    assert answer.returncode == 0 and compiled in answer.stdout.decode()


def enumerated(file: str) -> list[set[str]]:
    """The texts in each literal collection of a module: tuples, lists, sets, keys, and what `Literal[...]` allows."""
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            members = node.keys if isinstance(node, ast.Dict) else node.elts
            found.append({member.value for member in members if isinstance(member, ast.Constant)})
    return found


NAMES = {
    "estimator": METHODS,
    "precision": typing.get_args(typing.get_type_hints(params.Train)["precision"]),
    "metric": tuple(metrics.scores(np.eye(2, dtype=int))),
    "database": tuple(profiles.PROFILES),
    "comparator": comparators.methods(),
    "network": (*networks.names(), *(f"networks.{name}" for name in networks.names())),
}

# A network checks its own settings. Another precision is a change of the loop that all folds are trained by anyway.
LISTED = {"precision": {f"{NETWORKS}/stanet/__init__.py"}}


@pytest.mark.parametrize("kind", NAMES)
def test_a_new_name_trains_no_fold_again(kind):
    """No module that a fold depends on lists the names there are, so that none changes when there is one more."""
    names = set(NAMES[kind])
    assert len(names) > 1
    for file in (code("train") | code("train_network", item_network="cnn_lstm")) - LISTED.get(kind, set()):
        assert not [listed for listed in enumerated(file) if len(listed & names) > 1], file


@pytest.mark.parametrize("stage", ["describe", "classify", "train", "extract_flow"])
def test_a_new_method_concerns_no_stage_of_another(stage):
    for file in code(stage, item_method="fdm"):
        assert not [listed for listed in enumerated(file) if len(listed & set(comparators.methods())) > 1], file


def test_a_new_column_of_text_trains_no_fold_again():
    """`train` depends on the module that reads tables, and that one knows no column by its name."""
    assert tables.__file__ == str(ROOT / "pipeline/storage/tables.py")
    assert "pipeline/storage/tables.py" in code("train")
    columns = {"role", "predicted", *recordings.COLUMNS}
    words = {
        node.value for node in ast.walk(ast.parse(Path(tables.__file__).read_text())) if isinstance(node, ast.Constant)
    }
    assert not columns & words


def test_an_enumeration_is_found_in_all_its_forms(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        'from typing import Literal\nA = ("a", "b")\nB = ["c", 1]\nC = {"d"}\nD = {"e": 1}\nE: Literal["f", "g"]\n'
    )
    assert enumerated(str(module)) == [{"a", "b"}, {"c", 1}, {"d"}, {"e"}, {"f", "g"}]


def test_every_exemption_exists_and_has_a_reason():
    for file, reason in EXEMPT.items():
        assert (ROOT / file).is_file() and reason


def test_an_import_is_found_in_all_its_forms(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "import pipeline.evaluation.protocols\nfrom pipeline import params as p\n"
        "from pipeline.frames import recording\nfrom pipeline.databases import casme2\n"
        "from pipeline.databases import readers\nimport numpy\n\ndef f():\n"
        "    from pipeline.evaluation.metrics import scores\n\n"
        "if TYPE_CHECKING:\n    from pipeline.learning import fold\n\n"
        "class A:\n    def m(self):\n        from pipeline.learning import seeds\n"
    )
    everything = {
        "pipeline/evaluation/protocols.py",
        "pipeline/frames/recording.py",
        "pipeline/params.py",
        "pipeline/databases/casme2.py",
        "pipeline/databases/readers.py",
        "pipeline/evaluation/metrics.py",
        "pipeline/learning/fold.py",
        "pipeline/learning/seeds.py",
    }
    assert imports(module) == everything
    assert imports(module, annotations=False) == everything - {"pipeline/learning/fold.py"}
    lazy = {"pipeline/evaluation/metrics.py", "pipeline/learning/seeds.py"}
    assert imports(module, {"f", "m"}) == everything - lazy


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
    tree = ast.parse((ROOT / f"stages/{SCRIPTS[stage]}.py").read_text())
    chains = set()
    for node in ast.walk(tree):
        chain, inner = [], node
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if chain and isinstance(inner, ast.Name) and inner.id == "params":
            chains.add(".".join("lambda" if part == "lambda_" else part for part in chain))
    known = keys(params.Params)
    # Such as `params.trained_folds`, which is derived from two keys.
    derived = {
        "trained_folds": ("held_out", "folds"),
        "clip_selection": ("protocol", "folds"),
        "embedded": ("databases",),
        "comparators.settings": (f"comparators.{METHOD}",),
        "network_settings": (f"networks.{NETWORK}",),
    }
    chains = {part for chain in chains for part in derived.get(chain, (chain,))}
    unknown = chains - known - {f"comparators.{METHOD}", f"networks.{NETWORK}"}
    assert not unknown, f"{stage} reads what params.yaml does not have: {unknown}"
    return chains


def settings_read(stage: str) -> set[str]:
    """Keys of a database's section that a stage's script reads from `settings`."""
    tree = ast.parse((ROOT / f"stages/{SCRIPTS[stage]}.py").read_text())
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
        *("synthesize", "index", "interpolate", "resize", "stabilise", "extract_flow", "key_flow", "describe_inputs"),
        *(
            "describe",
            "comparator_inputs",
            "network_inputs",
            "gather",
            "task",
            "train",
            "train_network",
            "aggregate",
            "pool",
        ),
        *("largest_class", "classify", "compare", "report"),
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


def md5(path: Path) -> str | None:
    """Hash of a file or a folder as dvc.lock has it; None if there is neither."""
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*.py"))
        listed = [{"md5": md5(path / name), "relpath": name} for name in names]
        return hashlib.md5(json.dumps(listed).encode()).hexdigest() + ".dir"
    return hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else None


def test_the_committed_lock_belongs_to_the_code():
    """After a change of code, `dvc repro` brings dvc.lock up to date; it is committed with the code."""
    lock = YAML(typ="safe", pure=True).load(ROOT / "dvc.lock")
    stale = {
        f"{stage}: {dep['path']}"
        for stage, entry in lock["stages"].items()
        for dep in entry["deps"]
        if dep["path"].startswith(("pipeline/", "stages/")) and md5(ROOT / dep["path"]) != dep["md5"]
    }
    assert not stale
    active = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    per_dataset = STAGES.keys() - {"synthesize", "train", *PER_NETWORK, *PER_DATABASE, *PER_METHOD}
    expected = {"synthesize"} | {f"{stage}@{active['dataset']}" for stage in per_dataset}
    expected |= {f"{stage}@{database}" for stage in PER_DATABASE for database in active["databases"]}
    expected |= {f"train@{active['dataset']}-{fold}" for fold in active["folds"]}
    methods = active["comparators"]["methods"]
    expected |= {f"classify@{active['dataset']}-{method}" for method in methods}
    for stage in ("describe", "comparator_inputs"):
        expected |= {f"{stage}@{database}-{method}" for database in active["databases"] for method in methods}
    for network in active["networks"]["names"]:
        expected |= {f"network_inputs@{database}-{network}" for database in active["databases"]}
        expected |= {f"train_network@{active['dataset']}-{network}-{fold}" for fold in active["folds"]}
        expected.add(f"pool@{active['dataset']}-{network}")
    assert expected <= set(lock["stages"])


def stages_with(tmp_path, **changes) -> set[str]:
    """Names of the stages that DVC makes of dvc.yaml with other networks."""
    yaml = YAML()
    document = yaml.load(ROOT / "params.yaml")
    document["networks"] |= changes
    with (tmp_path / "params.yaml").open("w") as file:
        yaml.dump(document, file)
    definition = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")
    repository = SimpleNamespace(fs=LocalFileSystem(), config={})
    return set(DataResolver(repository, tmp_path.as_posix(), definition).get_keys())


def test_cnn_lstm_runs_where_it_is_listed_and_nowhere_else(tmp_path):
    without, with_it = stages_with(tmp_path, names=[]), stages_with(tmp_path, names=["cnn_lstm"])
    assert "train@synthetic-sub01" in without and not any("cnn_lstm" in name for name in without)
    assert with_it - without == {
        *(f"train_network@synthetic-cnn_lstm-sub0{number}" for number in range(1, 6)),
        *("network_inputs@synthetic-cnn_lstm", "pool@synthetic-cnn_lstm"),
    }


def test_a_block_of_one_network_is_a_parameter_of_that_networks_stages_alone(tmp_path):
    stages = resolved(with_networks(tmp_path, "cnn_lstm"))
    concerned = {name for name, stage in stages.items() if "networks.cnn_lstm" in stage.get("params", [])}
    own = {name for name in stages if "-cnn_lstm" in name and not name.startswith("network_inputs")}
    assert concerned == own and len(own) == 6
    assert downstream(stages, concerned) - concerned == {"compare@synthetic", "report@synthetic"}
    of_all = {name for name, stage in stages.items() if "networks" in stage.get("params", [])}
    assert of_all == {"report@synthetic"}
    listed = {name for name, stage in stages.items() if "networks.names" in stage.get("params", [])}
    assert listed == {"compare@synthetic"}


@pytest.mark.parametrize("key", ["lambda", "model", "selection"])
def test_what_is_special_to_stanet_concerns_no_other_network(tmp_path, key):
    stages = resolved(with_networks(tmp_path, "cnn_lstm"))
    concerned = {name for name, stage in stages.items() if key in stage.get("params", [])}
    assert concerned == {*(f"train@synthetic-sub0{number}" for number in range(1, 6)), "report@synthetic"}
    assert not [name for name in downstream(stages, concerned) if "cnn_lstm" in name]


def test_a_worker_loads_whatever_a_fold_of_the_stage_depends_on():
    """It compares its modules with those in dvc.lock, and one that it has not loaded counts as another."""
    needed = {file for file in closure("stages/train.py") if file.startswith("pipeline/")}
    assert needed <= closure("pipeline/runs/worker.py")
    assert 'import_module(f"{training.network.module}.method")' in (ROOT / "pipeline/runs/worker.py").read_text()
