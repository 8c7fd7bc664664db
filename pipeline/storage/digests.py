"""Digests of files, hexadecimal."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    return _digest(path, "sha256")


def md5(path: Path) -> str:
    """MD5 of a file's content: what DVC knows files by."""
    return _digest(path, "md5")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
