"""The clip list of the MEGC 2019 composite, which a study is compared with clip by clip.

See et al., MEGC 2019 - The Second Facial Micro-Expressions Grand Challenge, FG 2019, doi:10.1109/FG.2019.8756611.

The list belongs to licensed databases, so that megc2019.json has no clip of it: only the SHA-256 of each line
`database,subject,clip,label`, and how many clips each subject has. A clip that somebody has can be looked up; a clip
that nobody names can only be counted.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.databases.profiles import THREE
from pipeline.errors import InputError
from pipeline.storage.parts import prefix

if TYPE_CHECKING:  # params.yaml is checked with the names alone, in stages that read no table
    import pandas as pd

NAME = "megc2019"
"""Name of the dataset whose clips must be those of the list."""

DATABASES = ("casme2", "samm", "smic")
"""The databases that it is made of."""

FILE = Path(__file__).with_name("megc2019.json")

_CAUSES = {
    "casme2": (
        "CASME II: another annotation than CASME2-coding-20140508; one with 246 rows is in circulation that calls "
        "other clips surprise"
    ),
    "samm": "SAMM: another annotation than SAMM_Micro_FACS_Codes_v2, or rows that were taken out of it",
    "smic": "SMIC: an empty folder, as s18_sur_03 is in cropped releases; the raw release has its frames",
}


@dataclass(frozen=True)
class OfficialList:
    """Which clips are in the composite, as far as hashes tell."""

    lines: frozenset[str]
    """SHA-256 of every line, in hex."""
    clips: Mapping[str, Mapping[str, int]]
    """Number of clips by database and subject."""

    def label(self, database: str, subject: str, clip: str) -> str | None:
        """Class of a clip in the composite, None for a clip that is not in it.

        Parameters
        ----------
        database, subject
            `samm`, `006`.
        clip
            `006_1_2`, or its id in the database, `006/006_1_2`.
        """
        name = clip.rsplit("/", 1)[-1]
        for number, label in enumerate(THREE):
            line = f"{database},{subject},{name},{number}\n"
            if hashlib.sha256(line.encode()).hexdigest() in self.lines:
                return label
        return None

    def counts(self, database: str) -> tuple[int, int]:
        """Number of clips and of subjects of a database."""
        subjects = self.clips[database]
        return sum(subjects.values()), len(subjects)


@dataclass(frozen=True)
class Differences:
    """How the clips of a study differ from the list."""

    named: Mapping[str, str]
    """What differs, by the clip's name in the study (`casme2-sub03/EP01_2`)."""
    unnamed: Mapping[tuple[str, str], int]
    """Number of clips that are missing and that no table here names, by database and subject."""

    def __bool__(self) -> bool:
        return bool(self.named or self.unnamed)

    def sentences(self) -> list[str]:
        """One for each clip, and one for each subject whose missing clips have no name here."""
        found = [f"{clip}: {what}" for clip, what in sorted(self.named.items())]
        for (database, subject), count in sorted(self.unnamed.items()):
            found.append(f"{database}, {subject}: {count} clip{'s' * (count > 1)} missing that no table here names")
        return found

    def causes(self) -> list[str]:
        """What is likely behind them, one sentence for each database that differs."""
        databases = {clip.split("-", 1)[0] for clip in self.named} | {database for database, _ in self.unnamed}
        return [_CAUSES[database] for database in DATABASES if database in databases]


def official(file: Path = FILE) -> OfficialList:
    """The list as it is kept in a file like megc2019.json."""
    document = json.loads(file.read_text(encoding="utf-8"))
    return OfficialList(frozenset(document["lines"]), document["clips"])


def differences(
    clips: "pd.DataFrame",
    left_out: Mapping[str, str],
    listed: OfficialList,
    candidates: Iterable[str] = (),
) -> Differences:
    """Compare the clips of a composite with the list.

    Parameters
    ----------
    clips
        Columns `clip,subject,label,database`, as in the clips.csv of a composite: names with their prefix.
    left_out
        Label of every recording that the study does not use, by its name in the study.
    listed
        The official list.
    candidates
        More names of clips that the study may lack, such as those that were excluded.
    """
    named: dict[str, str] = {}
    seen = Counter[tuple[str, str]]()
    for clip, label in zip(clips["clip"], clips["label"], strict=True):
        database, subject, name = _split(clip)
        expected = listed.label(database, subject, name)
        if expected is None:
            named[clip] = f"{label} here, not in the official list"
            continue
        seen[database, subject] += 1
        if expected != label:
            named[clip] = f"{label} here, {expected} in the official list"
    missing = {clip: f"left out here as {label}" for clip, label in left_out.items()}
    missing |= {clip: "not among the recordings here" for clip in candidates if clip not in missing}
    used = set(clips["clip"])
    for clip, reason in missing.items():
        database, subject, name = _split(clip)
        expected = None if clip in used else listed.label(database, subject, name)
        if expected is not None:
            named[clip] = f"{reason}, {expected} in the official list"
            seen[database, subject] += 1
    unnamed = {
        (database, subject): count - seen[database, subject]
        for database, subjects in listed.clips.items()
        for subject, count in subjects.items()
        if count > seen[database, subject]
    }
    return Differences(named, unnamed)


def study_differences(
    clips: "pd.DataFrame",
    recordings: Mapping[str, "pd.DataFrame"],
    excluded: Mapping[str, Sequence[str]],
    accepted: Sequence[str],
    listed: OfficialList,
) -> Differences:
    """The differences of a study, with all that its own tables and settings know of clips that it lacks.

    Parameters
    ----------
    clips
        As in `differences`.
    recordings
        The recordings of each database, whatever their label: columns `clip,label`.
    excluded
        The entries of `exclude` of each database.
    accepted
        The clips that the user accepts, by their names in the study.
    listed
        The official list.
    """
    used = set(clips["clip"])
    left_out = {
        before + clip: label
        for database, table in recordings.items()
        for before in [prefix(database, several=True)]
        for clip, label in zip(table["clip"], table["label"], strict=True)
        if before + clip not in used
    }
    taken_out = [prefix(database, several=True) + entry for database, entries in excluded.items() for entry in entries]
    return differences(clips, left_out, listed, [*taken_out, *accepted])


def check(found: Differences, accepted: Sequence[str]) -> None:
    """Compare the differences with those that the user accepts.

    Raises
    ------
    InputError
        A clip differs that is not accepted, or one is accepted that does not differ: all of them are named.
    """
    idle = [clip for clip in accepted if clip not in found.named]
    open_clips = {clip: what for clip, what in found.named.items() if clip not in accepted}
    unsettled = Differences(open_clips, found.unnamed)
    if not unsettled and not idle:
        return
    faults = unsettled.sentences() + [f"{clip}: accepted, but it does not differ" for clip in sorted(idle)]
    advice = [f"Likely: {cause}." for cause in unsettled.causes()]
    if idle:
        advice.append("Take out of `accepted` what does not differ.")
    if open_clips:
        options = " ".join(f"--accept {clip}" for clip in sorted(open_clips))
        advice.append(f"Mend the copies, or accept these clips by name, which the report then says: {options}")
    if found.unnamed:
        advice.append("A missing clip that you know can be accepted, too: --accept smic-s18/s18_sur_03")
    raise InputError(
        f"{NAME}: expected the official clips, found {len(faults)} difference{'s' * (len(faults) > 1)}:\n"
        + "\n".join(f"  {fault}" for fault in faults)
        + "".join(f"\n{sentence}" for sentence in advice)
    )


def _split(clip: str) -> tuple[str, str, str]:
    """Database, subject and name of `casme2-sub01/EP02_01f`; what has another form is in no list."""
    database, _, rest = clip.partition("-")
    subject, _, name = rest.rpartition("/")
    return database, subject, name
