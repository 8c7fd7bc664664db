"""Small dataset trees to test with."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits

COLUMNS = (
    "Subject",
    "Filename",
    "Unnamed: 2",
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    "Unnamed: 6",
    "Action Units",
    "Estimated Emotion",
)


def pytest_configure(config):
    """Tests that run side by side share the cores."""
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    threads = max(1, torch.get_num_threads() // workers)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    threadpool_limits(threads, user_api="blas")


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Make a folder once for all processes of the tests: `once(name, make)`, where `make(folder)` fills it.

    For what takes long to make and is only read. The first process to ask makes it, the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # which has a folder of its own below that of all
        shared = shared.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, finished = shared / name, shared / f"{name}.finished"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder

    return made


class Casme2Tree:
    """A CASME II tree under construction: change `rows` and files, then `write_annotation`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.annotation = root / "CASME2-coding-20140508.xlsx"
        self.rows: list[dict] = []

    def add(self, subject=1, name="EP01_01", onset=8, apex=10, offset=12, label="disgust", frames=None):
        """Add a row and its frames (onset to offset unless `frames` lists others)."""
        self.rows.append(
            {
                "Subject": subject,
                "Filename": name,
                "OnsetFrame": onset,
                "ApexFrame": apex,
                "OffsetFrame": offset,
                "Action Units": "4",
                "Estimated Emotion": label,
            }
        )
        folder = self.folder(subject, name)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(onset, offset + 1) if frames is None else frames:
            write_frame(folder / f"reg_img{number}.jpg", number)
        return folder

    def folder(self, subject=1, name="EP01_01") -> Path:
        return self.root / "Cropped" / f"sub{int(subject):02d}" / name

    def write_annotation(self):
        pd.DataFrame(self.rows, columns=list(COLUMNS)).to_excel(self.annotation, index=False)


def write_frame(path: Path, seed: int, height: int = 40, width: int = 30):
    """A smooth random picture; raises where OpenCV would silently write nothing."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(noise, (0, 0), 2).astype(np.uint8))


@pytest.fixture
def tree(tmp_path) -> Casme2Tree:
    """An empty CASME II tree."""
    root = tmp_path / "casme2"
    root.mkdir()
    return Casme2Tree(root)
