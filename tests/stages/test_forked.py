"""A forked program is what an interpreter would be, with its packages loaded."""

import importlib.metadata
import os
import signal

from tests.forked import PACKAGES, Program

PROBE = """
import os, sys
loaded = [name for name in ("pipeline", "stages") if name in sys.modules]
import pipeline
print(__name__, sys.argv[1:], os.getcwd(), os.environ["PROBE"], pipeline.__file__, loaded, os.getpgrp() == os.getpid())
missing = [name for name in sys.argv[1:] if name not in sys.modules]
sys.exit(f"not loaded: {missing}" if missing else 3)
"""
ENDLESS = """
import time
print("begun", flush=True)
time.sleep(1000)
"""

TWICE = """
import os, subprocess, sys, threading
from dvc.progress import Tqdm

fork = os.fork
os.fork = lambda: print("fork", flush=True) or fork()

def run_dvc():
    run = subprocess.run([sys.executable, "-m", "dvc", "--version"], capture_output=True, text=True, check=True)
    print(run.stdout, end="", flush=True)

Tqdm(disable=True).close()
run_dvc()
threading.Thread(target=threading.Event().wait, daemon=True).start()
run_dvc()
"""


def start(folder, text, *arguments):
    (folder / "probe.py").write_text(text)
    (folder / "pipeline.py").write_text("")
    return Program(folder, os.environ | {"PROBE": "set"}, "probe", *arguments)


def test_it_runs_the_code_of_its_folder_with_the_packages_loaded(tmp_path):
    process = start(tmp_path, PROBE, *PACKAGES)
    output, _ = process.communicate()
    expected = "__main__", list(PACKAGES), tmp_path, "set", tmp_path / "pipeline.py", [], True
    assert output == " ".join(map(str, expected)) + "\n" and process.returncode == 3


def test_what_ends_it_is_its_exit_code(tmp_path):
    process = start(tmp_path, PROBE, "no_such_package")
    output, _ = process.communicate()
    assert output.endswith("\nnot loaded: ['no_such_package']\n") and process.returncode == 1
    process = start(tmp_path, "1 / 0")
    output, _ = process.communicate()
    assert "ZeroDivisionError" in output and process.returncode == 1


def test_signals_reach_it(tmp_path):
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)):
        process = start(tmp_path, ENDLESS)
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, number)
        process.communicate()
        assert process.returncode == code


def test_beside_another_thread_it_starts_dvc_anew(tmp_path):
    """A fork would wait for ever for a lock that the thread holds; bars of progress bring no thread that would."""
    output, _ = start(tmp_path, TWICE).communicate()
    version = importlib.metadata.version("dvc")
    assert output == f"fork\n{version}\n{version}\n"
