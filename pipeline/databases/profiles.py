"""What is known of each database before looking at a copy of it: labels, tasks, settings of the paper.

Data alone, apart from the readers: a change of a reader concerns nobody who only wants to know the classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipeline.databases.layouts import LAYOUTS

THREE = ("negative", "positive", "surprise")
"""Classes of the MEGC 2019 composite, in the order of its labels 0, 1, 2: See et al., doi:10.1109/FG.2019.8756611."""


@dataclass(frozen=True)
class StudySettings:
    """How a database is studied, key by key of params.yaml; the paper's, as far as they are the same for all of its."""

    epochs: int
    scales: tuple[float, ...] = (1.0,)
    horizontal_flip: bool = False
    lr: float = 1e-5
    weight_decay: float = 1e-4
    lambda_: float = 1e-8
    views: str = "all"
    flow: str = "flownet2"
    head_motion: str = "keep"


@dataclass(frozen=True)
class Counts:
    """How many clips and subjects there are in the classes of the profile."""

    clips: int
    subjects: int


@dataclass(frozen=True)
class Profile:
    """What is known of one database."""

    name: str
    tasks: Mapping[str, Mapping[str, str]]
    """Class of each label, by the task's name in params.yaml: `own`, `three` (of the MEGC 2019 composite), `six` or
    `seven`. A task leaves out the labels that it does not name; an empty `own` takes all that are found, as they
    are."""
    settings: StudySettings
    """What the paper uses for it, or what suits it."""
    left_out: tuple[str, ...] = ()
    """Labels that the database has and no task uses."""
    several: bool = False
    """A clip may have several labels, joined by `+`; no task uses such a clip."""
    not_in_three: tuple[str, ...] = ()
    """Clips that the composite leaves out although their label has a class in it."""
    cropped: bool = False
    """The release shows faces alone, which nothing in its names says."""
    paper: Counts | None = None
    """Numbers of the paper, for a database that is in it."""
    release: Mapping[str, Counts] = field(default_factory=dict)
    """Numbers of the owners' release by task, for a database that is not in the paper."""
    rows: int | None = None
    """Rows of the annotation in the owners' release, for a database that is not in the paper."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the database's own task, in the order of the network's outputs; empty: all that are found."""
        return self.classes_of("own")

    def classes_of(self, task: str) -> tuple[str, ...]:
        """Classes of a task that the database has, in the order of the network's outputs."""
        return THREE if task == "three" else tuple(dict.fromkeys(self.tasks[task].values()))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that the database may have; empty: any."""
        if not self.tasks["own"]:
            return ()
        return tuple(dict.fromkeys(label for task in self.tasks.values() for label in task)) + self.left_out

    def knows(self, label: str) -> bool:
        """Whether a clip of the database may have the label, or the labels joined by `+`."""
        return not self.labels or set(label.split("+") if self.several else [label]) <= set(self.labels)

    def in_a_task(self, label: str) -> bool:
        """Whether a task may use the label, so that a clip of it must not be missing; a misspelt one counts."""
        return not (label in self.left_out or (self.several and "+" in label and self.knows(label)))


def _alike(*labels: str) -> dict[str, str]:
    """A task whose classes are the labels."""
    return {label: label for label in labels}


# What most databases resemble.
_AS_CASME2 = StudySettings(epochs=30, scales=(0.9, 1.0, 1.1))

COMPOSITE_SETTINGS = _AS_CASME2
"""How a study of several databases is done; the paper has none."""

_CASME = Profile(
    name="casme",
    tasks={"own": _alike("disgust", "repression", "surprise", "tense")},
    left_out=("amusement", "contempt", "fear", "happiness", "others", "sadness"),
    settings=StudySettings(epochs=60, scales=(0.9, 1.0, 1.1)),
    paper=Counts(clips=171, subjects=19),
)

_CASME2 = Profile(
    name="casme2",
    tasks={
        "own": _alike("disgust", "happiness", "others", "repression", "surprise"),
        "three": {"disgust": "negative", "repression": "negative", "happiness": "positive", "surprise": "surprise"},
    },
    left_out=("fear", "sadness"),
    # Their apex is missing, or is the onset.
    not_in_three=("sub04/EP12_01f", "sub05/EP09_05f"),
    settings=_AS_CASME2,
    paper=Counts(clips=246, subjects=26),
)

_CASME3_NEGATIVE = dict.fromkeys(("anger", "disgust", "fear", "sad"), "negative")
_CASME3 = Profile(
    name="casme3",
    tasks={
        "own": {**_CASME3_NEGATIVE, "happy": "positive", "surprise": "surprise", "others": "others"},
        "seven": _alike("anger", "disgust", "fear", "happy", "others", "sad", "surprise"),
        "three": {**_CASME3_NEGATIVE, "happy": "positive", "surprise": "surprise"},
    },
    settings=_AS_CASME2,
    release={
        "own": Counts(clips=860, subjects=94),
        "seven": Counts(clips=860, subjects=94),
        "three": Counts(clips=699, subjects=88),
    },
    rows=860,
)

_FOURDME = Profile(
    name="fourdme",
    tasks={
        "own": _alike("negative", "positive", "repression", "surprise", "others"),
        "three": _alike(*THREE),
    },
    several=True,
    settings=_AS_CASME2,
    rows=267,
)

_MMEW_BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
_MMEW = Profile(
    name="mmew",
    tasks={
        "own": _alike("disgust", "happiness", "others", "surprise"),
        "six": _alike(*_MMEW_BASIC),
        "seven": _alike(*_MMEW_BASIC, "others"),
        "three": {
            **dict.fromkeys(("anger", "disgust", "fear", "sadness"), "negative"),
            "happiness": "positive",
            "surprise": "surprise",
        },
    },
    cropped=True,
    settings=_AS_CASME2,
    release={"seven": Counts(clips=300, subjects=30)},
    rows=300,
)

_SMIC = Profile(
    name="smic",
    tasks={"own": _alike(*THREE), "three": _alike(*THREE)},
    settings=StudySettings(epochs=100, horizontal_flip=True),
    paper=Counts(clips=164, subjects=16),
)

_SAMM = Profile(
    name="samm",
    tasks={
        "own": _alike("anger", "contempt", "happiness", "other", "surprise"),
        "three": {
            **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative"),
            "happiness": "positive",
            "surprise": "surprise",
        },
    },
    settings=_AS_CASME2,
    release={"own": Counts(clips=136, subjects=27)},
)

_SYNTHETIC = Profile(
    name="synthetic",
    tasks={"own": {}},  # those of its layout
    settings=StudySettings(
        epochs=40, scales=(0.9, 1.0, 1.1), lr=1e-3, views="random", flow="dis", head_motion="affine"
    ),
)

_TABLE = Profile(
    name="table",
    tasks={"own": {}, "three": _alike(*THREE)},
    settings=_AS_CASME2,
)

PROFILES = {
    profile.name: profile for profile in (_CASME, _CASME2, _CASME3, _FOURDME, _MMEW, _SAMM, _SMIC, _SYNTHETIC, _TABLE)
}


def profile_of(database: str, layout: str) -> Profile:
    """Profile of a database; the embedded one has the tasks of the `layout` in which it was written."""
    profile = PROFILES[database]
    if profile is not _SYNTHETIC:
        return profile
    # The generator gives clips no label that their layout's own task leaves out, and no clip without an apex.
    written = LAYOUTS[layout].classes
    tasks = {
        name: {label: named for label, named in task.items() if label in written}
        for name, task in PROFILES[layout].tasks.items()
    }
    return replace(profile, tasks=tasks)
