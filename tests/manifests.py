"""Manifests of flow that belongs to no database."""

from pathlib import Path

from pipeline.storage.digests import sha256
from pipeline.storage.parts import File, Part


def part_of(flow: Path, root: Path = Path(), prefix: str = "") -> Part:
    """A part whose flow lies in the file `flow` below `root`; its other files are the same one."""
    file = File(flow.as_posix(), sha256(root / flow))
    files = dict.fromkeys(("recordings", "frames", "flow", "head_motion"), file)
    return Part("table", prefix, **files, truth=None, annotation={})
