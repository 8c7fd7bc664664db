"""Frame files as recordings come: numbered image files in one folder per clip."""

import re
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_LAST_DIGITS = re.compile(r"(\d+)(?!.*\d)")
# How far from its end a complete file may carry its end marker: some cameras pad or sign their files.
_TAIL = 4096
_HEAD = 32
_PNG_DEPTH = 24  # where a PNG says how many bits a channel has
_BMP_HEADER = 14  # bytes, before what describes the image


def number_of(name: str) -> int | None:
    """Frame number in a file name: the last run of digits in its stem, or None without one.

    >>> number_of("reg_EP01_5-113.jpg")
    113
    """
    match = _LAST_DIGITS.search(Path(name).stem)
    return int(match.group(1)) if match else None


def numbered(folder: Path) -> dict[int, Path]:
    """Frame files of a folder by frame number, in ascending order of the number.

    Names are not zero-padded in the official releases, so the order of the names is not the order in time:
    `reg_img99.jpg` comes before `reg_img100.jpg`. Files that are no images are passed over.

    Raises
    ------
    InputError
        An image has no number, or two have the same.
    """
    frames: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        number = number_of(path.name)
        if number is None:
            raise InputError(f"{path}: expected a frame number in the file name, found none")
        if number in frames:
            raise InputError(f"{folder}: two files are frame {number}: {frames[number].name} and {path.name}")
        frames[number] = path
    return dict(sorted(frames.items()))


def defect(path: Path) -> str | None:
    """Why a frame file cannot be a complete image, or None.

    Looks at the first and last bytes only, so that a whole dataset is checked in seconds. A decoder is no help here:
    OpenCV fills what a truncated JPEG lacks with grey and says nothing.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if size == 0:
        return "is empty"
    if head.startswith(b"\xff\xd8\xff"):
        return None if b"\xff\xd9" in tail else "is a truncated JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        if b"IEND" not in tail:
            return "is a truncated PNG"
        # OpenCV would keep the upper 8 bits, and of the 12 of a camera no more than 4 values in 100.
        return "has 16 bits per channel; convert it to 8" if head[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10" else None
    if head.startswith(b"BM"):
        declared = int.from_bytes(head[2:6], "little")  # 0 in files of some writers
        return None if size >= max(declared, _BMP_HEADER) else "is a truncated BMP"
    return "is not a JPEG, PNG or BMP image"


def read(path: Path) -> np.ndarray:
    """Read a frame: uint8 (H, W, 3) RGB; a grey image gives three equal channels.

    Raises
    ------
    InputError
        The file cannot be read, is truncated, or is no image.
    """
    reason = defect(path)
    if reason is None:
        # Bytes, not the path, go to OpenCV: it cannot open every non-ASCII path.
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if image is not None:
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        reason = "cannot be decoded"
    raise InputError(f"{path} {reason}. Copy the file again from the dataset, or list its clip under `exclude`.")
