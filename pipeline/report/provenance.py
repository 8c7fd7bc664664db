"""What it takes to get a page again: parameters, kinds of device, versions of packages, and hashes of files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.params import Params

_DRAWING = ("jinja2", "matplotlib", "numpy", "pandas", "scipy", "torch")


@dataclass(frozen=True)
class Provenance:
    """Where a study comes from."""

    devices: Mapping[str, str]
    """Kind of device on which each fold was trained, by its name."""
    trained_with: Mapping[str, Mapping[str, str]]
    """Versions of the packages that trained each fold, by its name."""
    drawn_with: Mapping[str, str]
    """Versions of the packages that made the page."""
    estimator: Mapping[str, Any]
    """How the flow was estimated, as flow.h5 says it."""
    annotation: Mapping[str, str]
    """SHA-256 of each annotation file, by its name."""
    hashes: Mapping[str, str]
    """SHA-256 of each file that the page was made from, by its path."""

    def mixed_devices(self) -> str:
        """Which folds were trained on which kind of device, if there is more than one; else empty."""
        kinds = sorted(set(self.devices.values()))
        if len(kinds) < 2:
            return ""
        return "; ".join(
            f"{kind}: {', '.join(name for name, used in self.devices.items() if used == kind)}" for kind in kinds
        )

    def training_versions(self) -> list[tuple[str, str]]:
        """Versions of the packages that trained the folds, and which folds: one row if they are the same for all."""
        groups: dict[str, list[str]] = {}
        for fold, versions in self.trained_with.items():
            listed = ", ".join(f"{name} {found}" for name, found in sorted(versions.items()))
            groups.setdefault(listed, []).append(fold)
        return [(versions, "all folds" if len(groups) == 1 else ", ".join(names)) for versions, names in groups.items()]


def drawing_versions() -> dict[str, str]:
    """Versions of the installed packages that make a page."""
    return {package: version(package) for package in _DRAWING}


def parameters(params: Params) -> dict[str, str]:
    """The parameters that a result depends on, key by key of params.yaml; where files lie is no part of a result."""
    document = asdict(params)
    document["lambda"] = document.pop("lambda_")
    for section in document["databases"].values():
        del section["raw"]
        section["annotation"]["file"] = Path(section["annotation"]["file"]).name
    for name in ("runtime", *([] if params.embedded else ["synthesize"])):
        del document[name]
    return dict(sorted(_flat(document)))


def _flat(section: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Every key with its value as text, keys of a section as `section.key`."""
    rows: list[tuple[str, str]] = []
    for key, value in section.items():
        if isinstance(value, dict) and key != "face_boxes":
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value if isinstance(value, str) else json.dumps(value)))
    return rows
