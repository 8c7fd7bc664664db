"""Machines that are not like the one at hand: clones, other owners, git without a name, locks, closed folders.

Each case is one machine. What works elsewhere must work there with the same bytes; what cannot work must end in an
error with the words that help, before anything is computed.
"""

import fcntl
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.campaign.outcome import Outcome
from tests.campaign.study import Study, attempt, make, pipeline
from tests.stages.conftest import Workspace

_STRANGER = 12345
"""A user that no machine has; only root can become that user."""

Case = Callable[[Study], str | None]


def machines(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """Try every machine once; the list is fixed."""
    for name, case in CASES.items():
        if case in _ROOT_ONLY and os.getuid() != 0:
            print(f"machines: {name}: not tried, because only root can make it", flush=True)
            continue
        try:
            fault = case(study)
        except AssertionError as error:  # a command failed that had to work
            fault = str(error)[-800:]
        outcome.add("machines", name, fault)


# --- what must work ---------------------------------------------------------------------------------------------------


def crlf_clone(study: Study) -> str | None:
    """Git on Windows gives text files other line ends, unless the repository forbids it."""
    return _same(study, _clone(study, "-c", "core.autocrlf=true"))


def shallow_clone(study: Study) -> str | None:
    """A clone without history."""
    return _same(study, _clone(study, "--depth", "1"))


def git_worktree(study: Study) -> str | None:
    """A second folder of one repository."""
    folder = _empty(study, "worktree")
    study.finished.run("git", "worktree", "add", "--quiet", "--detach", str(folder))
    try:
        return _same(study, _on_cache(study, folder))
    finally:
        study.finished.run("git", "worktree", "remove", "--force", str(folder))


def odd_path(study: Study) -> str | None:
    """A folder whose name has all that a shell or an encoding may stumble over."""
    workspace = study.copy("it's ü 表 $HOME")
    shutil.rmtree(workspace.root / "results")
    make(workspace)
    return study.fault(workspace)


def read_only_data(study: Study) -> str | None:
    """A copy of a database that may only be read, as on a shared disk."""
    raw = _table(study)
    for path in (*raw.rglob("*"), raw):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = _content(raw)
    workspace = study.copy("attacked")
    code, said = attempt(workspace, *pipeline("use", "table", "--from", str(raw), "--flow", "dis"))
    if code:
        return f"exit {code}: {said[-500:]}"
    code, said = attempt(workspace, sys.executable, "-m", "dvc", "repro", "gather@table")
    if code:
        return f"exit {code}: {said[-500:]}"
    return None if _content(raw) == before else "the raw data has changed"


# --- what must be refused in words that help --------------------------------------------------------------------------


def other_owner(study: Study) -> str | None:
    """A checkout that another user owns, as in containers: git refuses it."""
    workspace = study.copy("attacked")
    _give_away(workspace.root)
    code, said = attempt(workspace, "make", "--no-print-directory", "--always-make", ".venv/.ready")
    fault = _lacks(code, said, "dubious ownership", "safe.directory")
    if fault or "no git repository" in said:
        return fault or f"it says that there is no repository: {said[-300:]}"
    return _lacks(*attempt(workspace, *pipeline("ablate")), "dubious ownership", "safe.directory")


def no_identity(study: Study) -> str | None:
    """Git was never told who works here: said before anything is trained."""
    workspace = study.copy("attacked")
    nameless = {key: value for key, value in workspace.environment.items() if not key.startswith("GIT_")}
    workspace.environment = nameless | {"HOME": str(workspace.root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    code, said = attempt(workspace, *pipeline("ablate"))
    if list(workspace.root.glob("inspect/**/*.log")):
        return "experiments were begun"
    return _lacks(code, said, "user.name", "user.email", "git config --global")


def locked_file(study: Study) -> str | None:
    """Another program has a file open and locked: it is good, and must not be deleted."""
    workspace = study.copy("attacked")
    path = workspace.root / "data/synthetic/resized.h5"
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, said = attempt(workspace, sys.executable, "-m", "stages.extract_flow", "synthetic")
    if "elete" in said:
        return f"it advises to delete a good file: {said[-300:]}"
    return _lacks(code, said, "resized.h5", f"locked by process {os.getpid()}", "HDF5_USE_FILE_LOCKING=FALSE")


def closed_site_cache(study: Study) -> str | None:
    """DVC's folder for all users belongs to another one, who has closed it."""
    workspace = study.copy("attacked")
    site = _empty(study, "site")
    (site / "repo").mkdir(parents=True)
    site.chmod(0o700)
    _give_away(site)
    workspace.environment["DVC_SITE_CACHE_DIR"] = str(site)
    mortal = "setpriv", "--bounding-set=-dac_override,-dac_read_search"  # root without the right to open everything
    return _lacks(*attempt(workspace, *mortal, *pipeline("recover")), "mode 700", "core.site_cache_dir")


def no_compiler(study: Study) -> str | None:
    """`train.compile` on a machine that has no compiler: said before the flow."""
    workspace = study.copy("attacked")
    workspace.edit("compile: false", "compile: true ")
    programs = _empty(study, "programs")
    programs.mkdir()
    for name in ("sh", "env", "uname", "git"):
        (programs / name).symlink_to(shutil.which(name) or name)
    workspace.environment["PATH"] = str(programs)
    return _lacks(*attempt(workspace, sys.executable, "-m", "stages.index", "synthetic"), "train.compile", "g++")


CASES: dict[str, Case] = {
    "a clone with CRLF": crlf_clone,
    "a shallow clone": shallow_clone,
    "a git worktree": git_worktree,
    "a path with spaces, quotation marks and accents": odd_path,
    "data that may only be read": read_only_data,
    "a checkout of another owner": other_owner,
    "git without name and e-mail": no_identity,
    "a locked file": locked_file,
    "a site cache that is closed": closed_site_cache,
    "no compiler": no_compiler,
}

_ROOT_ONLY = (other_owner, closed_site_cache)


def _lacks(code: int, said: str, *words: str) -> str | None:
    """What is wrong with an error that must have these words, and no traceback."""
    if code == 0:
        return "it was accepted"
    missing = [word for word in words if word not in said]
    if missing or "Traceback" in said:
        return f"the error lacks {missing or 'nothing but ends in a traceback'}: {said[-500:]}"
    return None


def _empty(study: Study, name: str) -> Path:
    folder = study.folder / "machines" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    return folder


def _clone(study: Study, *options: str) -> Workspace:
    folder = _empty(study, "clone")
    study.finished.run("git", "clone", "--quiet", *options, f"file://{study.finished.root}", str(folder))
    return _on_cache(study, folder)


def _on_cache(study: Study, folder: Path) -> Workspace:
    """A checkout that has the environment and the cache of the finished study."""
    workspace = Workspace(folder)
    (folder / ".venv").symlink_to((study.finished.root / ".venv").resolve())
    workspace.run(sys.executable, "-m", "dvc", "cache", "dir", "--local", str(study.finished.root / ".dvc/cache"))
    return workspace


def _same(study: Study, workspace: Workspace) -> str | None:
    """Nothing is out of date in a checkout, and all results come out of the cache as they were."""
    make(workspace)
    changed = workspace.run("git", "status", "--porcelain", "--", "pipeline", "stages", "dvc.yaml", "dvc.lock")
    return f"git sees changes: {changed}" if changed else study.fault(workspace)


def _table(study: Study) -> Path:
    """Half of the study's frames as a table of one's own, outside of any checkout."""
    raw = _empty(study, "raw")
    source = study.finished.root / "data"
    recordings = (source / "synthetic/recordings.csv").read_text()
    shutil.copytree(source / "raw/synthetic/Cropped", raw / "Cropped")
    (raw / "clips.csv").write_text(recordings)
    return raw


def _content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _give_away(folder: Path) -> None:
    """Make a stranger the owner of a folder and of all that is in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _STRANGER, _STRANGER, follow_symlinks=False)
