"""Estimate the optical flow from the onset to the apex of every clip."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from pipeline import paths, preparation
from pipeline.flow import estimators, extraction
from pipeline.flow.estimators import FlowEstimator
from pipeline.frames import face_crop, frame_files, head_motion, resampling
from pipeline.frames.face_crop import Box
from pipeline.frames.recording import Recording
from pipeline.params import Params, load_params
from pipeline.storage import apexes, clip_store, n_missing, resume, tables
from pipeline.storage.apexes import Apex
from pipeline.storage.clip_rows import ClipRow, clip_rows
from pipeline.storage.outputs import staged
from stages.command import progress, stage

_CODE = (preparation, head_motion, resampling, face_crop)


@stage
@click.argument("database")
def main(database: str) -> None:
    """Flow from the onset to the apex in DATABASE, as filmed, less the head's. An interrupted run goes on.

    A clip whose annotation has no apex gets one by the setting `apex`. With `annotated` its apex stays unknown, and its
    flow ends at the middle frame, so that it can be predicted; no method learns from it.
    """
    params = load_params(paths.PARAMS)
    settings = params.databases[database]
    raw = Path(settings.raw)
    rows = tables.read(paths.recordings(database), columns=ClipRow._fields)
    clips, gaps = list(clip_rows(rows)), n_missing.counts(rows)

    def recording(clip: ClipRow, box: Box | None = None) -> Recording:
        return Recording(raw / clip.frames, clip.onset, clip.offset, box, gaps=clip.clip in gaps)

    boxes: dict[str, Box] = {}
    if settings.face == "crop":
        bar = progress(params, "faces", "clip", len(clips))
        onsets = ((clip.clip, recording(clip)[0]) for clip in bar(clips))
        # `interpolate` has said what is to be noted about faces.
        boxes = face_crop.boxes_for(onsets, settings.face_boxes, paths.faceless(database))
    estimator = estimators.estimator(
        params.flow.method, Path(params.flow.weights), params.runtime.device, params.flow.tf32
    )
    targets = paths.key_flow(database), paths.apex(database)
    with (
        resume.resumable(paths.resume("key_flow", database), _key(params, raw, clips, boxes, estimator)) as pieces,
        staged(paths.partial("key_flow", database), *targets) as [fields, table],
    ):
        for damaged in pieces.damaged:
            click.echo(f"Warning: {damaged} is not what was written to it and is not used", err=True)
        done = [2 * row + 1 in pieces.finished for row in range(len(clips))]
        if any(done):
            click.echo(f"key_flow: going on after {sum(done)} of {len(clips)} clips")
        missing = [row for row in range(len(clips)) if not done[row]]
        for row in progress(params, "key_flow", "clip", len(clips))(missing):
            clip = clips[row]
            filmed = recording(clip, boxes.get(clip.clip))
            apex = annotated_apex(clip)
            if apex is None and params.apex == "estimated":
                apex = clip.onset + preparation.estimated_apex(
                    filmed, params.resize.size, params.head_motion, estimator, filmed.times[1:]
                )
            elif apex is None:
                apex = middle(clip, filmed.times)
            pair = preparation.key_frames(filmed, (0, apex - clip.onset), params.resize.size)
            pieces.save(2 * row, np.array(apex))
            pieces.save(2 * row + 1, preparation.key_flow(pair, params.head_motion, estimator)[0])
        found = [_apex(clip, int(pieces.load(2 * row)), params.apex) for row, clip in enumerate(clips)]
        names = [clip.clip for clip in clips]
        flow = (pieces.load(2 * row + 1) for row in range(len(clips)))
        attributes = estimator.settings | {"head_motion": params.head_motion}
        clip_store.write_stack(fields, "flow", names, flow, attributes)
        apexes.table(zip(names, found, strict=True)).to_csv(table, index=False)
    _say(database, clips, found)


def annotated_apex(clip: ClipRow) -> int | None:
    """Return the annotated apex of a clip; None where it is missing or not after the onset and up to the offset."""
    return clip.apex if clip.apex is not None and clip.onset < clip.apex <= clip.offset else None


def middle(clip: ClipRow, times: Sequence[int]) -> int:
    """Return the frame nearest to the middle of a clip, among the `times` that exist; the later one of two.

    It is never the onset.
    """
    return clip.onset + min(times[1:], key=lambda time: (abs(2 * time - (clip.offset - clip.onset)), -time))


def _apex(clip: ClipRow, used: int, setting: str) -> Apex:
    """What counts as the apex of a clip whose flow ends at the frame `used`."""
    if annotated_apex(clip) is not None:
        return Apex(used, "annotated")
    return Apex(None, "") if setting == "annotated" else Apex(used, setting)


def _key(params: Params, raw: Path, clips: list[ClipRow], boxes: dict[str, Box], estimator: FlowEstimator) -> str:
    """Key of everything that the flow of the clips depends on, for what an interrupted run has finished.

    The files of the frames count by their size and the time of their last change.
    """
    files = [path for clip in clips for path in frame_files.numbered(raw / clip.frames).values()]
    facts = {
        "clips": [clip._replace(label="", subject="") for clip in clips],
        "files": [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files],
        "boxes": boxes,
        "apex": params.apex,
        "head_motion": params.head_motion,
        "size": params.resize.size,
        "settings": estimator.settings,
        "arithmetic": estimator.arithmetic,
        "versions": [np.__version__, cv2.__version__],
    }
    return resume.key(
        facts, [*(Path(str(part.__file__)) for part in _CODE), *extraction.code(estimator), Path(__file__)]
    )


def _say(database: str, clips: list[ClipRow], found: list[Apex]) -> None:
    """Say how the apexes were found, and name the clips whose annotated apex could not be used."""
    refused = [clip for clip in clips if clip.apex is not None and annotated_apex(clip) is None]
    if refused:
        listed = ", ".join(f"{clip.clip} ({clip.apex} in {clip.onset}-{clip.offset})" for clip in refused)
        click.echo(
            f"{database}: the annotated apex of {len(refused)} clips is their onset or outside of the clip, and counts "
            f"as unknown: {listed}"
        )
    count = Counter(apex.source or "unknown" for apex in found)
    click.echo(f"{database}: apex of {len(clips)} clips: " + ", ".join(f"{n} {source}" for source, n in count.items()))


if __name__ == "__main__":
    main()
