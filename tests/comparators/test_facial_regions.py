"""36 regions between landmarks: where they lie by hand, and how they follow the face."""

import numpy as np
import pytest

from pipeline.comparators.shared import facial_regions, regions
from pipeline.comparators.shared.facial_regions import FOREHEAD, NoFace
from tests.comparators import schematic_face

FACE = schematic_face.points()
SIZE = 192


def found(points=FACE, height=SIZE, width=SIZE):
    return facial_regions.regions(points, height, width)


def test_every_region_has_pixels_and_all_else_is_outside():
    number = found()
    assert number.dtype == np.int64 and set(np.unique(number)) == set(range(-1, 36))
    regions.checked(number, (SIZE, SIZE))
    assert (number[:40] == -1).all() and (number[179:] == -1).all() and (number[:, :36] == -1).all()


@pytest.mark.parametrize(
    ("x", "y", "region"),
    [
        (70, 55, 1),  # forehead, above the inner half of the left brow
        (70, 75, 7),  # between brow and eye
        (50, 90, 12),  # below the outer corner of the left eye
        (88, 115, 20),  # left side of the nose
        (104, 115, 21),  # right side of the nose
        (84, 140, 26),  # upper lip
        (120, 140, 28),  # beside the mouth, to the right
        (100, 170, 33),  # right half of the chin
        (150, 160, 35),
    ],
)
def test_regions_lie_where_the_face_says(x, y, region):
    assert found()[y, x] == region


def test_a_mirrored_face_has_mirrored_regions():
    """The border between two regions belongs to the later one, so that only pixels beside borders may differ."""
    mirrored = FACE.copy()
    mirrored[:, 0] = 192 - FACE[:, 0]
    for left, right in (("brows", 70), ("eyes", 33)):
        numbers = schematic_face.NUMBERS[left]
        assert numbers[0] == right
        mirrored[list(numbers)] = mirrored[list(numbers[::-1])]
    number = found()
    # Column c of six becomes 5 - c; x becomes 192 - x.
    flipped = np.where(number >= 0, number // 6 * 6 + 5 - number % 6, -1)[:, :0:-1]
    assert (flipped != number[:, 1:]).mean() < 0.02


def test_the_forehead_grows_with_the_distance_of_the_eyes():
    """The centres of the eyes are 60 px apart, the brows at 66: the forehead begins at 66 - 0.3 · 60 = 48."""
    assert np.argwhere(found() >= 0)[:, 0].min() == 48 == 66 - FOREHEAD * 60
    half = found(FACE / 2, SIZE // 2, SIZE // 2)
    assert np.argwhere(half >= 0)[:, 0].min() == 24


def test_regions_follow_the_face():
    moved = found(FACE + np.array([5, -7]))
    assert np.array_equal(moved[:-7, 5:], found()[7:, :-5])


def test_a_tilted_face_has_a_tilted_forehead():
    """A quarter turn to the right: up along the face is right in the picture."""
    turned = np.stack([191 - FACE[:, 1], FACE[:, 0]], axis=1)
    number = found(turned)
    assert np.argwhere(number >= 0)[:, 1].max() == 191 - 48
    assert (np.rot90(number, 1)[1:, 1:] != found()[1:, 1:]).mean() < 0.02


@pytest.mark.parametrize(
    "points", [np.full((468, 2), 96.0), FACE - np.array([120, 0]), FACE / 40 + 90], ids=["one point", "cut off", "tiny"]
)
def test_a_face_without_all_regions_is_none(points):
    with pytest.raises(NoFace, match=r"no pixel of its first frame \(192 x 192 px\) is in the regions \d+"):
        found(points)
