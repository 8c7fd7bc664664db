"""Experiments made in a copy of a checkout, in a pipeline of one stage that takes no time."""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.runs import experiments
from pipeline.runs.experiments import git

COPY = Path(".dvc/tmp/copy")
LOG = Path("log.txt")
PIPELINE = """stages:
  add:
    cmd: cat code.txt new.txt lent/brought.txt params.yaml > sum.txt
    deps: [code.txt, new.txt, lent/brought.txt]
    params: [seed]
    outs: [sum.txt]
"""


@pytest.fixture(scope="module")
def initialised(tmp_path_factory):
    """A git checkout with DVC and nothing else."""
    root = tmp_path_factory.mktemp("initialised")
    with contextlib.chdir(root):
        git("init", "--quiet")
        subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], check=True)
    return root


@pytest.fixture
def checkout(initialised, tmp_path, monkeypatch):
    """A git checkout with uncommitted changes, as the current folder."""
    root = tmp_path / "Prüfung 表"  # which DVC cannot write into its settings
    shutil.copytree(initialised, root, symlinks=True)
    monkeypatch.chdir(root)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    files = {
        "dvc.yaml": PIPELINE,
        "params.yaml": "seed: 0\n",
        "code.txt": "old\n",
        "gone.txt": "",
        ".gitignore": "/lent\n",
    }
    for name, text in files.items():
        Path(name).write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    Path("code.txt").write_text("changed\n")
    Path("gone.txt").unlink()
    Path("new.txt").write_text("added\n")
    git("add", "new.txt")
    Path("lent").mkdir()
    Path("lent/brought.txt").write_text("ignored by git\n")
    LOG.touch()
    return root


def state():
    names = ("params.yaml", "code.txt", "new.txt", "dvc.yaml")
    return git("status", "--porcelain", "--branch"), {name: Path(name).read_text() for name in names}


def make(name, seed):
    with experiments.clone(COPY, experiments.head(), [Path("lent/brought.txt")]) as copy:
        copy.run(name, {"seed": seed}, LOG)


def test_an_experiment_has_the_uncommitted_changes_and_leaves_the_checkout_alone(checkout):
    before = state()
    base = experiments.head()
    assert experiments.uncommitted(base) == ["code.txt", "gone.txt", "new.txt"]
    make("third", 3)
    assert state() == before and not Path("sum.txt").exists() and not COPY.exists()
    commit = experiments.commit_of("third", base)
    assert experiments.output(Path("sum.txt"), commit) == "changed\nadded\nignored by git\nseed: 3\n"
    assert experiments.tracked(Path("params.yaml"), commit) == "seed: 3\n"
    assert experiments.tracked(Path("gone.txt"), commit) is None
    assert "Running stage 'add'" in LOG.read_text()
    shown = subprocess.run([sys.executable, "-m", "dvc", "exp", "list"], capture_output=True, text=True, check=True)
    assert "third" in shown.stdout


@pytest.mark.whole_run
def test_experiments_belong_to_the_commit_that_they_began_with(checkout):
    base = experiments.head()
    with experiments.clone(COPY, base, [Path("lent/brought.txt")]) as copy:
        git("commit", "--quiet", "--all", "--message", "second")
        copy.run("third", {"seed": 3}, LOG)
    assert experiments.commit_of("third", base)
    assert experiments.commit_of("third", experiments.head()) is None


def test_the_copy_is_removed_and_the_log_quoted_when_a_stage_fails(checkout):
    before = state()
    Path("lent/brought.txt").unlink()
    with pytest.raises(experiments.Failed, match=r"brought\.txt"):
        make("third", 3)
    assert state() == before and not COPY.exists()
    assert experiments.commit_of("third", experiments.head()) is None


@pytest.mark.whole_run
def test_what_the_cache_has_lost_is_none(checkout):
    make("third", 3)
    for file in Path(".dvc/cache/files").rglob("*"):
        if file.is_file():
            file.unlink()
    assert experiments.output(Path("sum.txt"), experiments.commit_of("third", experiments.head())) is None


def test_one_copy_at_a_time_and_rests_of_a_killed_run_do_no_harm(checkout):
    COPY.mkdir(parents=True)
    (COPY / "rest").write_text("")
    with experiments.clone(COPY, experiments.head(), []) as copy:
        assert not (copy.folder / "rest").exists()
        with pytest.raises(InputError, match="already"), experiments.clone(COPY, experiments.head(), []):
            pass
        assert (copy.folder / "dvc.yaml").exists()


def test_dvc_that_a_killed_command_left_at_work_in_the_copy_is_stopped(checkout, capfd):
    COPY.mkdir(parents=True)
    command = [sys.executable, "-c", "import time; time.sleep(60)", "dvc"]
    with (
        subprocess.Popen(command, cwd=COPY, start_new_session=True) as left,
        subprocess.Popen(command, start_new_session=True) as elsewhere,
    ):
        with experiments.clone(COPY, experiments.head(), []):
            assert left.poll() is not None and elsewhere.poll() is None
        elsewhere.kill()
    assert f"stopped DVC (process {left.pid})" in capfd.readouterr().err


def test_a_folder_of_another_checkout_is_no_checkout(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "lent")
    with pytest.raises(InputError, match=r"expected a git checkout of its own.*the folder lent/ of another one"):
        experiments.head()


def test_what_dvc_refuses_is_an_error_with_its_words(checkout, monkeypatch):
    monkeypatch.setattr(experiments.os.path, "relpath", lambda path, start: "--nonsense")
    with (
        pytest.raises(experiments.Failed, match=r"dvc cache dir --local --nonsense` failed in .*\n?.*nonsense"),
        experiments.clone(COPY, experiments.head(), []),
    ):
        pass


def test_without_a_commit_there_is_nothing_to_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="expected a git checkout with at least one commit"):
        experiments.head()


# --- who makes an experiment, and in whose checkout -------------------------------------------------------------------


@pytest.fixture
def nameless(checkout, monkeypatch, tmp_path):
    """The checkout on a machine where git was never told who works there."""
    for role in ("AUTHOR", "COMMITTER"):
        for key in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{key}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return checkout


def test_git_must_know_who_makes_an_experiment(nameless, monkeypatch):
    with pytest.raises(InputError, match=r"no user\.name and no user\.email; .*git config --global user\.name"):
        experiments.check_identity()
    git("config", "user.name", "Test")
    with pytest.raises(InputError, match=r"found no user\.email;"):
        experiments.check_identity()
    git("config", "user.email", "test@example.org")
    experiments.check_identity()
    git("config", "--unset", "user.name")
    for role in ("AUTHOR", "COMMITTER"):
        with pytest.raises(InputError, match=r"found no user\.name;"):
            experiments.check_identity()
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
    experiments.check_identity()


def test_a_name_that_is_set_for_the_checkout_alone_is_enough(nameless):
    git("config", "user.name", "Only here")
    git("config", "user.email", "here@example.org")
    make("local", 3)
    assert "Only here" in git("log", "-1", "--format=%an", experiments.commit_of("local", experiments.head()))


def test_why_git_refuses_a_checkout_is_said(checkout, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match=r"(?s)dubious ownership.*safe\.directory"):
        experiments.head()
