"""The recordings of a database as they were filmed, whole or cut to a square around the face."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.frames import face_crop
from pipeline.frames.face_crop import Box
from pipeline.frames.recording import Recording
from pipeline.storage.clip_rows import ClipRow


def recording(raw: Path, clip: ClipRow, box: Box | None = None) -> Recording:
    """Return the frames of a clip below the folder `raw`, cut to `box` if there is one."""
    return Recording(raw / clip.frames, clip.onset, clip.offset, box)


def squares(raw: Path, clips: Iterable[ClipRow], given: Mapping[str, Box], pictures: Path) -> dict[str, Box]:
    """Return the square around the face of each clip, found in its onset frame or given by hand.

    Parameters
    ----------
    raw
        Folder of the database.
    clips
        Its clips; consumed one at a time.
    given
        Squares by hand, by clip.
    pictures
        Folder for the onset frames in which no face was found.

    Raises
    ------
    InputError
        As `face_crop.boxes_for`, or an onset frame cannot be read.
    """
    return face_crop.boxes_for(((clip.clip, recording(raw, clip)[0]) for clip in clips), given, pictures)
