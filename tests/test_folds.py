"""How many folds at once; what `folds` leaves in DVC is tested in tests/stages/test_folds.py."""

from pathlib import Path

import pytest
import torch

from pipeline import folds, params

PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")  # train.threads: 2


@pytest.mark.parametrize(
    ("cores", "device", "gpus", "expected"),
    [(1, "cpu", 0, 1), (2, "cpu", 0, 1), (9, "cpu", 0, 4), (32, "cuda", 2, 8), (4, "cuda", 2, 2)],
)
def test_every_worker_has_its_threads_and_a_gpu_is_shared_by_few(monkeypatch, cores, device, gpus, expected):
    monkeypatch.setattr(folds, "CPU_COUNT", cores)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert folds.default_workers(PARAMS, torch.device(device)) == expected
