"""What the feature of a method is computed from in one database: a small manifest for each method.

`describe` depends on the manifest of its method. A change of an array concerns the methods that read it, and no others.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.storage.parts import File


@dataclass(frozen=True)
class Reads:
    """The files that a method reads."""

    arrays: File
    """Frames or flow."""
    frames: File | None
    """Frames in which the landmarks of the face are looked for, in the same rows; None for a method without regions."""


def as_text(reads: Reads) -> str:
    """Return a manifest as JSON."""
    return json.dumps(asdict(reads), indent=2) + "\n"


def read(path: Path) -> Reads:
    """Return what a manifest says.

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Reads(File(**facts["arrays"]), facts["frames"] and File(**facts["frames"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: expected the manifest of what a method describes, found something else ({error}). Delete it and "
            "run `dvc repro`, which makes it again."
        ) from error
