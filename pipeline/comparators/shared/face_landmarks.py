"""Landmarks of the face in the first frame of a clip, by a model that the user brings, and the regions between them.

The model is `face_landmark.tflite` of MediaPipe (Apache-2.0; Kartynnik, Ablavatski, Grishchenko, Grundmann 2019,
arXiv:1907.06724), which OpenCV reads and runs. It sees 192 x 192 pixels and gives 468 points and a logit of how surely
there is a face. Only the first frame is looked at: from frame to frame the points tremble by as much as a
micro-expression moves.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.comparators.shared import facial_regions
from pipeline.comparators.shared.facial_regions import POINTS, NoFace
from pipeline.errors import InputError
from pipeline.storage.digests import sha256

SIZE = 192
"""Side of the picture that the model sees, pixels."""
LEAST_PRESENCE = 0.0
"""Logit from which on there is a face: as likely as not. Faces have 20 and more, a grey picture has -12."""

HELP = """
To bring the model:
  1. download the wheel of mediapipe==0.10.14 and unpack from it, as from any zip file,
     mediapipe/modules/face_landmark/face_landmark.tflite; docs/landmarks.md has the two lines
  2. name the file in params.yaml: comparators.landmarks
Without it: set comparators.landmarks: weights/none, and the regions are a grid."""


Network = Callable[[np.ndarray], Sequence[np.ndarray]]
"""float32 (1, 3, 192, 192) RGB from 0 to 1 -> its outputs, in any order: 1404 values of the points, the logit."""


class LandmarkModel:
    """Landmarks of faces by a network with 468 points and a logit of presence.

    Parameters
    ----------
    network
        What OpenCV runs.
    sha256
        Of the file that it comes from.
    """

    def __init__(self, network: Network, sha256: str) -> None:
        self._network = network
        self.sha256 = sha256

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Landmarks of the face in a picture.

        Parameters
        ----------
        frame : uint8 (H, W, 3)
            RGB, a face that fills most of it.

        Returns
        -------
        float64 (468, 2), x to the right and y down, pixels from the centre of the upper left one.

        Raises
        ------
        NoFace
            The network sees none.
        """
        shown = cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA)  # a copy where it has that size
        outputs = {output.size: output.ravel() for output in self._network(cv2.dnn.blobFromImage(shown, 1 / 255))}
        presence = float(outputs[1][0])
        if not presence >= LEAST_PRESENCE:  # nor if it is NaN
            raise NoFace(f"no face in its first frame (presence {presence:.1f}, at least {LEAST_PRESENCE:.1f} needed)")
        points = outputs[3 * POINTS].reshape(POINTS, 3)[:, :2].astype(np.float64)
        scale = np.array([frame.shape[1], frame.shape[0]]) / SIZE
        return np.asarray((points + 0.5) * scale - 0.5)


def model_of(path: Path) -> LandmarkModel | None:
    """The model in a file; None for an empty one, as `weights/none` is, which asks for no landmarks.

    Raises
    ------
    InputError
        There is no such file, or something else is in it.
    """
    if not path.is_file():
        raise _refusal(path, "it is a folder" if path.is_dir() else "there is no such file")
    if path.stat().st_size == 0:
        return None
    try:
        network = _network(path)
        found = sorted(output.size for output in network(np.zeros((1, 3, SIZE, SIZE), np.float32)))
    except cv2.error as error:
        raise _refusal(path, f"OpenCV reads no network from its {path.stat().st_size:,} bytes") from error
    if found != [1, 3 * POINTS]:
        sizes = " and ".join(map(str, found))
        raise _refusal(path, f"its network gives {sizes} values for a picture, not 1 and {3 * POINTS}")
    return LandmarkModel(network, sha256(path))


def _network(path: Path) -> Network:
    net = cv2.dnn.readNetFromTFLite(str(path))
    names = net.getUnconnectedOutLayersNames()

    def run(picture: np.ndarray) -> Sequence[np.ndarray]:
        net.setInput(picture)
        return [np.asarray(output) for output in net.forward(names)]

    return run


def regions_of(frames: np.ndarray, model: LandmarkModel) -> np.ndarray:
    """The 36 facial regions of a clip, from its first frame.

    Parameters
    ----------
    frames : uint8 (F, H, W, 3)
        RGB.
    model
        From `model_of`.

    Returns
    -------
    int64 (H, W): 0 … 35, -1 outside of all; what `comparators.describe` takes as `regions`.

    Raises
    ------
    NoFace
        There is no face in it, or not all of one.
    """
    height, width = frames.shape[1:3]
    return facial_regions.regions(model(frames[0]), height, width)


def regions_by_clip(clips: Iterable[tuple[str, np.ndarray]], model: LandmarkModel) -> dict[str, np.ndarray]:
    """The regions of every clip by its name: `regions_of` for a whole database, read one clip at a time.

    Raises
    ------
    InputError
        Clips have no face in their first frame; all of them are named.
    """
    found: dict[str, np.ndarray] = {}
    problems = []
    for clip, frames in clips:
        try:
            found[clip] = regions_of(frames, model)
        except NoFace as reason:
            problems.append(f"{clip}: {reason}")
    if problems:
        raise InputError(
            f"comparators.landmarks: expected a face in every clip; {len(problems)} are not right:\n  "
            + "\n  ".join(problems)
            + "\nIn params.yaml, list these clips under `exclude`, say `face: crop` where frames show more than faces, "
            "or set comparators.landmarks: weights/none, and the regions are a grid."
        )
    return found


def _refusal(path: Path, found: str) -> InputError:
    return InputError(f"The landmark model {path} cannot be used: {found}.\n{HELP}")
