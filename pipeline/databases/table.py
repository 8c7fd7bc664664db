"""Any other dataset: folders of frames and one table with the columns of clips.csv (DFME, own recordings)."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.databases import annotation
from pipeline.databases.profiles import PROFILES, Profile
from pipeline.databases.recordings import Reading, Sample, tabulate
from pipeline.databases.tree import Tree, survey

FORM = annotation.Form(
    name=r"clips\.",
    columns={name: name for name in ("clip", "subject", "label", "onset", "offset", "frames")},
    optional={name: name for name in ("apex", "n_frames")},
)

# Ids and subjects become names of files and of stages.
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # as `subjects` in params.yaml may be
_CLIP = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")


def read(
    root: Path,
    exclude: Iterable[str] = (),
    profile: Profile = PROFILES["table"],
    annotated: Path | None = None,
    largest_gap: int | None = None,
) -> Reading:
    """Read a table of clips; its classes are the labels found.

    Columns `clip,subject,label,onset,offset,frames`, where `frames` is a folder relative to `root`; `apex` may be
    there or be empty, and `n_frames`, if there, must agree with onset and offset.

    Parameters
    ----------
    root
        Folder with the table and the frames.
    exclude
        Clip ids or `file:row` to leave out.
    profile
        Labels to accept; without classes, all.
    annotated
        The table, instead of looking for it.
    largest_gap
        Most consecutive frames that a clip may lack; None: no frame may be missing.

    Raises
    ------
    InputError
        There is no table, or more than one, or some rows cannot be used.
    """
    tree = survey(root)
    files = annotation.find(tree, FORM, annotated)
    return tabulate(_samples(files[0], tree), root, profile, exclude, files, largest_gap)


def _samples(file: Path, tree: Tree) -> Iterator[Sample]:
    rows = list(annotation.rows(file, FORM))
    # HDF5 takes ids for paths: a clip cannot lie inside another.
    folders = {parent.as_posix() for row in rows for parent in Path(row.text("clip")).parents}
    for row in rows:
        clip, subject = row.text("clip"), row.text("subject")
        onset, offset, length = row.number("onset"), row.number("offset"), row.text("n_frames")
        fault = ""
        if not _CLIP.fullmatch(clip) or clip in folders:
            fault = (
                "expected an id of letters, digits, `_`, `-`, `.`, with `/` for levels, and of no other clip's level"
            )
        elif not _SUBJECT.fullmatch(subject):
            fault = (
                "expected a subject of the characters A-Z, a-z, 0-9, `_`, `-`, `.`, with a letter or digit first; "
                f"found {subject!r}. Give this person such a name, as p01"
            )
        elif not row.text("frames"):
            fault = "expected a folder in the column frames, found none"
        elif length and onset is not None and offset is not None and row.number("n_frames") != offset - onset + 1:
            fault = f"n_frames is {length}, but {onset} to {offset} are {offset - onset + 1} frames"
        yield Sample(
            clip=clip or "?",
            subject=subject,
            label=row.text("label").lower(),
            onset=onset,
            apex=row.number("apex"),
            offset=offset,
            frames=tree.root / row.text("frames"),
            source=row.source,
            fault=fault,
        )
