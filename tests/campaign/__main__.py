"""Faults on purpose: python -m tests.campaign inputs signals --seed 1 --count 20"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.campaign import faults, inputs, videos
from tests.campaign.machines import machines
from tests.campaign.outcome import Outcome
from tests.campaign.study import Study

KINDS = {
    "signals": faults.signals,
    "damage": faults.damage,
    "resume": faults.resume_damage,
    "kills": faults.kills,
    "folds": faults.fold_kills,
    "ablate": faults.ablation_kills,
    "machines": machines,
}
"""Attacks on a study."""

LISTS = {"inputs": inputs.run, "videos": videos.run}
"""Fixed lists of what is given to a command or a reader; they need no study."""


def main() -> int:
    """Run the kinds that are named, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("kinds", nargs="+", choices=[*LISTS, *KINDS])
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn at random")
    parser.add_argument(
        "--count", type=int, default=10, help="attacks of each kind; `inputs`, `videos` and `machines` are fixed lists"
    )
    parser.add_argument("--folder", type=Path, help="where the study is made; one that is there is used again")
    given = parser.parse_args()
    outcome, begin = Outcome(each=given.kinds != ["inputs"]), time.monotonic()
    try:
        for kind in LISTS.keys() & set(given.kinds):
            LISTS[kind](outcome)
        if wanted := [kind for kind in given.kinds if kind in KINDS]:
            with tempfile.TemporaryDirectory() as folder:
                study = Study((given.folder or Path(folder)).absolute())
                for kind in wanted:
                    KINDS[kind](study, random.Random(f"{given.seed} {kind}"), given.count, outcome)
    finally:
        print(f"\n{outcome.text()}\n{time.monotonic() - begin:.0f} s, seed {given.seed}")
    return bool(outcome.failures)


if __name__ == "__main__":
    sys.exit(main())
