"""The folder that DVC shares among the users of a machine."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from dvc.dirs import site_cache_dir

from pipeline.errors import InputError


def check() -> None:
    """Raise InputError where DVC may not write to its site cache in the checkout in the current folder.

    DVC makes the folder for all users, but one of them may have closed it; DVC itself then names a folder that nobody
    has heard of, without a word on what to do.
    """
    if not Path(".dvc").is_dir():
        return
    folder = Path(site_cache_dir())
    if closed := _closed(folder):
        command = [sys.executable, "-m", "dvc", "config", "core.site_cache_dir"]
        done = subprocess.run(command, capture_output=True, text=True)
        if configured := done.stdout.strip():  # counts less than the environment variable that DVC has for it
            closed = _closed(Path(site_cache_dir(configured)))
    if closed:
        status = closed.stat()
        raise InputError(
            f"{closed}: expected a folder that DVC may write to, found one of another user (number {status.st_uid}) "
            f"with mode {status.st_mode & 0o777:o}. Give this checkout a folder of its own: dvc config --local "
            f"core.site_cache_dir {shlex.quote(str(Path.cwd() / '.dvc/tmp/site'))}"
        )


def _closed(folder: Path) -> Path | None:
    """Return the folder of the site cache that this user may not write to, if there is one."""
    for each in (folder, folder / "repo"):
        if not each.exists():
            return None
        if not os.access(each, os.R_OK | os.W_OK | os.X_OK):
            return each
    return None
