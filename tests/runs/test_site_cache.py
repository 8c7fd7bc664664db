"""A folder of DVC that another user has closed is said with what to do about it."""

import os
import subprocess
import sys

import pytest

from pipeline.errors import InputError
from pipeline.runs import site_cache


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout, and a site cache that is not open to this user, who may be root."""
    (tmp_path / "my checkout/.dvc").mkdir(parents=True)
    (tmp_path / "site/repo").mkdir(parents=True)
    (tmp_path / "site").chmod(0o700)
    monkeypatch.chdir(tmp_path / "my checkout")
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    monkeypatch.setattr(site_cache, "site_cache_dir", lambda configured=None: configured or tmp_path / "site")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(("site", "closed")))
    return tmp_path / "my checkout"


def dvc(*arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True)


def test_a_closed_site_cache_is_named_with_the_command_that_helps(checkout):
    dvc("init", "--quiet", "--no-scm", "--force")
    with pytest.raises(InputError) as error:
        site_cache.check()
    said = str(error.value)
    assert f"site: expected a folder that DVC may write to, found one of another user (number {os.getuid()})" in said
    assert "with mode 700" in said
    command = said[said.index("dvc config") :]
    assert command == f"dvc config --local core.site_cache_dir '{checkout}/.dvc/tmp/site'"


def test_another_one_that_is_configured_counts(checkout, tmp_path):
    dvc("init", "--quiet", "--no-scm", "--force")
    dvc("config", "--local", "core.site_cache_dir", str(tmp_path / "own"))
    site_cache.check()
    (tmp_path / "closed").mkdir()
    dvc("config", "--local", "core.site_cache_dir", str(tmp_path / "closed"))
    with pytest.raises(InputError, match="closed: expected a folder"):
        site_cache.check()


def test_outside_of_a_checkout_nothing_is_checked(checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site_cache.check()
