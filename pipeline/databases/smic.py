"""SMIC-HS: `HS/s1/micro/negative/s1_ne_01/reg_image000207.bmp`, without an annotation file.

Li et al., A Spontaneous Micro-expression Database: Inducement, Collection and Baseline, FG 2013,
doi:10.1109/FG.2013.6553717.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, Sample, tabulate
from pipeline.databases.tree import Tree, survey
from pipeline.errors import InputError
from pipeline.frames import frame_files

_SUBJECT = re.compile(r"s(\d+)$", re.IGNORECASE)
_CLIP = re.compile(r"s(\d+)(_.+)$", re.IGNORECASE)


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["smic"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read a SMIC tree, of which only the recordings at high speed (HS) count, raw or cropped.

    Label and subject come from the path; onset and offset are the first and the last frame, the apex is unknown.

    Parameters
    ----------
    root
        Folder of the dataset as its owners ship it.
    exclude
        Clip ids, or clip folders relative to `root`, to leave out.
    profile
        Labels to accept; another dataset in SMIC's layout brings its own.
    annotated
        Must be None.
    largest_gap
        Most consecutive frames that a clip may lack; None: no frame may be missing.

    Raises
    ------
    InputError
        There are no recordings, or more than one release of them, or some clips cannot be used.
    """
    if annotated is not None:
        raise InputError(f"annotation: expected none, SMIC has no annotation file; found {annotated}")
    tree = survey(root)
    return tabulate(_samples(tree), root, profile, exclude, largest_gap=largest_gap)


def _samples(tree: Tree) -> Iterator[Sample]:
    for recordings in _recordings(tree):
        for labelled in tree.children[recordings]:
            for folder in tree.children[labelled]:
                yield _sample(folder, tree.root)


def _recordings(tree: Tree) -> list[Path]:
    """The folders `micro` of all subjects; `non_micro` beside them is passed over."""
    found: dict[Path, list[Path]] = {}
    for folder in tree.walk():
        if folder.name.lower() == "micro" and _SUBJECT.match(folder.parent.name):
            found.setdefault(folder.parent.parent, []).append(folder)
    # Moving folders leaves empty ones behind.
    filled = {
        top: micros
        for top, micros in found.items()
        if any(tree.children[labelled] for micro in micros for labelled in tree.children[micro])
    }
    found = filled or found
    # The same subjects were also filmed at 25 frames per second (VIS) and in near infrared (NIR).
    chosen = [top for top in found if top.name.upper() == "HS"] or list(found)
    if len(chosen) != 1:
        names = ", ".join(map(str, chosen)) or "none"
        advice = ". Name one of them as the dataset's folder" if chosen else ""
        raise InputError(
            f"{tree.root}: expected one folder that holds s1/micro, s2/micro, ... (HS); found {names}{advice}"
        )
    return found[chosen[0]]


def _sample(folder: Path, root: Path) -> Sample:
    labelled = folder.parent
    subject = _padded(_SUBJECT, labelled.parent.parent.name)
    onset, offset, fault = None, None, ""
    try:
        numbers = list(frame_files.numbered(folder))
        if numbers:
            onset, offset = numbers[0], numbers[-1]
        else:
            fault = f"no frames in {folder}"
    except InputError as error:
        fault = str(error)
    return Sample(
        clip=f"{subject}/{_padded(_CLIP, folder.name)}",
        subject=subject,
        label=labelled.name.lower(),
        onset=onset,
        apex=None,
        offset=offset,
        frames=folder,
        source=folder.relative_to(root).as_posix(),
        fault=fault,
    )


def _padded(pattern: re.Pattern[str], name: str) -> str:
    """`s01` for `s1`, `s01_ne_01` for `s1_ne_01`; the official copies have both."""
    match = pattern.match(name)
    return f"s{int(match.group(1)):02d}{''.join(match.groups()[1:])}".lower() if match else name
