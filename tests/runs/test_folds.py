"""How many folds at once; what `folds` leaves in DVC is tested in tests/stages/test_folds.py."""

from pathlib import Path

import pytest
import torch

from pipeline import params
from pipeline.errors import InputError
from pipeline.runs import folds, queue

PARAMS = params.load_params(Path(__file__).parents[2] / "params.yaml")  # train.threads: 2


@pytest.mark.parametrize(
    ("cores", "device", "gpus", "expected"),
    [(1, "cpu", 0, 1), (2, "cpu", 0, 1), (9, "cpu", 0, 4), (32, "cuda", 2, 2), (2, "cuda", 2, 1), (32, "cuda:1", 2, 1)],
)
def test_every_worker_has_its_threads_and_a_gpu_of_its_own(monkeypatch, cores, device, gpus, expected):
    monkeypatch.setattr(folds, "CPU_COUNT", cores)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert folds.default_workers(PARAMS, torch.device(device)) == expected


@pytest.mark.parametrize(("cores", "workers", "crowded"), [(2, 1, False), (2, 2, True), (4, 2, False), (4, 3, True)])
def test_workers_with_more_threads_than_cores_are_crowded(monkeypatch, cores, workers, crowded):
    def local_cluster(*asked, **options):
        raise InputError(f"asked for {asked}, {options}")

    monkeypatch.setattr(folds, "CPU_COUNT", cores)
    monkeypatch.setattr(queue, "local_cluster", local_cluster)
    with pytest.raises(InputError, match=rf"^asked for \({workers},\), {{'crowded': {crowded}}}$"):
        folds.train_side_by_side(PARAMS, dict.fromkeys("abc"), workers, None)
