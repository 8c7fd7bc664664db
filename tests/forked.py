"""Programs of Python in processes that begin with their packages loaded.

Loading packages is most of what a tiny study costs: DVC is one interpreter and each of a dozen stages another. Here a
server loads the packages once, and what would be a new interpreter is a fork of it, with a session, a working folder, an
environment, output and modules of its own: the server has loaded nothing of `pipeline` or `stages`, so that a copy of the
checkout runs its own code. What all forks share is the seed of Python's hashes, which real runs do not.
"""

import contextlib
import importlib
import multiprocessing
import os
import runpy
import shlex
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "cv2",
    "dask.distributed",
    "dvc.api",
    "dvc.cli.parser",
    "h5py",
    "jinja2",
    "matplotlib.figure",
    "pandas",
    "pydantic",
    "ruamel.yaml",
    "scipy.ndimage",
    "scipy.stats",
    "torch",
    "tqdm",
)
"""What the programs load; one that is missing here is loaded by each process anew, which is slow but not wrong."""


def load() -> None:
    """Load the packages, in the server."""
    for name in PACKAGES:
        importlib.import_module(name)


class Program:
    """`python -m MODULE ARGUMENTS`, at work; what it prints, stdout and stderr together, can be read from `stdout`.

    It has the part of `subprocess.Popen` that tests need, and like one started with `start_new_session` it leads a
    process group, to which the stages that DVC runs belong.
    """

    def __init__(self, root: Path, environment: Mapping[str, str], module: str, *arguments: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.preload"])
        reading, writing = context.Pipe(duplex=False)
        self._process = context.Process(target=_begin, args=(writing, root, dict(environment), module, arguments))
        with contextlib.chdir(ROOT):  # where the server, which the first program starts, finds what to load
            self._process.start()
        writing.close()
        self.stdout = os.fdopen(os.dup(reading.fileno()), encoding="utf-8")
        reading.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def communicate(self) -> tuple[str, None]:
        """What is left to read, once the process has ended."""
        with self.stdout:
            output = self.stdout.read()
        self._process.join()
        return output, None


def _begin(output: Connection, root: Path, environment: dict[str, str], module: str, arguments: tuple[str, ...]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    output.close()
    if module == "dvc":
        import dvc.stage.run

        dvc.stage.run._run = _run_stage  # private: the one place where DVC starts a stage
    os._exit(_run(module, arguments, root, environment))


def _run_stage(executable: str, cmd: str, *, cwd: str, env: dict[str, str], **_: object) -> None:
    """In place of DVC's own: a fork instead of `stages/python -m MODULE ARGUMENTS`."""
    from dvc.stage.exceptions import StageCmdFailedError

    launcher, option, module, *arguments = shlex.split(cmd)
    assert (launcher, option) == ("stages/python", "-m"), cmd
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os._exit(_run(module, arguments, Path(cwd), env))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as DVC does: it is for the stage
    _, status = os.waitpid(child, 0)
    signal.signal(signal.SIGINT, before)
    if status:
        raise StageCmdFailedError(cmd, os.waitstatus_to_exitcode(status))


def _run(module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run a module as the main program, in a folder; its exit code."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [str(folder), *(path for path in sys.path if path and Path(path) != ROOT)]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
