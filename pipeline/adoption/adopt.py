"""Adopt a dataset: check a copy of it, show what is in it, and write its settings into params.yaml."""

import dataclasses
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML

from pipeline import flow, paths
from pipeline import params as parameters
from pipeline.databases import DATASETS, Dataset
from pipeline.databases.annotation import sha256
from pipeline.databases.recordings import Profile, Reading, UnusableRows
from pipeline.databases.layouts import LAYOUTS
from pipeline.device import resolve_device
from pipeline.errors import InputError
from pipeline.evaluation import loso
from pipeline.flow import METHODS
from pipeline.frames import face_crop, frame_files
from pipeline.frames.contact_sheet import contact_sheet
from pipeline.learning import augmentation
from pipeline.params import Params
from pipeline.stanet.network import STANet, stanet_loss
from pipeline.storage import params_file
from pipeline.storage.outputs import staged

# Bytes of a float16 flow vector's component, and of a network with its description.
_FLOW_BYTES, _MODEL_BYTES = 2, 2e6
# Releases of frames that are cropped to the face say so in their names.
_CROPPED = "crop", "reg_"


def use(
    name: str,
    root: Path | None = None,
    annotated: Path | None = None,
    method: str | None = None,
    check: bool = False,
) -> None:
    """Check the copy of a dataset and make it the one that is studied.

    Parameters
    ----------
    name
        A key of `DATASETS`.
    root
        Its folder; None for the one in params.yaml, if that is of the same dataset.
    annotated
        Its annotation file; None to look for it.
    method
        `flow.method` to use instead of the dataset's own.
    check
        Only say what would be changed.

    Raises
    ------
    InputError
        The copy cannot be used as it is: all its defects are listed, and nothing is written.
    """
    if name not in DATASETS:
        raise InputError(f"expected one of the datasets {', '.join(DATASETS)}; found {name}")
    if method not in (None, *METHODS):
        raise InputError(f"--flow: expected one of {', '.join(METHODS)}; found {method}")
    before = parameters.load(paths.PARAMS)
    device = resolve_device(before.runtime.device)
    if name == "synthetic":
        if root or annotated:
            raise InputError("the synthetic dataset is made by the stage synthesize: it has no folder to name")
        _adopt(before, _synthetic(before, method), check)
        return
    if root is None:
        if before.dataset != name:
            raise InputError(f"expected the folder of {name}: python -m pipeline use {name} --from DIR")
        root = Path(before.raw)
        if annotated is None and before.annotation.file != "auto":
            annotated = root / before.annotation.file
    root = _absolute(root)
    if annotated is not None:
        annotated = _absolute(annotated if annotated.exists() else root / annotated)
    profile = DATASETS[name].profile
    last = {} if before.dataset == name else _last_run(name)
    exclude = tuple(dict.fromkeys([*last.get("exclude", []), *before.exclude]))
    reading, foreign = _read(DATASETS[name], root, exclude, annotated, another=before.dataset != name)
    sizes = _sizes(root, reading.table)
    _describe(profile, root, reading, sizes)
    loso.check(reading.table)
    values = {
        "dataset": name,
        "raw": str(root),
        "annotation.file": _annotation_file(root, annotated),
        "annotation.sha256": sha256(annotated) if annotated and not annotated.is_relative_to(root) else "",
        "subjects": sorted(reading.table["subject"].unique()),
        "exclude": [entry for entry in exclude if entry not in foreign],
        "face": _face(name, root, reading.table),
        **_settings(profile, method),
    }
    if before.dataset != name:
        known = set(reading.table["clip"])
        values["face_boxes"] = {clip: box for clip, box in last.get("face_boxes", {}).items() if clip in known}
    if values["exclude"]:
        click.echo(f"excluded in {paths.PARAMS}: {', '.join(values['exclude'])}")
    after = _adopt(before, values, check)
    if not check:
        sheet = paths.contact_sheet(name)
        _write_contact_sheet(sheet, root, reading, after)
        click.echo(f"\nOne clip of each class to look at: {sheet}")
    _estimate(after, reading.table, sizes, device)


def _absolute(path: Path) -> Path:
    """As it was named, also if it is a link, but without `..`."""
    return Path(os.path.abspath(path))  # noqa: PTH100, resolve() would follow links


def _last_run(name: str) -> dict[str, Any]:
    """Parameters with which a dataset was last indexed and interpolated: dvc.lock keeps those of every dataset."""
    if not paths.LOCK.exists():
        return {}
    stages = YAML(typ="safe", pure=True).load(paths.LOCK)["stages"]
    runs = [stages.get(f"{stage}@{name}", {}) for stage in ("index", "interpolate")]
    return {key: value for run in runs for key, value in run.get("params", {}).get("params.yaml", {}).items()}


def _read(
    dataset: Dataset, root: Path, exclude: tuple[str, ...], annotated: Path | None, another: bool
) -> tuple[Reading, set[str]]:
    """The copy's clips, and entries of `exclude` that were meant for the dataset before, if that was `another`."""
    try:
        try:
            return dataset.read(root, exclude, annotated), set()
        except UnusableRows as error:
            foreign = set(error.reading.unknown_exclusions)
            if not another or not foreign:
                raise
            exclude = tuple(entry for entry in exclude if entry not in foreign)
            return dataset.read(root, exclude, annotated), foreign
    except UnusableRows as error:
        if len(error.reading.table):
            table = error.reading.table
            _describe(dataset.profile, root, error.reading, _sizes(root, table))
        raise


def _synthetic(before: Params, method: str | None) -> dict[str, Any]:
    template = LAYOUTS[before.synthesize.layout].clip
    subjects = [
        template.format(subject=number, name="", onset="").split("/")[0]
        for number in range(1, before.synthesize.subjects + 1)
    ]
    return {
        "dataset": "synthetic",
        "raw": paths.SYNTHETIC.as_posix(),
        "annotation.file": "auto",
        "annotation.sha256": "",
        "subjects": sorted(subjects),
        "exclude": list(before.exclude) if before.dataset == "synthetic" else [],
        "face": "none",
        **_settings(DATASETS["synthetic"].profile, method),
    }


def _settings(profile: Profile, method: str | None) -> dict[str, Any]:
    settings = profile.settings
    return {
        "train.epochs": settings.epochs,
        "train.lr": settings.lr,
        "train.weight_decay": settings.weight_decay,
        "lambda": settings.lambda_,
        "train.augmentation.scales": list(settings.scales),
        "train.augmentation.horizontal_flip": settings.horizontal_flip,
        "train.augmentation.views": settings.views,
        "flow.method": method or settings.flow,
    }


def _annotation_file(root: Path, annotated: Path | None) -> str:
    if annotated is None:
        return "auto"
    return annotated.relative_to(root).as_posix() if annotated.is_relative_to(root) else str(annotated)


def _adopt(before: Params, values: dict[str, Any], check: bool) -> Params:
    """Write new values into params.yaml; gives its content then. Nothing is written if they are not valid together."""
    if before.dataset != values["dataset"]:
        values.setdefault("face_boxes", {})
        values |= {"report.clips": [], "held_out": "all"}
    elif before.held_out != "all" and not set(before.held_out) <= set(values["subjects"]):
        values["held_out"] = "all"
    text, changes = params_file.changed(paths.PARAMS, values)
    after = parameters.parse(text, paths.PARAMS)
    if not changes:
        click.echo(f"{paths.PARAMS} stays as it is")
        return after
    click.echo(f"{paths.PARAMS} would change:" if check else f"{paths.PARAMS}:")
    for change in changes:
        click.echo(f"  {change}")
    if not check:
        with staged(paths.partial("use"), paths.PARAMS) as [draft]:
            draft.write_text(text, encoding="utf-8")
    return after


def _sizes(root: Path, table: pd.DataFrame) -> list[tuple[int, int]]:
    """Width and height of the onset frame of every clip."""
    shapes = (
        frame_files.read(frame_files.numbered(root / clip.frames)[clip.onset]).shape for clip in table.itertuples()
    )
    return [(width, height) for height, width, _ in shapes]


def _describe(profile: Profile, root: Path, reading: Reading, sizes: list[tuple[int, int]]) -> None:
    """Print what is in a copy, beside the paper's numbers."""
    table = reading.table
    click.echo(f"{profile.name} in {root}")
    for path in reading.annotations:
        click.echo(f"annotation {path}\n  SHA-256 {sha256(path)}")
    click.echo()
    # No subject has a blank in its name, no label a capital letter: the sums are never taken for one of them.
    counts = pd.crosstab(table["subject"], table["label"], margins=True, margins_name="All clips")
    click.echo(counts.rename_axis(index=None, columns="clips").to_string())
    lengths = table["n_frames"]
    click.echo(f"\nframes per clip: {lengths.min()} to {lengths.max()}, median {lengths.median():g}")
    click.echo(
        "image size: "
        + ", ".join(f"{width} x {height} px ({n} clips)" for (width, height), n in Counter(sizes).most_common(5))
        + (", ..." if len(set(sizes)) > 5 else "")
    )
    if reading.left_out:
        named = ", ".join(f"{count} {label}" for label, count in sorted(reading.left_out.items()))
        click.echo(f"left out, because the task does not use their class: {named}")
    if profile.paper:
        _compare(profile, reading)
    click.echo()


def _compare(profile: Profile, reading: Reading) -> None:
    table = reading.table
    found = {"clips": len(table), "subjects": table["subject"].nunique(), "classes": table["label"].nunique()}
    paper = {
        "clips": profile.paper.clips,
        "subjects": profile.paper.subjects,
        "classes": len(profile.classes),
    }
    click.echo("          " + "".join(f"{word:>10}" for word in found))
    for title, numbers in (("this copy", found), ("the paper", paper)):
        click.echo(f"{title:<10}" + "".join(f"{number:>10}" for number in numbers.values()))
    differences = [f"{found[word]} {word} instead of {paper[word]}" for word in found if found[word] != paper[word]]
    if differences:
        click.secho(
            f"WARNING: this copy is not what the paper used: {', '.join(differences)}. "
            "Its results are not comparable as they are; annotation releases differ.",
            fg="red",
            err=True,
        )


def _face(name: str, root: Path, table: pd.DataFrame) -> str:
    """`none` for a release whose frames are cropped to the face, `crop` for a raw one; printed with the reason."""
    folder = root / table["frames"][0]
    file = next(iter(frame_files.numbered(folder).values()))
    hints = [
        word for word in _CROPPED if any(word in part.lower() for part in (root.name, *file.relative_to(root).parts))
    ]
    if hints:
        click.echo(f"face: none, because these frames seem to be cropped to the face ({file.relative_to(root)})")
        return "none"
    if name == "table":
        click.echo("face: none; if the frames show more than a face, set `face: crop`")
        return "none"
    click.echo(f"face: crop, because these frames seem to be whole ({file.relative_to(root)})")
    return "crop"


def _write_contact_sheet(path: Path, root: Path, reading: Reading, params: Params) -> None:
    rows = []
    for label in reading.classes:
        of_class = reading.table[reading.table["label"] == label]
        if len(of_class):
            clip = next(of_class.iloc[len(of_class) // 2 : len(of_class) // 2 + 1].itertuples())
            rows.append((f"{label}: {clip.clip}", list(_moments(root, clip, params))))
    picture = contact_sheet(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())


def _moments(root: Path, clip: Any, params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """Onset, apex or middle, and offset of a clip, with the square around the face where it will be cropped."""
    files = frame_files.numbered(root / clip.frames)
    middle = ("middle", (clip.onset + clip.offset) // 2)
    if clip.apex != "" and clip.onset <= int(clip.apex) <= clip.offset:
        middle = ("apex", int(clip.apex))
    box = None
    for title, number in (("onset", clip.onset), middle, ("offset", clip.offset)):
        frame = frame_files.read(files[number]).copy()
        if params.face == "crop":
            box = box or params.face_boxes.get(clip.clip) or face_crop.find_face(frame)
            if box:
                x, y, width, height = box
                cv2.rectangle(frame, (x, y), (x + width - 1, y + height - 1), (255, 0, 0), 2)
        yield f"{title} {number}" + (" (no face found)" if params.face == "crop" and not box else ""), frame


def _estimate(params: Params, table: pd.DataFrame, sizes: list[tuple[int, int]], device: torch.device) -> None:
    """Print how long the run will take here and what it will write, from a few steps on random numbers."""
    click.echo("\nMeasuring a few steps ...")
    pairs = len(table) * (params.interpolation.frames - 1)
    per_pair, remark = _seconds_per_pair(params, device)
    per_view, processor = _seconds_per_view(params, len(table["label"].unique()), device)
    augment = params.train.augmentation
    views = len(augmentation.views(augment.scales, augment.horizontal_flip)) if augment.views == "all" else 1
    tested = table["subject"].value_counts()
    shown = sum(len(table) - tested[subject] for subject in params.folds) * views * params.train.epochs
    training = shown * per_view
    click.echo(f"On this machine ({processor}):")
    click.echo(f"  flow      {pairs} pairs of frames: " + (remark or f"about {_duration(pairs * per_pair)}"))
    folds = len(params.folds)
    click.echo(f"  training  {folds} folds: about {_duration(training)}, {_duration(training / folds)} each")
    size = params.resize.size
    pixels = [min(width, height) ** 2 if params.face == "crop" else width * height for width, height in sizes]
    disk = 3 * params.interpolation.frames * (sum(pixels) + len(sizes) * size**2)  # interpolated.h5 and resized.h5
    disk += pairs * 2 * size**2 * _FLOW_BYTES + folds * _MODEL_BYTES
    free = shutil.disk_usage(".").free
    click.echo(f"  disk      about {disk / 1e9:.1f} GB, {free / 1e9:.0f} GB are free")
    if disk > free:
        click.secho("WARNING: that will not fit", fg="red", err=True)


def _seconds_per_pair(params: Params, device: torch.device) -> tuple[float, str]:
    """Time for the flow of one pair of frames, or why it cannot be told."""
    size = params.resize.size
    pair = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    try:
        estimator = flow.estimator(params.flow.method, Path(params.flow.weights), str(device))
    except InputError:
        return 0.0, (
            f"cannot be told before {params.flow.method} has its weights (flow.weights is {params.flow.weights}); "
            "--flow dis needs none"
        )
    return _seconds(lambda: estimator(pair)), ""


def _seconds_per_view(params: Params, classes: int, device: torch.device) -> tuple[float, str]:
    """Time of the training on one view of a clip, and the name of the device."""
    model = STANet(classes, **dataclasses.asdict(params.model), seed=0).to(device)
    side = params.train.augmentation.crop
    batch = torch.zeros((params.train.batch_size, params.interpolation.frames - 1, 2, side, side), device=device)
    targets = torch.zeros(len(batch), dtype=torch.long, device=batch.device)

    def step() -> None:
        model.zero_grad()
        stanet_loss(model(batch), targets, params.lambda_).backward()
        if batch.is_cuda:
            torch.cuda.synchronize()

    threads = torch.get_num_threads()
    torch.set_num_threads(params.train.threads)
    try:
        seconds = _seconds(step)
    finally:
        torch.set_num_threads(threads)
    name = torch.cuda.get_device_name(batch.device) if batch.is_cuda else f"CPU, {params.train.threads} threads"
    return seconds / len(batch), name


def _seconds(step: Callable[[], object], times: int = 3) -> float:
    """Shortest duration of a step, after one to warm up: what else the machine does lengthens the others."""
    step()
    durations = []
    for _ in range(times):
        begin = time.perf_counter()
        step()
        durations.append(time.perf_counter() - begin)
    return min(durations)


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
