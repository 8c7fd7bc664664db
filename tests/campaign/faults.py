"""Attacks on a study: kills, signals that are aimed at what DVC writes, damaged files."""

import os
import random
import shutil
import sys
from pathlib import Path

from tests.campaign.outcome import Outcome
from tests.campaign.study import Study, attempt, entries, forget, killed, make, object_of, pipeline
from tests.stages.conftest import Workspace

DVC = sys.executable, "-m", "dvc"


def kills(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """`dvc repro` is killed while a stage has to be made again; then `make repro` alone must give the same bytes."""
    for _ in range(count):
        workspace = study.copy("attacked")
        stage = rng.choice(study.active)
        forget(workspace, stage)
        how = killed(workspace, rng, 7, *DVC, "repro", "--single-item", "--force", stage)
        outcome.add("kills of a stage", f"{stage}, {how}", _after(study, workspace))


def fold_kills(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """`folds` is killed; a second run must give the same bytes."""
    trained = [name for name in study.active if name.startswith("train@")]
    for _ in range(count):
        workspace = study.copy("attacked")
        forget(workspace, *trained)
        shutil.rmtree(workspace.root / "models")
        how = killed(workspace, rng, 20, *pipeline("folds", "--workers", "2"))
        code, said = attempt(workspace, *pipeline("folds", "--workers", "2"))
        outcome.add("kills of `folds`", how, f"exit {code}: {said[-800:]}" if code else study.fault(workspace))


def ablation_kills(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """`ablate` is killed again and again; the last run must give the table, and the checkout stays as it is."""
    table, workspace = None, study.copy("ablation")
    for number in range(count + 1):
        if number:
            workspace = study.copy("attacked")
            how = killed(workspace, rng, 40, *pipeline("ablate", "--csv", "table.csv"))
        code, said = attempt(workspace, *pipeline("ablate", "--csv", "table.csv"))
        if code:
            outcome.add("kills of `ablate`", how if number else "without a kill", f"exit {code}: {said[-800:]}")
            continue
        found = (workspace.root / "table.csv").read_bytes()
        table = table or found
        if number:
            fault = "another table" if found != table else study.fault(workspace)
            outcome.add("kills of `ablate`", how, fault)


def signals(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """DVC gets a signal in the middle of writing dvc.lock or its rwlock; `make repro` alone must go on."""
    for number in range(count):
        workspace = study.copy("attacked")
        what = "rwlock" if number % 3 == 2 else "lock"
        name = rng.choice(["SIGKILL", "SIGTERM", "SIGINT"])
        nth, share = rng.randint(1, 6), rng.choice([0.0, 1.0, *(rng.random() for _ in range(6))])
        if rng.random() < 0.2:  # stages are made again, not restored: each keeps what came before it
            forget(workspace, rng.choice(study.active))
        lock = workspace.root / "dvc.lock"
        lock.write_text(_without(lock.read_text(), [name for name in study.active if rng.random() < 0.5]))
        shutil.rmtree(workspace.root / "results")
        aim = ("-m", "tests.campaign.aimed_dvc", what, str(nth), f"{share:.3f}", name)
        code, _ = attempt(workspace, sys.executable, *aim, "repro")
        how = f"{name} in write {nth} of {what} after {share:.0%}" + (" (it was through)" if code == 0 else "")
        outcome.add("signals aimed at DVC's writes", how, _after(study, workspace))


def damage(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """A file is damaged: the stage that reads it fails by name, and it comes back as the messages say."""
    readers = {
        "interpolated.h5": "resize@synthetic",
        "resized.h5": "extract_flow@synthetic",
        "flow.h5": "gather@synthetic",
        "recordings.csv": "interpolate@synthetic",
        "parts/synthetic.json": "task@synthetic",
        "classes.json": "aggregate@synthetic",
        "clips.csv": "aggregate@synthetic",
        ".pt": "report@synthetic",
        "folds/": "aggregate@synthetic",
        "curves/": "report@synthetic",
        "predictions.csv": "report@synthetic",
        "metrics.json": "report@synthetic",
        "per_subject.csv": "report@synthetic",
    }
    for _ in range(count):
        workspace = study.copy("attacked")
        kind = rng.choice(list(readers))
        name = rng.choice([name for name in study.outputs if kind in name and not name.startswith("data/raw")])
        how = spoil(workspace, name, rng)
        outcome.add("damaged files", f"{name}: {how}", _damage_fault(study, workspace, name, readers[kind]))


def resume_damage(study: Study, rng: random.Random, count: int, outcome: Outcome) -> None:
    """What an interrupted stage has kept is damaged, or the copy of dvc.lock: the next run gives the same bytes."""
    for _ in range(count):
        workspace = study.copy("attacked")
        stage = rng.choice(["extract_flow@synthetic", "train@synthetic-sub02"])
        forget(workspace, stage)
        killed(workspace, rng, 6, *DVC, "repro", "--single-item", "--force", stage)
        kept = [path for path in (workspace.root / ".resume").rglob("*") if path.is_file() and path.stat().st_size]
        for path in kept:
            _flip(path, rng)
        outcome.add("damaged resumable work", f"{stage}, {len(kept)} files", _after(study, workspace))


def spoil(workspace: Workspace, name: str, rng: random.Random) -> str:
    """Damage an output, in the workspace, in the cache, or where both are one file; size and time stay the same."""
    path = workspace.root / name
    md5 = next(
        out["md5"]
        for entry in entries(workspace).values()
        for out in entry["outs"]
        if name == out["path"] or name.startswith(f"{out['path']}/")
    )
    cached = object_of(workspace, md5)
    how = rng.choice(["both", "both", "workspace"])
    path.unlink()
    if how == "both":
        _flip(cached, rng)
        path.hardlink_to(cached)
    else:
        shutil.copy2(cached, path)
        _flip(path, rng)
    return f"a byte of {how}"


def _damage_fault(study: Study, workspace: Workspace, name: str, reader: str) -> str | None:
    code, said = attempt(workspace, *DVC, "repro", "--single-item", "--force", reader)
    if code == 0 or name not in said or "Traceback" in said:
        return f"{reader} did not refuse it: exit {code}: {said[-600:]}"
    code, said = attempt(workspace, *pipeline("verify"))
    if code == 0 or name not in said or "Traceback" in said:
        return f"verify did not see it: exit {code}: {said[-600:]}"
    code, said = attempt(workspace, *pipeline("verify", "--remove"))
    if code:
        return f"verify --remove failed: {said[-600:]}"
    return _after(study, workspace)


def _after(study: Study, workspace: Workspace) -> str | None:
    try:
        make(workspace)
    except AssertionError as error:
        return f"`make repro` failed: {str(error)[-800:]}"
    return study.fault(workspace)


def _flip(path: Path, rng: random.Random) -> None:
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(status.st_mode)

    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _without(text: str, stages: list[str]) -> str:
    """dvc.lock without the entries of some stages, which DVC then writes again."""
    head, *blocks = text.split("\n  ")
    kept, dropping = [head], False
    for block in blocks:
        if block[:1] not in (" ", "-"):
            dropping = block.partition(":")[0] in stages
        if not dropping:
            kept.append(block)
    return "\n  ".join(kept).rstrip("\n") + "\n"
