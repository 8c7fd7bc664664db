"""The names of the classes of a study, classes.json, in the order of the network's outputs."""

import json
from pathlib import Path

from pipeline.errors import InputError


def read(path: Path) -> list[str]:
    """The names of the classes.

    Raises
    ------
    InputError
        The file is missing, or holds no list of different names.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    return parse(text, path)


def parse(text: str, path: Path) -> list[str]:
    """The names from the content of the file, which errors call `path`; they are those of `read`."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise _damaged(path, "something else")
    if not found or len(set(found)) < len(found):
        raise _damaged(path, f"{', '.join(found) or 'none'}")
    return found


def _damaged(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: expected a list of different names of classes as the stage `task` writes it, found {found}. Delete "
        "the file and run `dvc repro`, which makes it again."
    )
