"""A forked program is what an interpreter would be, with its packages loaded."""

import importlib.metadata
import os
import signal

from dvc.utils.serialize import _yaml

from tests.forked import PACKAGES, Program, parse_for_update
from tests.imports import ROOT

PROBE = """
import os, sys
loaded = [name for name in ("pipeline", "stages") if name in sys.modules]
import pipeline
print(__name__, sys.argv[1:], os.getcwd(), os.environ["PROBE"], pipeline.__file__, loaded, os.getpgrp() == os.getpid())
missing = [name for name in sys.argv[1:] if name not in sys.modules]
sys.exit(f"not loaded: {missing}" if missing else 3)
"""
# In short sleeps: a signal that Python takes note of just before a sleep begins does not end it.
ENDLESS = """
import time
print("begun", flush=True)
while True:
    time.sleep(0.05)
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

STARTED = """
import os, signal, subprocess, sys
import psutil
process = subprocess.Popen(
    [sys.executable, "-m", "dvc", "--version"], cwd="elsewhere", start_new_session=True, stdout=subprocess.DEVNULL
)
os.kill(process.pid, signal.SIGSTOP)
print(psutil.Process(process.pid).cwd(), os.getsid(process.pid) == process.pid, flush=True)
process.kill()
process.wait()
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


def test_dvc_is_in_its_folder_and_session_once_it_is_started(tmp_path):
    """Whoever looks at it, or stops it, from then on finds it where it works."""
    (tmp_path / "elsewhere").mkdir()
    output, _ = start(tmp_path, STARTED).communicate()
    assert output == f"{tmp_path / 'elsewhere'} True\n"


def test_a_lock_that_dvc_changes_is_written_as_dvc_writes_it():
    """Also one with values that DVC breaks into lines, or puts in quotation marks, as it does with none of this one."""
    text = (ROOT / "dvc.lock").read_text()
    odd = {"path": f"/a folder/{90 * 'x'}", "text": "", "number": "0123", "float": 1e-08, "none": None, "no": "no"}
    text += _yaml.dumps_yaml({"odd": odd, "list": [dict(odd), [1, 2.5], {}]})
    parsed = parse_for_update(text, "dvc.lock")
    assert parsed == _yaml.parse_yaml_for_update(text, "dvc.lock")
    assert _yaml.dumps_yaml(parsed) == _yaml.dumps_yaml(_yaml.parse_yaml_for_update(text, "dvc.lock")) == text


def test_comments_of_other_files_are_kept():
    text = (ROOT / "params.yaml").read_text()
    assert _yaml.dumps_yaml(parse_for_update(text, "params.yaml")).count("#") == text.count("#")
