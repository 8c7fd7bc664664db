"""Which modules of this repository a module imports, as its text says: nothing is run."""

import ast
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imports(path: Path, without: Collection[str] = (), *, annotations: bool = True) -> set[str]:
    """Files of this repository that a module imports, relative to the root.

    Parameters
    ----------
    path
        The module.
    without
        Functions and methods whose body does not count.
    annotations
        False for what runs: what is imported for type checkers alone does not count.
    """
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef) and node.name in without:
            continue
        if isinstance(node, ast.If) and not annotations and getattr(node.test, "id", "") == "TYPE_CHECKING":
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
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
    """File of a module or a package of this repository, relative to the root; None for all others."""
    base = Path(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate.as_posix()
    return None
