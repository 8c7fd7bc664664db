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
    classes: tuple[str, ...]
    """Labels of the database's own recognition task, in the order of the network's outputs; empty: all that are
    found."""
    settings: StudySettings
    """What the paper uses for it, or what suits it."""
    left_out: tuple[str, ...] = ()
    """Labels that the database has and its own task does not use."""
    three: Mapping[str, str] = field(default_factory=dict)
    """Class of the composite by label; labels that are not there have none."""
    not_in_three: tuple[str, ...] = ()
    """Clips that the composite leaves out although their label has a class in it."""
    paper: Counts | None = None
    """Numbers of the paper, for a database that is in it."""
    release: Counts | None = None
    """Numbers of the owners' release in these classes, for a database that is not in the paper."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that the database may have; empty: any."""
        return self.classes + self.left_out

    def in_a_task(self, label: str) -> bool:
        """Whether some task uses the label, so that a clip of it must not be missing."""
        return label in self.three or label not in self.left_out


# What most databases resemble.
_AS_CASME2 = StudySettings(epochs=30, scales=(0.9, 1.0, 1.1))

COMPOSITE_SETTINGS = _AS_CASME2
"""How a study of several databases is done; the paper has none."""

_CASME = Profile(
    name="casme",
    classes=("disgust", "repression", "surprise", "tense"),
    left_out=("amusement", "contempt", "fear", "happiness", "others", "sadness"),
    settings=StudySettings(epochs=60, scales=(0.9, 1.0, 1.1)),
    paper=Counts(clips=171, subjects=19),
)

_CASME2 = Profile(
    name="casme2",
    classes=("disgust", "happiness", "others", "repression", "surprise"),
    left_out=("fear", "sadness"),
    three={"disgust": "negative", "repression": "negative", "happiness": "positive", "surprise": "surprise"},
    # Their apex is missing, or is the onset.
    not_in_three=("sub04/EP12_01f", "sub05/EP09_05f"),
    settings=_AS_CASME2,
    paper=Counts(clips=246, subjects=26),
)

_SMIC = Profile(
    name="smic",
    classes=THREE,
    three={label: label for label in THREE},
    settings=StudySettings(epochs=100, horizontal_flip=True),
    paper=Counts(clips=164, subjects=16),
)

_SAMM = Profile(
    name="samm",
    classes=("anger", "contempt", "happiness", "other", "surprise"),
    left_out=("disgust", "fear", "sadness"),
    three={
        **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative"),
        "happiness": "positive",
        "surprise": "surprise",
    },
    settings=_AS_CASME2,
    release=Counts(clips=136, subjects=27),
)

_SYNTHETIC = Profile(
    name="synthetic",
    classes=(),  # those of its layout
    settings=StudySettings(
        epochs=40, scales=(0.9, 1.0, 1.1), lr=1e-3, views="random", flow="dis", head_motion="affine"
    ),
)

_TABLE = Profile(
    name="table",
    classes=(),
    three={label: label for label in THREE},
    settings=_AS_CASME2,
)

PROFILES = {profile.name: profile for profile in (_CASME, _CASME2, _SAMM, _SMIC, _SYNTHETIC, _TABLE)}


def profile_of(database: str, layout: str) -> Profile:
    """Profile of a database; the embedded one has the classes of the `layout` in which it was written."""
    profile = PROFILES[database]
    if profile is not _SYNTHETIC:
        return profile
    # The generator gives clips no label that their layout's own task leaves out, and no clip without an apex.
    return replace(profile, classes=LAYOUTS[layout].classes, three=PROFILES[layout].three)
