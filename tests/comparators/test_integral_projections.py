"""STLBP-IP, its hierarchical form and the one on the sparse part of a clip."""

import numpy as np
import pytest

from pipeline.comparators import describe
from pipeline.comparators.shared import integral_projections, robust_pca

MASK = 5
SHAPE = 2 ** (MASK - 1)


def parts(feature, mask=MASK):
    """Shape onto rows, onto columns, motion onto rows, onto columns."""
    shape = 2 ** (mask - 1)
    return np.split(feature, [shape, 2 * shape, 2 * shape + 59], axis=-1)


def stlbp_ip(frames):
    return describe("stlbp_ip", frames, blocks=(2, 2), mask=MASK)


def reversed_bits(histograms):
    """A one-dimensional pattern read from the other end."""
    width = MASK - 1
    order = [int(f"{code:0{width}b}"[::-1], 2) for code in range(2**width)]
    return histograms[..., order]


def test_every_histogram_sums_to_one(grey_frames):
    for histograms in parts(stlbp_ip(grey_frames)):
        np.testing.assert_allclose(histograms.sum(axis=-1), 1, rtol=1e-6)


def test_transposed_frames_swap_rows_and_columns(grey_frames):
    plain = parts(stlbp_ip(grey_frames))
    transposed = [each[[0, 2, 1, 3]] for each in parts(stlbp_ip(grey_frames.swapaxes(1, 2)))]
    for here, there in ((0, 1), (1, 0), (2, 3), (3, 2)):
        np.testing.assert_array_equal(transposed[there], plain[here])


def test_a_mirrored_clip_reverses_the_projection_onto_columns(grey_frames):
    plain = parts(stlbp_ip(grey_frames))
    mirrored = [each[[1, 0, 3, 2]] for each in parts(stlbp_ip(grey_frames[:, :, ::-1]))]
    np.testing.assert_array_equal(mirrored[0], plain[0])
    np.testing.assert_array_equal(mirrored[2], plain[2])
    np.testing.assert_array_equal(mirrored[1], reversed_bits(plain[1]))


def test_brightness_and_contrast_change_nothing(grey_frames):
    np.testing.assert_array_equal(stlbp_ip(grey_frames * 2 + 9), stlbp_ip(grey_frames))


def test_the_sign_of_the_difference_changes_nothing(grey_frames):
    frames = 90 + grey_frames // 2
    opposite = 2 * frames[0].astype(int) - frames
    assert opposite.min() >= 0 and opposite.max() <= 255
    np.testing.assert_array_equal(stlbp_ip(opposite.astype(np.uint8)), stlbp_ip(frames))


def test_the_difference_is_to_the_first_frame(grey_frames):
    # So that the order of the later frames does not matter to what is averaged over them.
    shuffled = grey_frames[[0, 7, 3, 9, 1, 2, 11, 5, 4, 10, 8, 6]]
    for found, expected in zip(parts(stlbp_ip(shuffled))[:2], parts(stlbp_ip(grey_frames))[:2], strict=True):
        np.testing.assert_array_equal(found, expected)
    volume = grey_frames[..., 0].astype(float)
    np.testing.assert_array_equal(integral_projections.differences(volume), np.abs(volume[1:] - volume[0]))


def test_shape_is_the_average_over_frames_of_patterns_of_the_mean_over_an_axis():
    motion = np.random.default_rng(0).uniform(size=(6, 10, 14))
    along_rows, along_columns, *_ = parts(integral_projections.patterns(motion, (1, 1), MASK)[0])
    for found, projections in ((along_rows, motion.mean(axis=2)), (along_columns, motion.mean(axis=1))):
        expected = np.zeros(SHAPE)
        for projection in projections:
            histogram = np.zeros(SHAPE)
            for centre in range(2, len(projection) - 2):
                neighbours = [projection[centre + step] for step in (-2, -1, 1, 2)]
                histogram[sum((value >= projection[centre]) << p for p, value in enumerate(neighbours))] += 1
            expected += histogram / histogram.sum() / len(projections)
        np.testing.assert_allclose(found, expected)


def test_motion_is_the_patterns_of_projection_and_time():
    # The projections rise in space and in time: neighbours on the one half of the circle are larger, on the other not.
    motion = np.broadcast_to(np.arange(8.0)[:, None, None] * 3 + np.arange(9.0)[:, None], (8, 9, 9))
    *_, rows, columns = parts(integral_projections.patterns(motion, (1, 1), MASK)[0])
    circle = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)])
    rising = sum(int(3 * t + y > 0) << p for p, (y, t) in enumerate(circle.T))
    brightening = sum(int(t > -1e-9) << p for p, t in enumerate(circle[1]))
    assert rows[integral_projections.BINS[rising]] == 1
    assert columns[integral_projections.BINS[brightening]] == 1


def test_the_hierarchy_is_the_feature_on_one_grid_after_the_other(grey_frames):
    groups = describe("hstlbp_ip", grey_frames, grids=(1, 2, 4), mask=MASK)
    assert len(groups) == 21
    np.testing.assert_array_equal(groups[1:5], stlbp_ip(grey_frames))
    np.testing.assert_array_equal(groups[:1], describe("stlbp_ip", grey_frames, blocks=(1, 1), mask=MASK))


def test_distlbp_rip_describes_the_sparse_part(grey_frames):
    volume = grey_frames[..., 0].astype(float)
    _, sparse = robust_pca.decompose(volume.reshape(12, -1).T)
    expected = integral_projections.patterns(np.abs(sparse).T.reshape(volume.shape), (2, 2), MASK)
    np.testing.assert_allclose(describe("distlbp_rip", grey_frames, blocks=(2, 2), mask=MASK), expected, atol=2e-3)


@pytest.mark.parametrize("shape", [(400, 20), (20, 400)])
def test_robust_pca_recovers_a_face_and_what_moves_on_it(shape):
    rng = np.random.default_rng(0)
    low_rank = np.outer(rng.uniform(50, 200, shape[0]), rng.uniform(0.9, 1.1, shape[1]))
    sparse = np.where(rng.uniform(size=shape) < 0.05, rng.uniform(-40, 40, shape), 0)
    face, motion = robust_pca.decompose(low_rank + sparse)
    np.testing.assert_allclose(face, low_rank, atol=1e-2)
    np.testing.assert_allclose(motion, sparse, atol=1e-2)
    assert (np.abs(motion) < 1e-2).mean() > 0.9
    np.testing.assert_allclose(face + motion, low_rank + sparse, atol=1e-4)


def test_robust_pca_of_nothing_is_nothing():
    for part in robust_pca.decompose(np.zeros((30, 5))):
        assert (part == 0).all()
