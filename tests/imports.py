"""Which modules of this repository a module imports, as its text says: nothing is run."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imports(path: Path, without: str | None = None) -> set[str]:
    """Files of this repository that a module imports, relative to the root; `without` is a function to leave out."""
    found: set[str] = set()
    module = ast.parse(path.read_text(encoding="utf-8"))
    module.body = [node for node in module.body if without is None or getattr(node, "name", None) != without]
    for node in ast.walk(module):
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
