"""Estimate the optical flow between adjacent frames of every clip."""

from contextlib import closing
from pathlib import Path

import click

from pipeline import paths, preparation
from pipeline.device import resolve_device
from pipeline.flow import estimators, extraction
from pipeline.learning.compiler import check_compiler
from pipeline.params import load_params
from pipeline.storage import clip_store, resume
from pipeline.storage.outputs import staged
from stages.command import counter, stage


@stage
@click.argument("database")
def main(database: str) -> None:
    """Flow of DATABASE in pixels per frame, less the head's. A run that was interrupted goes on where it ended."""
    params = load_params(paths.PARAMS)
    if params.train.compile:
        check_compiler(resolve_device(params.runtime.device))  # where only the flow is out of date, not after it
    estimator = estimators.estimator(
        params.flow.method, Path(params.flow.weights), params.runtime.device, params.flow.tf32
    )
    if "weights_sha256" in estimator.settings:
        click.echo(f"extract_flow: weights {params.flow.weights}, SHA-256 {estimator.settings['weights_sha256']}")
    resized = paths.resized(database)
    with clip_store.reading(resized) as source, clip_store.reading(paths.head_motion(database)) as motion:
        frames, clips = source["frames"], clip_store.clip_names(source)
        clips_at_once = estimator.clips_at_once(frames.shape[1:])
        key = extraction.key(resized, estimator, clips_at_once)
        with (
            resume.resumable(paths.resume("extract_flow", database), key) as pieces,
            staged(paths.partial("extract_flow", database), paths.flow(database)) as [path],
        ):
            if pieces.stale:
                click.echo("extract_flow: an interrupted run had other frames, settings or code: it is not used")
            for damaged in pieces.damaged:
                click.echo(f"Warning: {damaged} is not what was written to it and is not used", err=True)
            done = extraction.pairs_kept(frames, clips_at_once, pieces)
            total = len(clips) * (frames.shape[1] - 1)
            if done:
                click.echo(f"extract_flow: going on after {done} of {total} pairs of frames")
            with (
                counter(params, "extract_flow", "pair", total, done) as pairs,
                closing(extraction.extract(frames, estimator, clips_at_once, pieces, pairs.update)) as fields,
            ):
                fit = str(motion["head_motion"].attrs["fit"])
                still = (
                    preparation.without_head(field, clip_store.values(motion, "head_motion", row), fit)
                    for row, field in enumerate(fields)
                )
                clip_store.write_stack(path, "flow", clips, still, estimator.settings | {"head_motion": fit})


if __name__ == "__main__":
    main()
