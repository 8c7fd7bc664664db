"""Frame files as recordings come: numbered image files in one folder per clip."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from pipeline.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_LAST_DIGITS = re.compile(r"(\d+)(?!.*\d)")
_JPEG_START = b"\xff\xd8\xff"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_WITH_ALPHA = b"\x04", b"\x06"  # colour types
_BMP_HEADER = 54  # bytes, before the pixels
_EXIF_START = b"Exif\0\0"
_ORIENTATION = 0x0112  # EXIF's number of the tag
_TURNED = (5, 6, 7, 8)  # orientations by a quarter
_MOST_PIXELS = 2**26  # of a recording of a face; a header that says more is damaged


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


class Size(NamedTuple):
    """Of a picture as it is stored, in pixels."""

    width: int
    height: int


class Picture(NamedTuple):
    """What a file says of its picture."""

    width: int
    """Pixels of the picture as `read` gives it, turned."""
    height: int
    orientation: int
    """By which `read` turns it, EXIF's 1 (as it is) to 8."""


class Unusable(Exception):
    """Why a file is no whole picture."""


def check(path: Path) -> Picture:
    """Decode a file strictly, and give the size of its picture.

    OpenCV fills what a damaged JPEG lacks with grey, or with what comes out by chance, and says nothing; so every
    remark of libjpeg counts as a defect here, as do the checksums of a PNG and the length of a BMP.

    Raises
    ------
    Unusable
        It is no whole picture of 8 bits per channel, or some of its pixels are transparent: they would show colours
        that nobody is meant to see.
    """
    try:
        if path.exists() and not path.is_file():
            raise Unusable("is no file but a pipe or a device")  # which would be waited for
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from error
    if not content:
        raise Unusable("is empty")
    if content.startswith(_JPEG_START):
        size = _check_jpeg(content)
    elif content.startswith(_PNG_START):
        size = _check_png(content)
    elif content.startswith(b"BM"):
        size = _check_bmp(content)
    else:
        raise Unusable("is not a JPEG, PNG or BMP image")
    orientation = _orientation(content)
    width, height = reversed(size) if orientation in _TURNED else size
    return Picture(width, height, orientation)


def defect(path: Path) -> str | None:
    """Why a frame file is no whole picture, or None."""
    try:
        check(path)
    except Unusable as reason:
        return str(reason)
    return None


def orientation(path: Path) -> int:
    """Return the orientation by which `read` turns a picture, EXIF's 1 (as it is) to 8.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    return _orientation(path.read_bytes())


def _orientation(content: bytes) -> int:
    if content.startswith(_PNG_START):
        block = next((chunk for kind, chunk, _ in _chunks(content) if kind == b"eXIf"), b"")
    else:
        start = content.find(_EXIF_START) if content.startswith(_JPEG_START) else -1
        block = content[start : start + 2**16] if start >= 0 else b""
    if not block:
        return 1
    tags = Image.Exif()
    with warnings.catch_warnings(action="ignore"), suppress(SyntaxError, ValueError, struct.error):
        tags.load(block)  # Pillow may warn of or refuse what is no EXIF; OpenCV passes over it
    found: object = tags.get(_ORIENTATION)
    return found if isinstance(found, int) and found in range(1, 9) else 1


def _check_jpeg(content: bytes) -> Size:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        size = _plausible(width, height)
        # Grey, because colours need not be computed to see that all bits are there.
        simplejpeg.decode_jpeg(content, "CMYK" if colours in ("CMYK", "YCCK") else "GRAY", strict=True)
    except ValueError as error:
        # A file that ends within its header lacks the marker of its end, and libjpeg complains of something else.
        cut_off = "premature end of jpeg file" in str(error).lower() or b"\xff\xd9" not in content
        raise Unusable("is a truncated JPEG" if cut_off else f"is a damaged JPEG ({error})") from error
    return size


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, data and checksum of each chunk of a PNG; what is cut off is short."""
    place = len(_PNG_START)
    while place < len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4])
        yield content[place + 4 : place + 8], content[place + 8 : end], content[end : end + 4]
        place = end + 4


def _check_png(content: bytes) -> Size:
    data, size, transparent = zlib.decompressobj(), None, False
    for kind, chunk, checksum in _chunks(content):
        if len(checksum) < 4:
            raise Unusable("is a truncated PNG")
        if zlib.crc32(kind + chunk) != int.from_bytes(checksum):
            raise Unusable(f"is a damaged PNG (the checksum of {kind!r} is wrong)")
        if kind == b"IHDR":
            size = _plausible(int.from_bytes(chunk[:4]), int.from_bytes(chunk[4:8]))
            # OpenCV would keep the upper 8 bits, and of the 12 of a camera no more than 4 values in 100.
            if chunk[8:9] == b"\x10":
                raise Unusable("has 16 bits per channel; convert it to 8")
        transparent |= kind == b"tRNS" or (kind == b"IHDR" and chunk[9:10] in _PNG_WITH_ALPHA)
        if kind == b"IDAT":
            try:
                data.decompress(chunk)
            except zlib.error as error:
                raise Unusable(f"is a damaged PNG ({error})") from error
        if kind == b"IEND":
            break
    else:
        raise Unusable("is a truncated PNG")
    if size is None or not data.eof:
        raise Unusable("is a truncated PNG")
    if transparent and not _is_opaque(content):
        raise Unusable("has transparent pixels; lay the picture over a background and save it without transparency")
    return size


def _is_opaque(content: bytes) -> bool:
    with Image.open(io.BytesIO(content)) as image:  # OpenCV knows no transparent colour of a grey picture
        return image.convert("RGBA").getchannel("A").getextrema() == (255, 255)


def _check_bmp(content: bytes) -> Size:
    declared = int.from_bytes(content[2:6], "little")  # 0 in files of some writers
    if len(content) < max(declared, _BMP_HEADER):
        raise Unusable("is a truncated BMP")
    start = int.from_bytes(content[10:14], "little")
    width, height = (int.from_bytes(content[at : at + 4], "little", signed=True) for at in (18, 22))
    size = _plausible(width, abs(height))  # negative where the first row is the upper one
    bits, compression = int.from_bytes(content[28:30], "little"), int.from_bytes(content[30:34], "little")
    row = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and len(content) < start + row * size.height:
        raise Unusable("is a truncated BMP")
    return size


def _plausible(width: int, height: int) -> Size:
    if width < 1 or height < 1 or width * height > _MOST_PIXELS:
        raise Unusable(f"says that it has {width} x {height} px")
    return Size(width, height)


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
