"""Estimate the optical flow between adjacent frames of every clip."""

from pathlib import Path

import numpy as np

from pipeline import clipstore, flow, paths
from pipeline import params as parameters
from pipeline.outputs import staged
from stages.command import progress, stage


@stage
def main() -> None:
    """Flow in pixels per frame, kept in half precision: a motion of 1 px is rounded by at most 0.0005 px."""
    params = parameters.load(paths.PARAMS)
    estimator = flow.estimator(params.flow.method, Path(params.flow.weights), params.runtime.device)
    target = paths.flow(params.dataset)
    with (
        clipstore.reading(paths.resized(params.dataset)) as source,
        staged(paths.partial("extract_flow", params.dataset), target) as [path],
    ):
        clips = clipstore.clip_names(source)
        bar = progress(params, "extract_flow", "clip", len(clips))
        fields = (estimator(source["frames"][row]).astype(np.float16) for row in bar(range(len(clips))))
        clipstore.write_stack(path, "flow", clips, fields, estimator.settings)


if __name__ == "__main__":
    main()
