"""params.yaml as frozen dataclasses; whatever is wrong in it is said at once, key by key.

pydantic does the checking: types are strict (no text where a number belongs), unknown keys are errors.
"""

import dataclasses
import difflib
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import comparators, networks
from pipeline.databases import megc2019
from pipeline.databases.layouts import LAYOUTS
from pipeline.databases.profiles import PROFILES
from pipeline.databases.task import dataset_name
from pipeline.errors import InputError
from pipeline.evaluation import protocols
from pipeline.flow.estimators import METHODS
from pipeline.frames.head_motion import FITS
from pipeline.learning.settings import (
    STRICT,
    BatchSize,
    Crop,
    Epochs,
    LearningRate,
    NotNegative,
    Positive,
    Scales,
    Views,
)
from pipeline.networks import stanet
from pipeline.paths import SYNTHETIC


def _one_of(names: Iterable[str]) -> AfterValidator:
    allowed = sorted(names)

    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}{_suggestion(value, allowed)}")
        return value

    return AfterValidator(check)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not list anything twice")
    return values


NotNegativeInt = Annotated[int, Field(ge=0, lt=2**31)]
Pixels = Annotated[float, Field(ge=0, le=255)]
"""A distance in a small picture, or a brightness."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
# In names of files and stages, and in the command of a stage: no shell makes anything of these characters.
ClipLength = Annotated[int, Field(ge=1, le=1000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Names = Annotated[tuple[Name, ...], AfterValidator(_distinct)]
"""Of subjects or folds."""
PlainPath = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1000)]
"""A path without control characters."""


def _largest_gap(value: Any) -> Any:
    if value != "refuse" and not (type(value) is int and 1 <= value <= 1000):
        raise ValueError("must be refuse, or a number of frames from 1 to 1000")
    return value


MissingFrames = Annotated[int | Literal["refuse"], PlainValidator(_largest_gap)]
"""Most consecutive frames that a clip may lack."""


@dataclass(frozen=True, config=STRICT)
class Synthesize:
    """Settings of the embedded dataset."""

    seed: Seed
    subjects: Annotated[int, Field(ge=1, le=1000)]
    clips: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=64, le=2048)]
    width: Annotated[int, Field(ge=64, le=2048)]
    frames: tuple[ClipLength, ClipLength]
    amplitude: tuple[Pixels, Pixels]
    drift: Pixels
    rotation: Pixels
    scale: Pixels
    noise: Pixels
    flicker: Pixels
    layout: Annotated[str, _one_of(LAYOUTS)]


@dataclass(frozen=True, config=STRICT)
class Annotation:
    """Where the annotation of a database is; the SHA-256 stands for a file that is not below `raw`."""

    file: Annotated[PlainPath, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


@dataclass(frozen=True, config=STRICT)
class Database:
    """One collection of recordings, as it lies on disk, and what is taken from it."""

    raw: PlainPath
    annotation: Annotation
    exclude: tuple[str, ...]
    missing_frames: MissingFrames
    face: Literal["crop", "none"]
    face_boxes: dict[str, tuple[NotNegativeInt, NotNegativeInt, Positive, Positive]]

    @property
    def largest_gap(self) -> int | None:
        """Most consecutive frames that a clip may lack; None: no frame may be missing."""
        return None if self.missing_frames == "refuse" else self.missing_frames


@dataclass(frozen=True, config=STRICT)
class Interpolation:
    """Settings of `interpolate`."""

    frames: Annotated[int, Field(ge=2, le=1000)]


@dataclass(frozen=True, config=STRICT)
class Resize:
    """Settings of `resize`."""

    size: Annotated[int, Field(ge=64, le=2048)]


@dataclass(frozen=True, config=STRICT)
class Flow:
    """Settings of `extract_flow`."""

    method: Annotated[str, _one_of(METHODS)]
    weights: PlainPath
    tf32: bool


@dataclass(frozen=True, config=STRICT)
class Model:
    """Settings of the network."""

    spatial_attention: bool
    temporal_attention: bool
    pooling: Annotated[int, Field(ge=1, le=64)]
    regions: Annotated[int, Field(ge=1, le=64)]
    readout: Literal["last", "mean"]


@dataclass(frozen=True, config=STRICT)
class Augmentation:
    """Views of a training clip: every corner crop x scale (x flip) is one."""

    crop: Crop
    scales: Scales
    horizontal_flip: bool
    views: Views


@dataclass(frozen=True, config=STRICT)
class Train:
    """Settings of the training of one fold."""

    epochs: Epochs
    lr: LearningRate
    weight_decay: NotNegative
    batch_size: BatchSize
    threads: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["float32", "tf32", "bf16"]
    deterministic: bool
    compile: bool
    augmentation: Augmentation


@dataclass(frozen=True, config=STRICT)
class Selection:
    """Candidates of which each fold chooses by an inner k-fold of its training subjects; empty lists choose nothing."""

    epochs: Annotated[tuple[Epochs, ...], AfterValidator(_distinct)]
    lambda_: Annotated[tuple[NotNegative, ...], AfterValidator(_distinct), Field(alias="lambda")]
    folds: Annotated[int, Field(ge=2, le=100)]
    score: Literal["uf1", "accuracy"]


@dataclass(frozen=True, config=STRICT)
class _Comparators:
    """Settings of the other methods of Table 1: those that all share."""

    methods: Annotated[tuple[Annotated[str, _one_of(comparators.methods())], ...], AfterValidator(_distinct)]
    landmarks: Annotated[str, Field(min_length=1)]
    class_weight: Literal["none", "balanced"]

    def settings(self, method: str) -> dict[str, Any]:
        """The constants of one method, as keywords of `comparators.describe`."""
        return dataclasses.asdict(getattr(self, method))


OTHER_NETWORKS = tuple(name for name in networks.names() if name != networks.STANET)
"""Networks that have a block of settings; those of STANet are `lambda`, `model` and `train`."""


@dataclass(frozen=True, config=STRICT)
class _Networks:
    """Settings of the trained networks besides STANet: those that are in Table 1."""

    names: Annotated[tuple[Annotated[str, _one_of(OTHER_NETWORKS)], ...], AfterValidator(_distinct)]


if TYPE_CHECKING:
    Comparators = _Comparators
    Networks = _Networks
else:

    def _with_blocks(section: type, types: dict[str, type]) -> type:
        """The section with one more block for each method, typed as the method types it."""
        name = section.__name__.lstrip("_")
        return dataclass(frozen=True, config=STRICT)(
            type(name, (section,), {"__annotations__": types, "__module__": __name__})
        )

    # The names of the methods are those of their files.
    Comparators = _with_blocks(_Comparators, {name: comparators.settings_type(name) for name in comparators.methods()})
    Networks = _with_blocks(_Networks, {name: networks.settings_type(name) for name in OTHER_NETWORKS})


@dataclass(frozen=True, config=STRICT)
class Report:
    """Settings of `report`."""

    faces: bool
    clips: Annotated[tuple[str, ...], Field(max_length=4), AfterValidator(_distinct)]


@dataclass(frozen=True, config=STRICT)
class Runtime:
    """What cannot change a result; no stage lists it in dvc.yaml."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    progress: bool


@dataclass(frozen=True, config=STRICT)
class Params:
    """All of params.yaml. `lambda` is a Python keyword, so it is `lambda_` here."""

    dataset: str
    databases: Annotated[dict[Annotated[str, _one_of(PROFILES)], Database], Field(min_length=1)]
    classes: Literal["own", "three", "six", "seven"]
    accepted: Annotated[tuple[str, ...], AfterValidator(_distinct)]
    subjects: Annotated[Names, Field(min_length=2)]
    protocol: Literal["loso", "k-fold", "database"]
    folds: Annotated[Names, Field(min_length=2)]
    held_out: Literal["all"] | Names
    lambda_: Annotated[float, Field(ge=0, le=1e6, alias="lambda")]
    seed: Seed
    synthesize: Synthesize
    interpolation: Interpolation
    resize: Resize
    head_motion: Annotated[str, _one_of(FITS)]
    apex: Literal["annotated", "middle", "estimated"]
    flow: Flow
    model: Model
    train: Train
    selection: Selection
    comparators: Comparators
    networks: Networks
    report: Report
    runtime: Runtime

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        if faults := list(self._contradictions()):
            raise ValueError("\n  ".join(faults))
        return self

    def _contradictions(self) -> Iterator[str]:
        """What does not fit together, though each value by itself is allowed."""
        yield from self._wrong_name()
        for name, database in self.databases.items():
            for fault in _contradictions_of(database):
                yield f"databases.{name}.{fault}"
        yield from self._wrong_folds()
        if self.flow.method == "flownet2" and self.resize.size % 64:
            yield f"resize.size: must be a multiple of 64 with flow.method: flownet2, found {self.resize.size}"
        crop = self.train.augmentation.crop
        views = {"train.augmentation": self.train.augmentation} | {
            f"networks.{name}": block
            for name in OTHER_NETWORKS
            if hasattr(block := getattr(self.networks, name), "scales")
        }
        for section, block in views.items():
            largest = min(round(min(block.scales) * self.resize.size), self.resize.size)
            if block.crop > largest and (section == "train.augmentation" or section[9:] in self.networks.names):
                yield (
                    f"{section}.crop: must be at most {largest}, the smallest scale of {self.resize.size} px, "
                    f"found {block.crop}"
                )
        if crop < 32 * self.model.pooling:
            yield (
                f"train.augmentation.crop: must be at least 32 x model.pooling = {32 * self.model.pooling}, the least "
                f"that the network can halve often enough, found {crop}"
            )

    @property
    def embedded(self) -> bool:
        """Only the embedded database is studied, whose faces are nobody's."""
        return set(self.databases) == {"synthetic"}

    def _wrong_folds(self) -> Iterator[str]:
        """What does not fit together of `protocol`, `subjects`, `folds` and `held_out`."""
        if self.held_out != "all" and not (self.held_out and set(self.held_out) <= set(self.folds)):
            yield f"held_out: must be all or a list of folds from `folds`, found {list(self.held_out)}"
        try:
            expected = protocols.fold_names(self.protocol, self.subjects, tuple(self.databases), len(self.folds))
        except InputError as error:
            yield f"folds: {error}"
            return
        if set(self.folds) != set(expected):
            yield (
                f"folds: must be {', '.join(expected[:20])}{', ...' * (len(expected) > 20)} with "
                f"protocol: {self.protocol}, found {', '.join(self.folds[:20])}{', ...' * (len(self.folds) > 20)}"
            )

    def _wrong_name(self) -> Iterator[str]:
        """What does not fit together of `dataset`, `databases`, `classes`, `accepted` and `protocol`."""
        suffix = protocols.suffix(self.protocol, len(self.folds))
        if not self.dataset.endswith(suffix):
            yield (
                f"dataset: must end with {suffix} with protocol: {self.protocol}, because results of two protocols "
                f"never share a folder; found {self.dataset!r}"
            )
            return
        checked = self.clip_selection == megc2019.NAME
        if checked and set(self.databases) != set(megc2019.DATABASES):
            yield (
                f"databases: must be {', '.join(megc2019.DATABASES)} for dataset: {megc2019.NAME}, found "
                f"{', '.join(sorted(self.databases))}"
            )
        if self.accepted and not checked:
            yield (
                f"accepted: must be empty for any dataset but {megc2019.NAME}, whose clips are those of a list; found "
                f"{list(self.accepted)}"
            )
        if len(self.databases) > 1:
            if self.classes != "three":
                databases = ", ".join(self.databases)
                yield f"classes: must be three for several databases ({databases}), found {self.classes}"
            name = self.clip_selection
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or re.sub(r"-[367]$", "", name) in PROFILES:
                yield (
                    "dataset: must be a name of its own (letters, digits, `-`) for a study of several databases, found "
                    f"{self.dataset!r}"
                )
            elif protocols.has_suffix(name):
                yield (
                    f"dataset: must not end like the name of another protocol with protocol: {self.protocol}, found "
                    f"{self.dataset!r}"
                )
            return
        [database] = self.databases
        expected = dataset_name(database, self.classes) + suffix
        if self.dataset != expected:
            yield (
                f"dataset: must be {expected} for the database {database} with classes: {self.classes}, found "
                f"{self.dataset!r}"
            )

    @property
    def clip_selection(self) -> str:
        """Name of the dataset without its protocol: `megc2019` of `megc2019-by-database`."""
        return self.dataset.removesuffix(protocols.suffix(self.protocol, len(self.folds)))

    @property
    def trained_folds(self) -> tuple[str, ...]:
        """Folds that are trained and scored, in the order of `folds`."""
        return tuple(name for name in self.folds if self.held_out == "all" or name in self.held_out)

    def network_settings(self, name: str) -> Any:
        """Return the settings of a network: its block in `networks`; of STANet `lambda`, `model` and `train`."""
        if name != networks.STANET:
            return getattr(self.networks, name)
        train, views = self.train, self.train.augmentation
        return stanet.Settings(
            lambda_=self.lambda_,
            **dataclasses.asdict(self.model),
            epochs=train.epochs,
            lr=train.lr,
            weight_decay=train.weight_decay,
            batch_size=train.batch_size,
            precision=train.precision,
            compile=train.compile,
            crop=views.crop,
            scales=views.scales,
            horizontal_flip=views.horizontal_flip,
            views=views.views,
        )


def _contradictions_of(database: Database) -> Iterator[str]:
    """What does not fit together in the section of a database."""
    raw, file = Path(database.raw), Path(database.annotation.file)
    if not raw.is_absolute() and raw != SYNTHETIC:
        yield (
            f"raw: must be {SYNTHETIC.as_posix()} or an absolute path, found {database.raw!r}: "
            "experiments run in another folder, where a relative path leads nowhere"
        )
    if ".." in raw.parts:
        yield f"raw: must not contain '..', found {database.raw!r}"
    if file.is_absolute() and not database.annotation.sha256:
        yield "annotation.sha256: must be given for a file that is not below `raw`"
    if ".." in file.parts:
        yield f"annotation.file: must not contain '..', found {database.annotation.file!r}"


def load_params(path: Path) -> Params:
    """Read params.yaml.

    Raises
    ------
    InputError
        The file is missing or no YAML, or a key is unknown, missing or has a value that is not allowed. All of these
        are listed, each with key, value and what is allowed; if there are none, all values that do not fit together.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is a folder, a pipe or a device")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a YAML file: {error}") from error
    return parse_params(text, path)


def parse_params(text: str, path: Path) -> Params:
    """Parameters from the text of params.yaml; `path` is its name in errors, which are those of `load_params`."""
    try:
        # YAML 1.2: DVC writes `1e-07`, which YAML 1.1 (PyYAML) reads as text.
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected a YAML file: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: expected sections of a few levels, found hundreds inside each other") from error
    _refuse_endless(document, path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected keys and values, found {type(document).__name__}")
    _refuse_old_form(document, path)
    try:
        # As JSON, because pydantic then takes a list for a tuple while staying strict about everything else.
        return TypeAdapter(Params).validate_json(json.dumps(document, default=str))
    except (TypeError, RecursionError) as error:  # JSON has no such keys
        raise InputError(f"{path}: expected keys that are text, found others ({error})") from error
    except ValidationError as error:
        faults = [_fault(details) for details in error.errors()]
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise InputError(f"{path}: {len(listed.splitlines())} wrong:\n{listed}") from None


_MOST_VALUES = 100_000  # of params.yaml; 500 subjects have about a thousand


def _refuse_endless(document: Any, path: Path) -> None:
    """Refuse aliases that contain themselves, or each other too often to be written out."""
    pending, count = [document], 0
    while pending:
        node = pending.pop()
        count += 1
        if count > _MOST_VALUES:
            raise InputError(
                f"{path}: expected at most {_MOST_VALUES:,} values, found more: an alias (*name) contains itself, or "
                "many repeat each other. Write the values out."
            )
        if isinstance(node, dict):
            pending += node.values()
        elif isinstance(node, (list, tuple, set)):
            pending += node


_MOVED = ("raw", "annotation", "exclude", "face", "face_boxes")  # once at the top level, now of each database


def _refuse_old_form(document: dict[str, Any], path: Path) -> None:
    """Say how to write what an older version of params.yaml has elsewhere or lacks."""
    lines: dict[str, Any] = {}
    old = [key for key in _MOVED if key in document]
    if old:
        moved = {"missing_frames": "refuse"} | {key: document[key] for key in old}
        lines |= {"databases": {str(document.get("dataset", "synthetic")): moved}}
        lines |= {"classes": "own"}
    if "subjects" in document and "protocol" not in document and "folds" not in document:
        lines |= {"protocol": "loso", "folds": document["subjects"]}
    databases = document.get("databases")
    if isinstance(databases, dict) and not old:
        complete = [name for name, keys in databases.items() if isinstance(keys, dict) and keys.keys() == set(_MOVED)]
        lines |= {"databases": {name: {"missing_frames": "refuse"} for name in complete}} if complete else {}
    section = document.get("comparators")
    if isinstance(section, dict) and {"networks", "cnn_lstm"} & section.keys():
        block, train = section.get("cnn_lstm"), document.get("train")
        own = dict(block) if isinstance(block, dict) else {}
        if isinstance(train, dict) and isinstance(train.get("augmentation"), dict):
            shared = ("epochs", "lr", "weight_decay", "batch_size")
            own |= {key: train[key] for key in shared if key in train} | train["augmentation"]
        defaults = {name: dataclasses.asdict(networks.settings_type(name)()) for name in OTHER_NETWORKS}
        lines |= {"networks": {"names": section.get("networks", [])} | defaults | {"cnn_lstm": own}}
        old += [f"comparators.{key}" for key in ("networks", "cnn_lstm") if key in section]
    if not lines:
        return
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.dump(lines, text)
    removed = f"remove {', '.join(old)} and " if old else ""
    raise InputError(
        f"{path}: expected the form of this version, found that of an older one. To keep its settings, {removed}put "
        f"these lines in:\n{text.getvalue()}"
    )


def _fault(details: Any) -> str:
    """One line for one error of pydantic: key, what is allowed, what was found."""
    # pydantic puts the alternatives of a union into the path; the key ends where they begin.
    inner = ("literal[", "function-", "tuple[", "[key]")
    parts = [str(part) for part in details["loc"] if not str(part).startswith(inner)]
    key = ".".join(parts)
    message = details["msg"].removeprefix("Value error, ")
    if details["type"].startswith("missing"):
        if isinstance(details["loc"][-1], int):
            return f"{key}: missing, found only {details['input']!r}"
        return f"{key}: missing; copy its line from this repository's params.yaml"
    if details["type"].startswith("unexpected"):
        return f"{key}: unknown key{_suggestion(parts[-1], _keys(Params, parts[:-1]))}"
    return f"{key}: {message[0].lower()}{message[1:]}, found {details['input']!r}" if key else message


def _keys(section: Any, path: list[str]) -> list[str]:
    """Keys that are known in the section at `path`."""
    if get_origin(section) is dict:  # whose keys are names of databases
        return _keys(get_args(section)[1], path[1:])
    fields = section.__pydantic_fields__
    if not path:
        return [field.alias or name for name, field in fields.items()]
    return _keys(fields[path[0]].annotation, path[1:])


def _suggestion(value: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(value, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
