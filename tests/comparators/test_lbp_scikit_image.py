"""The patterns of a plane are those of scikit-image; it needs the package `scikit-image`."""

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from pipeline.comparators import describe
from pipeline.comparators.shared import binary_patterns


def test_codes_in_the_interior_are_those_of_scikit_image():
    image = np.random.default_rng(0).integers(256, size=(60, 70)).astype(np.uint8)
    circle = binary_patterns.circle(8)
    ours = binary_patterns.codes(image.astype(float), circle[:, ::-1] * [-1, 1], margin=(1, 1))
    theirs = local_binary_pattern(image, 8, 1, "default")[1:-1, 1:-1]
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_the_plane_xy_of_lbp_top_is_that_of_scikit_image(neighbours):
    grey = np.random.default_rng(1).integers(256, size=(5, 40, 50)).astype(np.uint8)
    frames = np.repeat(grey[..., None], 3, axis=-1)
    ours = describe("lbp_top", frames, blocks=(1, 1, 1), radii=(1, 1, 1), neighbours=neighbours)[0, 0]
    codes = [local_binary_pattern(frame, neighbours, 1, "default")[1:-1, 1:-1] for frame in grey[1:-1]]
    counts = np.bincount(np.ravel(codes).astype(int), minlength=2**neighbours)
    np.testing.assert_allclose(ours, counts / counts.sum(), rtol=1e-6)
