"""Every subject and every class has its clips, in uneven numbers."""

from collections import Counter

import numpy as np
import pytest

from pipeline.databases.layouts import LAYOUTS
from pipeline.synthetic.plan import draw_plan

LAYOUT = LAYOUTS["casme2"]


@pytest.mark.parametrize(("subjects", "clips"), [(2, 4), (5, 60), (26, 246), (3, 12), (5, 5), (1, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_subjects_and_classes_are_uneven_but_none_is_missing(subjects, clips, seed):
    plan = draw_plan(np.random.default_rng(seed), subjects, clips, (20, 60), LAYOUT)
    assert len({item.clip for item in plan}) == clips
    assert {item.subject for item in plan} == set(range(1, subjects + 1))
    classes = Counter(item.label for item in plan)
    assert set(classes) == set(LAYOUT.classes)
    if clips >= 60:
        assert 0.30 <= max(classes.values()) / clips <= 0.35
        assert min(classes.values()) / clips < 0.22
        per_subject = Counter(item.subject for item in plan).values()
        assert max(per_subject) >= 1.4 * min(per_subject)
    if clips >= 12:
        for label in LAYOUT.classes:
            assert len({item.subject for item in plan if item.label == label}) >= 2
