"""The flow of the pair is what its frames show, and the error of an estimator is measured against it."""

import cv2
import numpy as np
import pytest

from pipeline.flow.known_motion import sanity_check, synthetic_pair


def test_synthetic_pair_is_true():
    first, second, flow = synthetic_pair(np.random.default_rng(7))
    assert np.hypot(*flow).max() == pytest.approx(0.8)
    y, x = np.mgrid[:192, :192].astype(np.float32)
    warped = cv2.remap(second, x + flow[0], y + flow[1], cv2.INTER_CUBIC).astype(float)
    inside = np.s_[4:-4, 4:-4]
    wrong = np.abs(second.astype(float) - first)[inside].mean()
    assert np.abs(warped - first)[inside].mean() < 0.25 * wrong


def test_sanity_check():
    def dis(first, second):
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)
        grey = [cv2.cvtColor(batch[0], cv2.COLOR_RGB2GRAY) for batch in (first, second)]
        return search.calc(*grey, None).transpose(2, 0, 1)[None]

    error, zero = sanity_check(dis)
    assert error < zero / 3
    assert sanity_check(lambda first, second: np.zeros((1, 2, 192, 192))) == pytest.approx((zero, zero))
    assert sanity_check(lambda first, second: -dis(first, second))[0] > 1.5 * zero
