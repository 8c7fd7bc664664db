"""The files of an official layout, as the owners of the datasets write them: frames and annotation spreadsheet."""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from openpyxl import Workbook

from pipeline.databases.layouts import Layout
from pipeline.synthetic.motion import Motion
from pipeline.synthetic.plan import PlannedClip

_JPEG_QUALITY = 96

# Zip archives cannot date back farther; any fixed date will do.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def frame_file(folder: Path, layout: Layout, clip: PlannedClip, number: int) -> Path:
    """Where a layout has frame `number` of a clip, in the tree at `folder`."""
    width = 3 + clip.subject % 3  # in SAMM it changes from one subject to the next
    return folder / layout.frame.format(
        subject=clip.subject, name=clip.name, label=clip.label, number=number, width=width
    )


def annotation_row(clip: PlannedClip, motion: Motion, layout: Layout) -> tuple[object, ...]:
    """What the annotation of a layout says of a clip, in the order of its columns."""
    values: dict[str | None, object] = {
        "subject": clip.subject,
        "name": clip.name,
        "label": clip.label,
        "onset": clip.onset,
        "apex": clip.onset + motion.apex,
        "offset": clip.onset + clip.n_frames - 1,
        "units": "+".join(map(str, motion.units)),
        "n_frames": clip.n_frames,
        "tag": layout.tags.get(clip.label),
        "person": clip.clip.split("/")[0],
        "file": clip.clip.split("/")[1],
        "Label": clip.label.capitalize(),
        None: None,
    }
    values |= {f"is:{label}": int(label == clip.label) for label in (*layout.classes, "eye blink")}
    cells = (values[field] for _, field in layout.columns)
    return tuple(str(cell) if layout.as_text and cell is not None else cell for cell in cells)


def write_annotation(path: Path, rows: Sequence[tuple[object, ...]], layout: Layout) -> None:
    """Write the annotation spreadsheet, without the time of writing that spreadsheets carry."""
    book = Workbook()
    sheet = book.active
    if layout.sheet:
        sheet.title = layout.sheet
    prose = [(f"Line {number} of what the owners say about their coding",) for number in range(1, layout.prose + 1)]
    for row in (*prose, tuple(header for header, _ in layout.columns), *rows):
        sheet.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = io.BytesIO()
    book.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"1980-01-01T00:00:00Z", content)
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture, uint8 (H, W, 3) BGR or (H, W) grey, in the format that `path` ends in."""
    # Bytes, not the path, come from OpenCV: it cannot open every non-ASCII path, and fails silently.
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    path.write_bytes(cv2.imencode(path.suffix, picture, quality)[1].tobytes())
