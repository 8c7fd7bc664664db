"""What is in a copy of a database: its counts beside the paper's, and some frames to look at."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import cv2
import numpy as np
import pandas as pd

from pipeline.databases import megc2019
from pipeline.databases.profiles import THREE, Counts, Profile
from pipeline.databases.recordings import Reading
from pipeline.databases.task import StudyClips
from pipeline.frames import face_crop, frame_files
from pipeline.frames.contact_sheet import contact_sheet
from pipeline.params import Database
from pipeline.storage.clip_rows import ClipRow, clip_rows
from pipeline.storage.digests import sha256
from pipeline.storage.parts import prefix


def sizes_of(root: Path, recordings: pd.DataFrame) -> list[tuple[int, int]]:
    """Width and height of the onset frame of every recording, pixels."""
    shapes = (
        frame_files.read(frame_files.numbered(root / clip.frames)[clip.onset]).shape for clip in clip_rows(recordings)
    )
    return [(width, height) for height, width, _ in shapes]


def describe(profile: Profile, root: Path, reading: Reading, task: StudyClips, sizes: list[tuple[int, int]]) -> None:
    """Print what is in a copy, and what of it is studied."""
    click.echo(f"{profile.name} in {root}")
    for path in reading.annotations:
        click.echo(f"annotation {path}\n  SHA-256 {sha256(path)}")
    click.echo()
    clips = task.clips
    # No subject has a blank in its name, no label a capital letter: the sums are never taken for one of them.
    counts = pd.crosstab(clips["subject"], clips["label"], margins=True, margins_name="All clips")
    click.echo(counts.rename_axis(index=None, columns="clips").to_string())
    table = reading.table
    lengths = table["n_frames"]
    click.echo(f"\nframes per clip: {lengths.min()} to {lengths.max()}, median {lengths.median():g}")
    click.echo(
        "image size: "
        + ", ".join(f"{width} x {height} px ({n} clips)" for (width, height), n in Counter(sizes).most_common(5))
        + (", ..." if len(set(sizes)) > 5 else "")
    )
    if task.left_out:
        named = ", ".join(f"{count} {label}" for label, count in sorted(task.left_out.items()))
        click.echo(f"left out, because the task does not use them: {named}")
    dropped = sorted(set(profile.not_in_three) & set(reading.table["clip"])) if task.classes == THREE else []
    if dropped:
        click.echo(f"among them, because the composite does not use these clips: {', '.join(dropped)}")
    if reading.passed_over:
        click.echo("passed over, because they cannot be used and no task uses their label:")
        click.echo("\n".join(f"  {row}" for row in reading.passed_over))
    if reading.apex_unknown:
        click.echo("apex taken for unknown, because it is not between onset and offset:")
        click.echo("\n".join(f"  {clip}" for clip in reading.apex_unknown))
    if reading.mended:
        count = len(reading.mended)
        click.echo(f"missing frames, interpolated over, in {count} clip{'s' * (count > 1)}:")
        click.echo("\n".join(f"  {clip}" for clip in reading.mended))
    if reading.remarks:
        click.echo("to be looked at:")
        click.echo("\n".join(f"  {clip}" for clip in reading.remarks))
    several = table["clip"][table["label"].str.contains("+", regex=False)] if profile.several else ()
    if len(several):
        click.echo(f"of several labels, which no task uses: {', '.join(several)}")
    if profile.rows:
        click.echo(f"rows of the annotation: {reading.rows}; the release has {profile.rows}")
    for whose, published, classes in _references(profile, task):
        _compare(whose, published, classes, clips)
    click.echo()


def _references(profile: Profile, task: StudyClips) -> Iterator[tuple[str, Counts, int]]:
    """Whose numbers those of a copy can be compared with: a name, clips and subjects, and classes."""
    names = [name for name in profile.tasks if task.classes == profile.classes_of(name)]
    released = [profile.release[name] for name in names if name in profile.release]
    if "own" in names and profile.paper:
        yield "the paper", profile.paper, len(profile.classes)
    elif released:
        yield "the release", released[0], len(task.classes)
    elif task.classes == THREE and profile.name in megc2019.DATABASES:
        clips, subjects = megc2019.official().counts(profile.name)
        yield "MEGC 2019", Counts(clips=clips, subjects=subjects), len(THREE)


def _compare(whose: str, counts: Counts, classes: int, clips: pd.DataFrame) -> None:
    """Print the counts of a copy beside published ones."""
    found = {"clips": len(clips), "subjects": clips["subject"].nunique(), "classes": clips["label"].nunique()}
    expected = {"clips": counts.clips, "subjects": counts.subjects, "classes": classes}
    click.echo("           " + "".join(f"{word:>10}" for word in found))
    for title, numbers in (("this copy", found), (whose, expected)):
        click.echo(f"{title:<11}" + "".join(f"{number:>10}" for number in numbers.values()))
    differences = [
        f"{found[word]} {word} instead of {expected[word]}" for word in found if found[word] != expected[word]
    ]
    if differences:
        click.secho(
            f"WARNING: this copy is not what {whose} {'has' if whose == 'the release' else 'used'}: "
            f"{', '.join(differences)}. "
            "Its results are not comparable as they are; annotation releases differ.",
            fg="red",
            err=True,
        )


def write_contact_sheet(path: Path, task: StudyClips, databases: Mapping[str, Database]) -> None:
    """Draw onset, apex or middle, and offset of one clip per class and database, as PNG."""
    rows = []
    for label in task.classes:
        for name, database in databases.items():
            chosen = task.clips[(task.clips["label"] == label) & (task.clips["database"] == name)]
            if len(chosen):
                [clip] = clip_rows(chosen.iloc[[len(chosen) // 2]])
                box = database.face_boxes.get(clip.clip.removeprefix(prefix(name, len(databases) > 1)))
                rows.append((f"{label}: {clip.clip}", list(_moments(clip, database, box))))
    picture = contact_sheet(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())


def _moments(
    clip: ClipRow, database: Database, given: tuple[int, int, int, int] | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Onset, apex or middle, and offset of a clip, with the square around the face where it will be cropped."""
    files = frame_files.numbered(Path(database.raw) / clip.frames)
    middle = ("middle", (clip.onset + clip.offset) // 2) if clip.apex is None else ("apex", clip.apex)
    box, remark = None, ""
    if database.face == "crop":
        try:
            box = face_crop.box_for(frame_files.read(files[clip.onset]), given)
        except face_crop.NoBox:
            remark = " (no face found)"
    for title, number in (("onset", clip.onset), middle, ("offset", clip.offset)):
        frame = frame_files.read(files[number]).copy()
        if box:
            x, y, width, height = box
            cv2.rectangle(frame, (x, y), (x + width - 1, y + height - 1), (255, 0, 0), 2)
        yield f"{title} {number}{remark}", frame
