"""Threads that wait spin but briefly, unless the user has chosen; results do not depend on it."""

import os
import subprocess
import sys

import pytest

from pipeline.waiting import sleeping_at_once, spin_briefly
from tests.imports import ROOT

BRIEFLY = {"GOMP_SPINCOUNT": "3000", "KMP_BLOCKTIME": "1"}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, BRIEFLY),
        ({"OMP_NUM_THREADS": "2"}, BRIEFLY | {"OMP_NUM_THREADS": "2"}),
        ({"GOMP_SPINCOUNT": "70"}, {"GOMP_SPINCOUNT": "70", "KMP_BLOCKTIME": "1"}),
        ({"KMP_BLOCKTIME": "70"}, {"GOMP_SPINCOUNT": "3000", "KMP_BLOCKTIME": "70"}),
        ({"KMP_LIBRARY": "turnaround"}, {"GOMP_SPINCOUNT": "3000", "KMP_LIBRARY": "turnaround"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_what_the_user_has_chosen_stays(chosen, expected):
    environment = dict(chosen)
    spin_briefly(environment)
    assert environment == expected
    spin_briefly(environment)  # as in a process that was started by another one
    assert environment == expected


@pytest.mark.parametrize(
    ("chosen", "inside"),
    [
        ({}, {"GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}),
        ({"GOMP_SPINCOUNT": "70"}, {"GOMP_SPINCOUNT": "70", "KMP_BLOCKTIME": "0"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_for_a_while_nothing_spins_unless_the_user_wants_it(chosen, inside):
    environment = dict(chosen)
    spin_briefly(environment)
    before = dict(environment)
    with pytest.raises(KeyError), sleeping_at_once(environment):
        assert environment == inside
        raise KeyError
    assert environment == before


def fresh(script: str, **chosen: str) -> subprocess.CompletedProcess[str]:
    """A new interpreter, in which nothing is imported and only `chosen` is said about waiting."""
    names = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in names} | chosen
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )


IMPORT = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("KMP_BLOCKTIME"))
            sys.exit()  # to load it would take most of the time

sys.meta_path.insert(0, Watch())
import {module}
"""


@pytest.mark.parametrize(
    "module", ["stages.train", "pipeline.prediction", "pipeline.runs.worker", "benchmarks.training"]
)
def test_it_is_said_before_torch_is_imported(module):
    assert fresh(IMPORT.format(module=module)).stdout == "3000 1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="not libgomp")
def test_libgomp_reads_what_is_said():
    answer = fresh("import pipeline, torch", OMP_DISPLAY_ENV="VERBOSE")
    read = [line for line in answer.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert read and all("'3000'" in line for line in read)


def test_a_choice_of_the_user_reaches_torch():
    assert fresh(IMPORT.format(module="stages.train"), OMP_WAIT_POLICY="ACTIVE").stdout == "None None\n"


TRAIN = """
import hashlib
import torch
from pipeline.stanet import STANet, stanet_loss

torch.set_num_threads(2)
clips = torch.randn((4, 5, 2, 48, 48), generator=torch.Generator().manual_seed(1))
model = STANet(3, seed=2)
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(3):
    optimiser.zero_grad()
    stanet_loss(model(clips), torch.tensor([0, 1, 2, 0]), 1e-8).backward()
    optimiser.step()
state = b"".join(tensor.detach().numpy().tobytes() for tensor in model.state_dict().values())
print(hashlib.sha256(state).hexdigest())
"""


@pytest.mark.whole_run
def test_a_training_has_the_same_bytes_however_its_threads_wait():
    trained = [
        fresh("import pipeline" + TRAIN),
        fresh(TRAIN, GOMP_SPINCOUNT="300000"),
        fresh(TRAIN, GOMP_SPINCOUNT="0"),
    ]
    assert len({answer.stdout for answer in trained}) == 1 and trained[0].stdout.strip()
