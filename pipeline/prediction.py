"""The class of one clip, by networks that are already trained: the stages from frames to class, on that clip alone."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline import lettering, paths, preparation
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.flow import estimators
from pipeline.frames import face_crop, frame_files, head_motion, resampling
from pipeline.frames.recording import Recording
from pipeline.frames.video_file import VideoFile
from pipeline.learning import training
from pipeline.learning.checkpoint import Checkpoint
from pipeline.networks.stanet import introspection, trained
from pipeline.networks.stanet.introspection import Attention
from pipeline.networks.stanet.trained import TrainedSTANet
from pipeline.params import Params, load_params
from pipeline.report import clip_figures, drawing
from pipeline.storage import class_names, clip_store, n_missing, tables
from pipeline.storage.clip_rows import ClipRow, clip_rows
from pipeline.storage.outputs import staged
from pipeline.storage.parts import prefix

STEPS = ("frames", "optical flow", "networks", "picture")
_FIGURES = (".png", ".svg")
_NUMBERS = ("onset", "offset", "n_frames")


@dataclass(frozen=True)
class Clip:
    """Where the frames of a clip are."""

    name: str
    """Its id in the dataset, or what its picture is called."""
    source: Path
    """Folder of frames, or video."""
    onset: int | None
    offset: int | None
    """None: the first and last frame there are."""
    subject: str | None = None
    """Of the dataset, when the clip is one of its clips."""
    label: str | None = None
    """Its class there."""
    face: str | None = None
    """`crop` or `none`, as params.yaml says for its database."""
    box: face_crop.Box | None = None
    """Square around the face, where params.yaml has one for it."""
    gaps: bool = False
    """It lacks frames, as params.yaml allows for its database."""


@dataclass(frozen=True)
class Prediction:
    """What is known of a clip in the end."""

    clip: Clip
    onset: int
    offset: int
    probabilities: dict[str, float]
    """By class, in the order of the networks' outputs; means over the networks."""
    networks: tuple[Path, ...]
    held_out: tuple[str, ...]
    """Subjects that each network has never seen, separated by commas."""
    notes: tuple[str, ...]
    """What speaks against it."""
    picture: Path

    @property
    def predicted(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def predict(
    given: str,
    *,
    onset: int | None = None,
    offset: int | None = None,
    face: str | None = None,
    model: Path | None = None,
    picture: Path | None = None,
    step: Callable[[str], object] = lambda name: None,
) -> Prediction:
    """Classify a clip and draw what the networks looked at.

    A new clip is shown to the network of every fold, and their probabilities are averaged. A clip of the dataset is
    shown only to the network that was trained without its subject.

    Parameters
    ----------
    given
        Folder of frames, video file, or id of a clip of the active dataset.
    onset, offset
        First and last frame; by default those of the dataset, or the first and last there are.
    face
        `crop` or `none`, instead of what params.yaml says.
    model
        File of one network to use instead of those of the active dataset.
    picture
        File to draw, PNG or SVG.
    step
        Told which of `STEPS` begins.

    Raises
    ------
    InputError
        There is no network, or those there do not fit together or to params.yaml; the clip has too few frames or no
        face, or is not there.
    """
    params = load_params(paths.PARAMS)
    clip = _find(given, onset, offset, params)
    networks = _networks(clip, model, params)
    size, count, crop = _geometry(networks)
    if picture is not None and (picture.suffix not in _FIGURES or not picture.absolute().parent.is_dir()):
        raise InputError(f"{picture}: expected a file ending in {' or '.join(_FIGURES)}, in a folder that is there")
    estimator = estimators.estimator(
        params.flow.method, Path(params.flow.weights), params.runtime.device, params.flow.tf32
    )
    _check_flow(estimator.settings | {"head_motion": params.head_motion}, networks[0])

    step("frames")
    recording, doubts = _recording(clip, face or clip.face or _common_face(params))
    times = recording.times if isinstance(recording, Recording) else None
    filmed = preparation.frames(recording, count, size, times)
    path, lost = _head_path(clip, recording, filmed, params.head_motion)
    step("optical flow")
    field = preparation.flow(filmed, path, params.head_motion, estimator)
    step("networks")
    training.fix_arithmetic(params.train.threads)
    seen = [introspection.attention(network.network, torch.from_numpy(field), crop) for network in networks]
    attention = _average(seen)
    classes = networks[0].checkpoint.classes
    prediction = Prediction(
        clip,
        recording.onset,
        recording.offset,
        dict(zip(classes, attention.probabilities.tolist(), strict=True)),
        tuple(network.path for network in networks),
        tuple(", ".join(network.checkpoint.test_subjects) for network in networks),
        (*_notes(clip, len(recording), networks, params), *doubts, *lost, *_stillness(field, params)),
        picture or paths.prediction(params.dataset, f"{clip.name}_{recording.onset}-{recording.offset}"),
    )
    step("picture")
    shown = head_motion.stabilised(filmed, path)
    figure = clip_figures.clip_attention(shown, field, attention, _title(prediction))
    drawn = prediction.picture
    with staged(drawn.parent / ".partial" / drawn.name, drawn) as [draft]:
        drawing.write(figure, draft)
    return prediction


def as_text(prediction: Prediction) -> str:
    """For a terminal."""
    clip = prediction.clip
    annotated = f" (annotated: {clip.label})" if clip.label else ""
    width = max(map(len, prediction.probabilities))
    name = clip.name if clip.subject else clip.source
    lines = [f"{name}, frames {prediction.onset} to {prediction.offset}: {prediction.predicted}{annotated}"]
    lines += [f"  {name:<{width}}  {value:.4f}" for name, value in prediction.probabilities.items()]
    notes = (f"Note: {note}" for note in prediction.notes)
    return "\n".join([*lines, _by_whom(prediction), *notes, f"Picture: {prediction.picture}", ""])


def as_json(prediction: Prediction) -> str:
    """For a program."""
    clip = prediction.clip
    facts = {
        "clip": clip.name,
        "source": str(clip.source),
        "onset": prediction.onset,
        "offset": prediction.offset,
        "class": prediction.predicted,
        "probabilities": prediction.probabilities,
        "label": clip.label,
        "models": list(map(str, prediction.networks)),
        "held_out": list(prediction.held_out),
        "notes": list(prediction.notes),
        "picture": str(prediction.picture),
    }
    return json.dumps(facts, indent=2) + "\n"


def _by_whom(prediction: Prediction) -> str:
    if len(prediction.networks) > 1:
        return (
            f"Mean of {len(prediction.networks)} networks, each trained without one subject "
            f"({', '.join(prediction.held_out)})"
        )
    return f"By {prediction.networks[0]}, the network trained without {prediction.held_out[0]}"


def _title(prediction: Prediction) -> str:
    share = prediction.probabilities[prediction.predicted]
    count = len(prediction.networks)
    return f"{prediction.clip.name}: {prediction.predicted} {share:.2f}" + f" (mean of {count} networks)" * (count > 1)


def _find(given: str, onset: int | None, offset: int | None, params: Params) -> Clip:
    """The clip that is meant: one of the dataset by its id or its folder, otherwise any folder or video."""
    path = Path(given)
    try:
        exists = path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"{given[:80]}: expected a folder of frames or a video file: {error.strerror}") from error
    if exists and not path.is_file() and not path.is_dir():
        raise InputError(f"{given}: expected a folder of frames or a video file, found a pipe or a device")
    table = _clips(params)
    if table is not None:
        known = table[table["clip"] == given] if not exists else _in_folder(table, path, onset, offset, params)
        if len(known) > 1:
            raise InputError(
                f"{given}: expected one clip, found {len(known)} of {params.dataset} in this folder: "
                f"{', '.join(known['clip'])}. Say which by its id, or by --onset and --offset."
            )
        if len(known) == 1:
            return _of_dataset(known, onset, offset, params)
    if not given or not exists:
        raise InputError(
            f"{given or 'the empty name'}: expected a folder of frames, a video file, or the id of a clip of "
            f"{params.dataset} (as in {paths.clips(params.dataset)}); found none of these"
        )
    return Clip("_".join(path.absolute().parts[-2:]), path, onset, offset)


def _of_dataset(known: pd.DataFrame, onset: int | None, offset: int | None, params: Params) -> Clip:
    """The clip in the one row of a table."""
    [row], [database] = clip_rows(known), known["database"]
    settings = params.databases[database]
    own_name = row.clip.removeprefix(prefix(database, len(params.databases) > 1))
    return Clip(
        row.clip,
        Path(settings.raw) / row.frames,
        row.onset if onset is None else onset,
        row.offset if offset is None else offset,
        row.subject,
        row.label,
        settings.face,
        settings.face_boxes.get(own_name),
        row.clip in n_missing.counts(known),
    )


def _clips(params: Params) -> pd.DataFrame | None:
    path = paths.clips(params.dataset)
    return tables.read(path, _NUMBERS, (*ClipRow._fields, "n_frames", "database")) if path.exists() else None


def _in_folder(table: pd.DataFrame, path: Path, onset: int | None, offset: int | None, params: Params) -> pd.DataFrame:
    """Clips of the dataset whose frames are in the folder `path`; several may share one, told apart by their frames."""
    raw = {name: Path(database.raw).resolve() for name, database in params.databases.items()}
    folders = [raw[name] / folder for name, folder in zip(table["database"], table["frames"], strict=True)]
    there = table[[folder == path.resolve() for folder in folders]]
    exact = there
    for column, frame in (("onset", onset), ("offset", offset)):
        if frame is not None:
            exact = exact[exact[column] == frame]
    return exact if len(exact) else there


def _networks(clip: Clip, model: Path | None, params: Params) -> list[TrainedSTANet]:
    """The networks to ask, all of which fit together.

    Raises
    ------
    InputError
        There are none, or not all of the dataset's; or they differ in what they were made for.
    """
    files = [model] if model else [paths.model(params.dataset, fold) for fold in _folds(clip, params)]
    networks = [trained.load(path) for path in files]
    first = networks[0]
    for network in networks:
        for fact in ("classes", "frames", "size", "params"):
            if _alike(network.checkpoint, fact) != _alike(first.checkpoint, fact):
                raise InputError(
                    f"expected networks that were trained alike, found other {fact} in {network.path} than in "
                    f"{first.path}. Run `dvc repro`, which trains what is out of date."
                )
    known = paths.classes(params.dataset)
    classes = first.checkpoint.classes
    if known.exists() and class_names.read(known) != classes:
        raise InputError(
            f"{first.path}: expected a network for the classes of {params.dataset} "
            f"({', '.join(class_names.read(known))}), found one for {', '.join(classes)}. "
            "Use a model of the active dataset, or activate the model's: python -m pipeline use."
        )
    return networks


def _alike(checkpoint: Checkpoint, fact: str) -> Any:
    """What must be the same in all networks: of the parameters, all that a fold did not choose by itself."""
    params = checkpoint.params
    if fact != "params" or "selection" not in params or not isinstance(params.get("train"), dict):
        return getattr(checkpoint, fact)
    return params | {"lambda": None, "train": params["train"] | {"epochs": None}}


def _folds(clip: Clip, params: Params) -> Sequence[str]:
    """Folds to ask: all of them, or the one that tests the clip's subject."""
    if clip.subject is None:
        return params.trained_folds
    folds = protocols.read(paths.folds(params.dataset), params.folds)
    [fold] = (name for name, subjects in folds.items() if clip.subject in subjects)
    if fold not in params.trained_folds:
        raise InputError(
            f"{clip.name}: expected a network that was trained without {clip.subject}, but held_out in {paths.PARAMS} "
            f"leaves out the fold {fold}, which tests this subject. Add it and run `dvc repro`, or name a network with "
            "--model."
        )
    return [fold]


def _geometry(networks: list[TrainedSTANet]) -> tuple[int, int, int]:
    """S, F and the side of the network's input."""
    checkpoint = networks[0].checkpoint
    try:
        crop = checkpoint.params["train"]["augmentation"]["crop"]
    except (KeyError, TypeError):
        crop = None
    if type(crop) is not int or not 32 <= crop <= checkpoint.size:
        raise InputError(
            f"{networks[0].path}: expected the side of the network's input (train.augmentation.crop), 32 to "
            f"{checkpoint.size} px, found {crop!r:.80}. Run `dvc repro`, which trains what is out of date."
        )
    return checkpoint.size, checkpoint.frames, crop


def _check_flow(offered: dict[str, Any], network: TrainedSTANet) -> None:
    """Compare how flow would be made with how it was made for the training; older networks do not say all of it."""
    wanted = network.checkpoint.params.get("flow") or {}
    if "head_motion" not in wanted:
        raise InputError(
            f"{network.path}: expected a network that says what was done about head motion in its training, found one "
            "of an older version, which says nothing. Run `dvc repro`, which trains it anew."
        )
    if offered != wanted:
        raise InputError(
            f"{network.path}: expected the optical flow that the network was trained on ({_listed(wanted)}), but "
            f"{paths.PARAMS} says {_listed(offered)}. Set head_motion, flow.method and flow.weights to the network's, "
            "or run `dvc repro`."
        )


_MEANINGS = {
    "nothing": "there is no motion to and from it",
    "cut": "the class may be that of the change, not of an expression: choose frames before or after it",
    "lost": "motion of the head may be left in the flow, or an expression be missing from it",
    "jump": "motion of the head may be left in the flow",
    "left": "what has left it was not seen",
}
"""What a doubt about the head means for the class."""


def _head_path(
    clip: Clip, recording: Recording | VideoFile, frames: np.ndarray, fit: str
) -> tuple[np.ndarray, list[str]]:
    """The path of the head, and why it may be wrong: a study refuses such a clip, one clip gets its answer."""

    def named(index: int) -> str:
        return f"frame {recording.onset + resampling.nearest(index, len(recording), len(frames))}"

    try:
        found = head_motion.trace(frames, "affine" if fit == "keep" else fit)
    except head_motion.NoHeadMotionError as reason:
        said = reason.doubt.said(named)
        if fit == "keep":
            return head_motion.follow(frames, fit), [f"{said}: {_MEANINGS['nothing']}"]
        raise InputError(
            f"{clip.source}: expected a head that can be followed, to take its motion out as in training: {said}. "
            "--onset and --offset choose other frames."
        ) from reason
    doubts = [doubt for doubt in found.doubts if fit != "keep" or doubt.kind in ("cut", "left")]
    notes = [f"{doubt.said(named)}. {_MEANINGS[doubt.kind].capitalize()}" for doubt in doubts]
    if fit == "keep":
        return head_motion.follow(frames, fit), notes
    if not doubts and found.share < head_motion.DOUBTFUL_SHARE:
        notes.append(
            f"only {found.share:.0%} of the face moves as one from {named(0)} to {named(found.least)}: part of a large "
            "expression may have been taken for motion of the head, and the rest be too small"
        )
    return found.path, notes


_STILL = 0.95
"""Share of the study's clips in which more must move for a clip to be called still."""


def _stillness(field: np.ndarray, params: Params) -> Iterator[str]:
    """Remark on a clip in which less moves than in nearly all clips of the study."""
    known = []
    for path in map(paths.flow, params.databases):
        if path.exists():
            with clip_store.reading(path) as file:
                rows = range(len(clip_store.clip_names(file)))
                known += [_motion(clip_store.values(file, "flow", row)) for row in rows]
    moved = _motion(field)
    more = sum(moved < other for other in known)
    if known and more >= _STILL * len(known):
        yield (
            f"less moves ({moved:.3f} px per frame) than in {more} of {len(known)} clips of {params.dataset}: the clip "
            "may show no expression, for which the networks have no class"
        )


def _motion(flow: np.ndarray) -> float:
    """Mean length of the flow (F - 1, 2, S, S) of a clip, of every fourth pixel along each axis."""
    return float(np.hypot(*flow[..., ::4, ::4].astype(np.float32).swapaxes(0, 1)).mean())


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(settings.items()))


def _notes(clip: Clip, length: int, networks: list[TrainedSTANet], params: Params) -> Iterator[str]:
    """What makes a prediction worth less than its probability."""
    if boxes := lettering.missing("".join([clip.name, *networks[0].checkpoint.classes])):
        yield f"no font on this machine has {' '.join(boxes)}: in the picture, these characters are boxes"
    table = _clips(params)
    if clip.subject is not None:
        seen = [network.path for network in networks if clip.subject not in network.checkpoint.test_subjects]
        if seen:
            yield f"{seen[0]} was trained on clips of {clip.subject}"
    for name, database in params.databases.items():
        if clip.subject is None and clip.source.resolve().is_relative_to(Path(database.raw).resolve()):
            yield f"the clip lies in the folder of {name}: the networks may have seen other clips of the person"
    if table is not None and not table["n_frames"].min() / 2 <= length <= 2 * table["n_frames"].max():
        yield (
            f"the clip has {length} frames, those of {params.dataset} {table['n_frames'].min()} to "
            f"{table['n_frames'].max()}: --onset and --offset say where the expression begins and ends"
        )


def _common_face(params: Params) -> str:
    """Whether frames are cut to the face, which must be the same for all databases of the study."""
    found = {database.face for database in params.databases.values()}
    if len(found) > 1:
        said = ", ".join(f"{name} {database.face}" for name, database in params.databases.items())
        raise InputError(
            f"expected --face crop or --face none for a new clip, because the databases of {params.dataset} differ "
            f"({said}): crop, if the clip shows more than a face"
        )
    return found.pop()


def _recording(clip: Clip, face: str) -> tuple[Recording | VideoFile, list[str]]:
    """Frames of the clip, cropped to the face where that is wanted, and what is doubtful about them."""
    recording = _whole(clip)
    if recording.offset <= recording.onset:
        raise InputError(
            f"{clip.source}: expected at least 2 frames, between which something moves; found "
            f"{max(0, recording.offset - recording.onset + 1)} (onset {recording.onset}, offset {recording.offset})"
        )
    doubts = recording.notes if isinstance(recording, VideoFile) else []
    if face == "crop":
        try:
            recording.box = face_crop.box_for(recording[0], clip.box, doubts.append)
        except face_crop.NoBox as reason:
            raise InputError(
                f"{clip.source}: expected a face in frame {recording.onset}, to cut the frames to as in training: "
                f"{reason}. If they show nothing but a face, say --face none."
            ) from reason
    return recording, doubts


def _whole(clip: Clip) -> Recording | VideoFile:
    """All of each frame of the clip."""
    if clip.source.is_file():
        return VideoFile(clip.source, clip.onset, clip.offset)
    numbers = frame_files.numbered(clip.source)
    if not numbers:
        raise InputError(
            f"{clip.source}: expected a folder of numbered frames ({', '.join(frame_files.SUFFIXES)}), found none"
        )
    onset = min(numbers) if clip.onset is None else clip.onset
    offset = max(numbers) if clip.offset is None else clip.offset
    return Recording(clip.source, onset, offset, gaps=clip.gaps)


def _average(seen: list[Attention]) -> Attention:
    """Means over networks; what they lack, they all lack."""
    first = seen[0]

    def mean(name: str) -> np.ndarray | None:
        return None if getattr(first, name) is None else np.mean([getattr(one, name) for one in seen], axis=0)

    means: dict[str, Any] = {name: mean(name) for name in Attention._fields if name != "grid"}
    return first._replace(**means)
