"""How the owners of the databases lay them out, as the generator writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Labels and names of one dataset.

    The templates know `subject`, `name`, `label`, `onset`, `number`, and `width`: the fewest digits of a
    subject's frame numbers.
    """

    shares: Mapping[str, float]
    """Share of the clips by label; about those of the real dataset."""
    name: str
    """Template of a clip's name from `episode` and `take`, from `tag` and `take`, or from `letter`."""
    suffixes: tuple[str, ...]
    """What names may end with."""
    tags: Mapping[str, str]
    """What a class is called in names; empty where names do not tell."""
    clip: str
    """Id of a clip, as the reader gives it."""
    frame: str
    """File of a frame."""
    annotation: str
    """Annotation spreadsheet; empty where there is none."""
    columns: tuple[tuple[str | None, str | None], ...]
    """Header and field of its columns, None leaves it blank: a template's words, `apex`, `offset`, `units`,
    `tag`, `n_frames`; as text `person` and `file`, subject and name of the clip's id, and `Label`, capitalised;
    `is:` and a label, 1 in rows with this label and 0 in others."""
    prose: int = 0
    """Rows of prose above the header of the annotation."""
    grey: bool = False
    """Frames have one channel."""
    sheet: str = ""
    """Name of the sheet of the annotation; empty where it has no name of its own."""
    as_text: bool = False
    """Every cell of the annotation is text, numbers too."""
    first: int | None = None
    """Number of every clip's first frame; None where the frames are counted through a video."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels, in the order of the network's outputs."""
        return tuple(self.shares)


_BLANK = (None, None)

LAYOUTS = {
    "casme": Layout(
        shares={"disgust": 0.26, "repression": 0.22, "surprise": 0.12, "tense": 0.40},
        name="EP{episode:02d}_{take}",
        suffixes=("",),
        tags={},
        clip="sub{subject:02d}/{name}-{onset}",
        frame="Cropped/sub{subject:02d}/{name}/reg_{name}-{number}.jpg",
        annotation="casme.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "name"),
            _BLANK,
            ("OnsetF", "onset"),
            ("ApexF1", "apex"),
            ("ApexF2", None),
            ("OffsetF", "offset"),
            _BLANK,
            ("AU", "units"),
            ("Emotion", "label"),
        ),
    ),
    "casme2": Layout(
        shares={"disgust": 0.34, "happiness": 0.25, "repression": 0.23, "surprise": 0.18},
        name="EP{episode:02d}_{take:02d}",
        suffixes=("", "f"),
        tags={},
        clip="sub{subject:02d}/{name}",
        frame="Cropped/sub{subject:02d}/{name}/reg_img{number}.jpg",
        annotation="CASME2-coding-20140508.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "name"),
            _BLANK,
            ("OnsetFrame", "onset"),
            ("ApexFrame", "apex"),
            ("OffsetFrame", "offset"),
            _BLANK,
            ("Action Units", "units"),
            ("Estimated Emotion", "label"),
        ),
    ),
    "casme3": Layout(
        shares={
            "anger": 0.08,
            "disgust": 0.29,
            "fear": 0.10,
            "happy": 0.06,
            "others": 0.18,
            "sad": 0.07,
            "surprise": 0.22,
        },
        name="{letter}",
        suffixes=("",),
        tags={},
        clip="spNO.{subject}/{name}-{onset}",
        frame="part_A/spNO.{subject}/{name}/color/{number}.jpg",
        annotation="part_A/annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
        columns=(
            ("Subject", "person"),
            ("Filename", "name"),
            ("Onset", "onset"),
            ("Apex", "apex"),
            ("Offset", "offset"),
            ("AU", "units"),
            ("Objective class", None),
            ("emotion", "label"),
        ),
        sheet="label",
        as_text=True,
    ),
    "fourdme": Layout(
        shares={"negative": 0.5, "positive": 0.15, "repression": 0.08, "surprise": 0.13, "others": 0.14},
        name="{episode:03d}_{take:02d}_1",
        suffixes=("",),
        tags={},
        clip="S{subject:02d}/{name}",
        frame="gray_micro/S{subject:02d}/{name}/{number}.jpg",
        annotation="4DME_Labelling_Micro_release v1.xlsx",
        columns=(
            ("sub_ID", "person"),
            ("fold_name", "file"),
            ("Emotion", "Label"),
            ("Onset", "onset"),
            ("Apex", "apex"),
            ("Offset", "offset"),
            ("AUs", "units"),
            ("Positive", "is:positive"),
            ("Negative", "is:negative"),
            ("Surprise", "is:surprise"),
            ("Repression", "is:repression"),
            ("Others", "is:others"),
            ("eye blink", "is:eye blink"),
        ),
        grey=True,
    ),
    "mmew": Layout(
        shares={
            "anger": 0.05,
            "disgust": 0.24,
            "fear": 0.06,
            "happiness": 0.12,
            "others": 0.2,
            "sadness": 0.05,
            "surprise": 0.28,
        },
        name="{tag}-{take:03d}",
        suffixes=("",),
        tags={
            "anger": "02",
            "disgust": "04",
            "fear": "05",
            "happiness": "01",
            "others": "07",
            "sadness": "06",
            "surprise": "03",
        },
        clip="S{subject:02d}/S{subject:02d}-{name}",
        frame="Micro_Expression/{label}/S{subject:02d}-{name}/{number}.jpg",
        annotation="MMEW_Micro_Exp.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "file"),
            ("OnsetFrame", "onset"),
            ("ApexFrame", "apex"),
            ("OffsetFrame", "offset"),
            ("Action Units", "units"),
            ("Estimated Emotion", "label"),
            ("remarks", None),
        ),
        first=1,
    ),
    "samm": Layout(
        shares={"anger": 0.42, "contempt": 0.09, "happiness": 0.19, "other": 0.19, "surprise": 0.11},
        name="{tag}_{take}",
        suffixes=("",),
        tags={"anger": "5", "contempt": "1", "happiness": "4", "other": "7", "surprise": "3"},
        clip="{subject:03d}/{subject:03d}_{name}",
        frame="SAMM_CROP/{subject:03d}/{subject:03d}_{name}/{subject:03d}_{number:0{width}d}.jpg",
        annotation="SAMM_Micro_FACS_Codes_v2.xlsx",
        columns=(
            ("Subject", "person"),
            ("Filename", "file"),
            ("Inducement Code", "tag"),
            ("Onset Frame", "onset"),
            ("Apex Frame", "apex"),
            ("Offset Frame", "offset"),
            ("Duration", "n_frames"),
            ("Micro", None),
            ("Action Units", "units"),
            ("Estimated Emotion", "Label"),
            ("Objective Classes", None),
            ("Notes", None),
        ),
        prose=13,
        grey=True,
    ),
    "smic": Layout(
        shares={"negative": 0.43, "positive": 0.31, "surprise": 0.26},
        name="{tag}_{take:02d}",
        suffixes=("",),
        tags={"negative": "ne", "positive": "po", "surprise": "sur"},
        clip="s{subject:02d}/s{subject:02d}_{name}",
        frame="HS/s{subject}/micro/{label}/s{subject}_{name}/reg_image{number:06d}.bmp",
        annotation="",
        columns=(),
    ),
}


def layout_of(root: Path) -> str:
    """Name of the layout in which the generator wrote a tree: by its annotation."""
    annotated = (name for name, layout in LAYOUTS.items() if layout.annotation and (root / layout.annotation).exists())
    return next(annotated, "smic")  # whose files say it all by their names
