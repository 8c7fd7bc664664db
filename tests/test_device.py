"""The device that `runtime.device` asks for, or one clear error."""

import pytest
import torch

from pipeline.device import resolve_device
from pipeline.errors import InputError


def test_a_device_that_is_not_there_is_an_error():
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(InputError, match=r"runtime\.device is cuda:99.*use auto"):
        resolve_device("cuda:99")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_device("auto").type == expected
