"""Programs of Python in processes that begin with their packages loaded.

Loading packages is most of what a tiny study costs: DVC is one interpreter and each of a dozen stages another. Here a
server loads the packages once, and what would be a new interpreter is a fork of it, with a session, a working folder,
an environment and output of its own, and with the modules of the checkout that it runs in. DVC that a program starts,
and stages that DVC starts, are forks in their turn. What all share is the seed of Python's hashes, which interpreters
do not: tests/stages/test_pipeline.py compares a run of forks with one of those.
"""

import contextlib
import importlib
import inspect
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dvc.utils.serialize import _yaml
from matplotlib.figure import Figure
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "av",
    "cv2",
    "dask.distributed",
    "dvc.api",
    "dvc.cli.parser",
    "h5py",
    "jinja2",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pandas",
    "pydantic",
    "ruamel.yaml",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.metrics.pairwise",
    "sklearn.model_selection",
    "sklearn.preprocessing",
    "sklearn.svm",
    "torch",
    "torch._dynamo",
    "tqdm",
)
"""What the programs load; one that is missing here is loaded by each process anew, which is slow but not wrong."""
UNRENDERED = "TESTS_LEAVE_FIGURES_UNRENDERED"
"""Set in the environment of programs whose figures nobody looks at: they are made, but their files are empty."""
_PARSE_FOR_UPDATE = _yaml.parse_yaml_for_update


def load() -> None:
    """Load the packages, in the server."""
    for name in PACKAGES:
        importlib.import_module(name)
    tqdm.monitor_interval = 0  # no thread that watches bars: see `_alone`
    _yaml.parse_yaml_for_update = parse_for_update


def parse_for_update(text: str, path: str) -> dict[str, Any]:
    """A file that DVC reads to change an entry and write all of it again, which it does whenever a stage ends.

    DVC's own way keeps comments; dvc.lock has none, and takes a fifth of the time.
    """
    return _ordered(_yaml.parse_yaml(text, path)) if Path(path).name == "dvc.lock" else _PARSE_FOR_UPDATE(text, path)


def _ordered(value: Any) -> Any:
    """The same value with dictionaries whose order DVC keeps when it writes them."""
    if isinstance(value, dict):
        return OrderedDict((key, _ordered(inner)) for key, inner in value.items())
    return [_ordered(inner) for inner in value] if isinstance(value, list) else value


class Program:
    """`python -m MODULE ARGUMENTS`, at work; what it prints, stdout and stderr together, can be read from `stdout`.

    It has the part of `subprocess.Popen` that tests need, and like one started with `start_new_session` it leads a
    process group, to which the stages that DVC runs belong.
    """

    def __init__(
        self, root: Path, environment: Mapping[str, str], module: str, *arguments: str, log: Path | None = None
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.preload"])
        reading, writing = context.Pipe(duplex=False)
        settings = writing, log, root, dict(environment), module, arguments
        self._process = context.Process(target=_begin, args=settings)
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

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        self._process.join()

    def communicate(self) -> tuple[str, None]:
        """What is left to read, once the process has ended."""
        with self.stdout:
            output = self.stdout.read()
        self._process.join()
        return output, None


def _begin(
    output: Connection,
    log: Path | None,
    root: Path,
    environment: dict[str, str],
    module: str,
    arguments: tuple[str, ...],
) -> None:
    """Be the program; what it prints goes to the file `log`, if there is one, instead of `output`."""
    os.setsid()
    target = output.fileno() if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    output.close()
    subprocess.Popen = _Popen
    sys.exit(_run(module, arguments, root, environment))


class _Popen(subprocess.Popen):
    """Starts `python -m dvc` and the stages as forks of this process, whatever else as it is started otherwise."""

    def _execute_child(self, *values):  # private: the one place where a process begins
        given = dict(zip(list(inspect.signature(super()._execute_child).parameters), values, strict=True))
        program = _program(given["args"])
        if program is None or not _alone():
            super()._execute_child(*values)
            return
        ends = [given[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        sys.stdout.flush()
        sys.stderr.flush()
        starting, started = os.pipe()  # its end closes when the fork is in its session and folder
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                if given["start_new_session"]:
                    os.setsid()
                for descriptor, end in enumerate((ends[0], ends[3], ends[5])):
                    if end != -1:
                        os.dup2(end, descriptor)
                os.chdir(given["cwd"] or ".")
                os.close(starting)
                os.close(started)
                module, arguments = program
                code = _run(module, arguments, Path.cwd(), given["env"] or os.environ)
            finally:
                os._exit(code)
        self._child_created = True
        self._close_pipe_fds(*ends)
        os.close(started)
        os.read(starting, 1)  # as `subprocess` waits for the new interpreter: whoever looks finds it where it works
        os.close(starting)


def _program(command: str | Sequence[str]) -> tuple[str, list[str]] | None:
    """Module and arguments of DVC, as the commands of `pipeline` start it, or of a stage, as DVC starts it."""
    if command[:3] == [sys.executable, "-m", "dvc"]:
        return "dvc", list(command[3:])
    if command[-2:-1] == ["-c"] and command[-1].startswith("stages/python -m "):
        _, _, module, *arguments = shlex.split(command[-1])
        return module, arguments
    return None


def _alone() -> bool:
    """Whether this process may be forked: a lock that another thread holds would stay locked in the fork for ever.

    Threads of a pool that has nothing to do, as Dask leaves one behind, hold none.
    """
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    return all(thread.name.startswith("Dask-Offload") for thread in others)


def _run(module: str, arguments: Sequence[str], folder: str | Path, environment: Mapping[str, str]) -> int:
    """Run a module as the main program, in a folder; its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for name in list(sys.modules):
        if name.split(".")[0] in ("pipeline", "stages"):  # of the checkout that the parent runs in
            del sys.modules[name]
    os.chdir(folder)
    environment = dict(environment)  # which may be that of this process
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [str(folder), *(path for path in sys.path if path and Path(path) != ROOT)]
    sys.argv = [module, *arguments]
    if UNRENDERED in environment:
        Figure.savefig = lambda figure, path, **_: Path(path).touch()
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
