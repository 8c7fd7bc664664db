"""Which room of `pipeline/` may know which: python -m tests.architecture prints the drawing in docs/architecture.md.

A room is a folder of `pipeline/` or a module beside the folders. tests/test_architecture.py holds the imports of all
modules, and the drawing, against `RULE`.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.imports import ROOT, imports

KNOWN_BY_ALL = ("errors",)

LIBRARY: dict[str, tuple[str, ...]] = {
    "waiting": (),
    "processor": (),
    "paths": (),
    "device": (),
    "lettering": (),
    "storage": (),
    "frames": ("lettering", "storage"),
    "databases": ("frames", "storage"),
    "synthetic": ("databases.layouts", "frames", "paths", "storage"),  # for the names within the folder that it writes
    "flow": ("storage", "device"),
    "evaluation": ("storage",),
    "preparation": ("flow.estimators", "frames"),
    "learning": ("evaluation.subject_folds", "storage"),
    "comparators": ("evaluation", "flow.pictures", "learning.memory", "storage"),
    "networks": ("flow.pictures", "learning", "storage"),
    "stanet": ("networks",),
    "params": (
        *("comparators", "databases", "evaluation.protocols", "flow.estimators", "frames.head_motion"),
        *("learning.settings", "networks", "paths"),
    ),
    "trainings": ("learning", "networks", "params", "paths", "storage"),
    "report": (
        *("databases.megc2019", "databases.profiles", "evaluation", "frames", "learning", "lettering", "networks"),
        *("params", "storage", "synthetic"),
    ),
}
"""What each room may import besides itself and `KNOWN_BY_ALL`: whole rooms, or one module, `room.module`."""

APPLICATION = ("adoption", "runs", "prediction", "scoring", "leakage", "next_commands")
"""Rooms that put the library to work for somebody: each may import all of it, and none imports another."""

ENTRANCES = ("__main__", "stages")
"""What is started: it may import everything."""

RULE: dict[str, tuple[str, ...]] = {
    "__init__": ("processor", "waiting"),
    **{room: () for room in KNOWN_BY_ALL},
    **LIBRARY,
    **{room: tuple(LIBRARY) for room in APPLICATION},
    **{room: (*LIBRARY, *APPLICATION) for room in ENTRANCES},
}

SHARED = {
    "flow": ("estimators", "extraction", "known_motion", "pictures"),
    "comparators": ("learnt", "protocol", "shared"),
    "networks": (),
}
"""Modules for everybody in a room whose other modules and folders are methods, none of which may import another."""


def module_of(file: str) -> str:
    """`flow.dis.estimator` for pipeline/flow/dis/estimator.py, `stages.train` for stages/train.py."""
    name = ".".join(Path(file).with_suffix("").parts).removeprefix("pipeline.")
    return name if name == "__init__" else name.removesuffix(".__init__")


def room_of(module: str) -> str:
    """The room that a module is in, or is."""
    return module.split(".")[0]


def allowed(importer: str, imported: str) -> bool:
    """Whether a module may import another one, by the names that `module_of` gives them."""
    room = room_of(importer)
    if room_of(imported) == room:
        return not _are_different_methods(importer, imported)
    return any(imported == known or imported.startswith(f"{known}.") for known in (*RULE[room], *KNOWN_BY_ALL))


def _are_different_methods(importer: str, imported: str) -> bool:
    shared = SHARED.get(room_of(importer))
    if shared is None:
        return False
    one, other = (module.split(".")[1] if "." in module else "" for module in (importer, imported))
    methods = {one, other} - {"", *shared}
    return len(methods) == 2 or (one in shared and other in methods)


def violations() -> Iterator[str]:
    """Yield every import that the rule forbids, as `pipeline/learning/fold.py imports pipeline/params.py`."""
    for folder in ("pipeline", "stages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            for other in sorted(imports(path)):
                if other.startswith(("pipeline/", "stages/")) and not allowed(module_of(file), module_of(other)):
                    yield f"{file} imports {other}"


def drawing() -> str:
    """The rule as a flowchart for mermaid: an arrow from each room to those that it may import."""
    lines = ["flowchart TD"]
    lines += ["    subgraph entrances", *(f"        {_node(room)}" for room in ENTRANCES), "    end"]
    lines += ["    subgraph application", *(f"        {_node(room)}" for room in APPLICATION), "    end"]
    lines += ["    subgraph library"]
    for room, known in LIBRARY.items():
        lines += [f"        {_node(room)}"] if not known else []
        for other in known:
            name, _, part = other.partition(".")
            lines.append(f"        {_node(room)} -->{f'|{part}|' if part else ''} {_node(name)}")
    lines += ["    end", "    entrances --> application --> library", "    entrances --> library"]
    return "\n".join(lines) + "\n"


def _node(room: str) -> str:
    return 'main["__main__"]' if room == "__main__" else room


if __name__ == "__main__":
    print(drawing(), end="")
