"""A face of few points, symmetrical about x = 96, whose regions can be told by hand.

`schematic_face.tflite` beside this file stands in for the landmark model: a network in the same format, with the same
input and outputs, that gives `points()` for every picture, and the presence 20 R - 5, where R is the mean of red from 0
to 1. It is the mean over the picture and two 1 x 1 convolutions of it. `two_values.tflite` is one with a single output
of two values. Both were written with the packages `flatbuffers` and `tflite`, which the tests do not need.
"""

import numpy as np

_X = {
    "brows": (40, 62, 82),
    "eyes": (52, 66, 80),
    "cheeks": (46, 62, 80),
    "nose": (36, 60, 80),
    "mouth": (36, 58, 72),
    "chin": (50, 70, 86),
}
_Y = {"brows": 66, "eyes": 80, "cheeks": 100, "nose": 124, "mouth": 148, "chin": 178}
NUMBERS = {
    "brows": (70, 105, 107, 9, 336, 334, 300),
    "eyes": (33, 159, 133, 168, 362, 386, 263),
    "cheeks": (117, 119, 121, 197, 350, 348, 346),
    "nose": (147, 205, 98, 2, 327, 425, 376),
    "mouth": (215, 212, 61, 13, 291, 432, 435),
    "chin": (136, 149, 148, 152, 377, 378, 365),
}


def points() -> np.ndarray:
    """float64 (468, 2) in a picture of 192 x 192 px; all that bound no region lie at (96, 96)."""
    face = np.full((468, 2), 96.0)
    for line, numbers in NUMBERS.items():
        left = _X[line]
        across = (*left, 96, *(192 - x for x in reversed(left)))
        face[list(numbers)] = [(x, _Y[line]) for x in across]
    return face
