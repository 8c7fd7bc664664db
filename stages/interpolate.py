"""Interpolate every clip to F frames between onset and offset."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import clipstore, paths, video
from pipeline import params as parameters
from pipeline.outputs import staged
from stages.command import progress, stage


@stage
def main() -> None:
    """Linear interpolation in time (section 4.1), one clip in memory at a time."""
    params = parameters.load(paths.PARAMS)
    clips = pd.read_csv(paths.clips(params.dataset), dtype={"clip": str, "frames": str})
    bar = progress(params, "interpolate", "clip", len(clips))

    def interpolated(clip: Any) -> tuple[str, np.ndarray]:
        recording = video.Recording(Path(params.raw) / clip.frames, clip.onset, clip.offset)
        return clip.clip, video.interpolate(recording, params.interpolation.frames)

    target = paths.interpolated(params.dataset)
    with staged(paths.partial("interpolate", params.dataset), target) as [path]:
        clipstore.write_arrays(path, map(interpolated, bar(clips.itertuples())))


if __name__ == "__main__":
    main()
