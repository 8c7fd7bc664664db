"""Shrink params.yaml to a study that takes seconds: python -m tests.tiny params.yaml"""

import sys
from pathlib import Path

from ruamel.yaml import YAML

TINY = {
    "subjects": ["sub01", "sub02", "sub03"],
    "synthesize": {"subjects": 3, "clips": 9, "height": 80, "width": 72, "frames": [6, 10]},
    "interpolation": {"frames": 6},
    "resize": {"size": 64},
    "model": {"pooling": 1},
    # One that reads frames, one that reads flow.
    "comparators": {"methods": ["lbp_sip", "fdm"], "lbp_sip": {"radii": [1, 1, 1]}},
    "train": {"epochs": 2, "threads": 1, "augmentation": {"crop": 56}},  # threads: tests run side by side
}


def shrink(path: Path, changes: dict = TINY) -> None:
    """Change a params.yaml in place."""
    yaml = YAML()
    document = yaml.load(path)
    merge(document, changes)
    yaml.dump(document, path)


def merge(document: dict, changes: dict) -> None:
    """Change the content of a params.yaml; other subjects are other folds, unless `changes` names the folds."""
    _merge(document, {"folds": list(changes["subjects"])} | changes if "subjects" in changes else changes)


def _merge(document: dict, changes: dict) -> None:
    """Change values in place, section by section."""
    for key, value in changes.items():
        if isinstance(value, dict):
            _merge(document[key], value)
        else:
            document[key] = value


if __name__ == "__main__":
    shrink(Path(sys.argv[1]))
