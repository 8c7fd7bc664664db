"""The room as a whole: names, settings, what is refused, and that no method knows another."""

import ast
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from pipeline import comparators
from pipeline.comparators import describe
from pipeline.errors import InputError

ROOM = Path(comparators.__file__).parent
FEATURES = (
    "distlbp_rip",
    "fdm",
    "fhofo",
    "higo",
    "hstlbp_ip",
    "lbp_sip",
    "lbp_top",
    "mdmo",
    "sparse_mdmo",
    "stlbp_ip",
)
ON_FRAMES = [name for name in FEATURES if comparators.reads(name) == "frames"]
ON_FLOW = [name for name in FEATURES if comparators.reads(name) == "flow"]

SMALL = {
    "distlbp_rip": {"blocks": [2, 2], "mask": 5},
    "fdm": {"blocks": [2, 3, 3]},
    "fhofo": {"grid": [3, 3], "steps": 2},
    "higo": {"blocks": [2, 3, 3]},
    "hstlbp_ip": {"grids": [1, 2], "mask": 5},
    "lbp_sip": {"blocks": [1, 4, 4]},
    "lbp_top": {"blocks": [1, 3, 3]},
    "mdmo": {"grid": [3, 3]},
    "sparse_mdmo": {"grid": [3, 3]},
    "stlbp_ip": {"blocks": [2, 2], "mask": 5},
}


def imported(path: Path) -> set[str]:
    """Full names of all that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def clip_for(name, grey_frames, flow):
    return grey_frames if comparators.reads(name) == "frames" else flow


def test_the_ten_features_of_table_1_are_there():
    assert set(FEATURES) <= set(comparators.methods())


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_float32_finite_and_the_same_every_time(name, grey_frames, flow):
    clip = clip_for(name, grey_frames, flow)
    before = clip.copy()
    feature = describe(name, clip, **SMALL[name])
    assert feature.dtype == np.float32 and np.isfinite(feature).all() and np.ptp(feature) > 0
    np.testing.assert_array_equal(describe(name, clip, **SMALL[name]), feature)
    np.testing.assert_array_equal(clip, before)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lbp_top", (25, 3, 16)),
        ("lbp_sip", (64, 20)),
        ("stlbp_ip", (36, 2 * 256 + 2 * 59)),
        ("distlbp_rip", (36, 2 * 256 + 2 * 59)),
        ("hstlbp_ip", (85, 2 * 64 + 2 * 59)),
        ("higo", (72, 3, 8)),
        ("fdm", (256, 2)),
        ("mdmo", (2, 36)),
        ("sparse_mdmo", (19, 72)),
        ("fhofo", (4, 36, 18)),
    ],
)
def test_the_defaults_describe_a_clip_of_20_frames(name, shape):
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(20, 96, 96, 3), dtype=np.uint8)
    flow = rng.normal(size=(19, 2, 96, 96)).astype(np.float16)
    assert describe(name, frames if name in ON_FRAMES else flow).shape == shape


@pytest.mark.parametrize("name", FEATURES)
def test_still_clips_have_features_without_nan(name):
    frames, flow = np.full((12, 40, 40, 3), 90, np.uint8), np.zeros((8, 2, 36, 36), np.float32)
    for clip in (frames, np.zeros_like(frames)) if name in ON_FRAMES else (flow,):
        feature = describe(name, clip, **SMALL[name])
        assert np.isfinite(feature).all()
        if name in ON_FLOW or name == "higo":
            assert (feature == 0).all()


def test_unknown_names_are_answered_with_the_known_ones(flow):
    with pytest.raises(InputError, match=r"expected one of the comparators .*fdm.*; found 'optical'"):
        describe("optical", flow)
    for name in ("shared", "__init__", "learnt", "../errors"):
        with pytest.raises(InputError, match="expected one of the comparators"):
            describe(name, flow)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block": (1, 2, 2)}, r"fdm\.block: .*The settings of fdm are blocks"),
        ({"blocks": (1, 2)}, r"fdm\.blocks"),
        ({"blocks": (0, 2, 2)}, r"fdm\.blocks\.0: .*greater than or equal to 1, found 0"),
        ({"blocks": "1,2,2"}, r"fdm\.blocks: .*found '1,2,2'"),
        ({"blocks": np.zeros(3)}, r"fdm\.blocks"),
    ],
)
def test_impossible_settings_are_refused_by_name(flow, settings, message):
    with pytest.raises(InputError, match=rf"(?s){message}"):
        describe("fdm", flow, **settings)


@pytest.mark.parametrize("name", ON_FRAMES)
def test_frames_are_bytes_of_three_channels(name, grey_frames, flow):
    for clip in (flow, grey_frames.astype(float), grey_frames[..., 0], grey_frames[:1]):
        with pytest.raises(InputError, match=f"{name} reads frames: expected uint8"):
            describe(name, clip)


@pytest.mark.parametrize("name", ON_FLOW)
def test_flow_is_finite_and_has_two_components(name, grey_frames, flow):
    for clip in (grey_frames, flow[:, :1], flow[0], flow[:0], flow.astype(int)):
        with pytest.raises(InputError, match=f"{name} reads flow: expected floating point"):
            describe(name, clip)
    for value in (np.nan, np.inf):
        broken = flow.copy()
        broken[3, 1, 5, 7] = value
        with pytest.raises(InputError, match=f"{name} reads flow: expected finite values"):
            describe(name, broken)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lbp_top", {"blocks": (1, 39, 5)}),
        ("lbp_sip", {"blocks": (7, 4, 4)}),
        ("stlbp_ip", {"blocks": (41, 1)}),
        ("distlbp_rip", {"blocks": (41, 1)}),
        ("hstlbp_ip", {"grids": (41,)}),
        ("higo", {"blocks": (2, 39, 2)}),
        ("fdm", {"blocks": (9, 2, 2)}),
        ("mdmo", {"grid": (37, 2)}),
        ("sparse_mdmo", {"grid": (2, 37)}),
        ("fhofo", {"steps": 9}),
    ],
)
def test_a_grid_larger_than_the_clip_is_refused(name, settings, grey_frames, flow):
    with pytest.raises(InputError, match=r"expected a grid of 1 to \d+ blocks over the \d+ (frames|rows|columns)"):
        describe(name, clip_for(name, grey_frames, flow), **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lbp_top", {"radii": (1, 1, 6)}),
        ("lbp_top", {"radii": (20, 1, 4)}),
        ("lbp_sip", {"radii": (1, 20, 3)}),
        ("stlbp_ip", {"blocks": (6, 6), "mask": 9}),
        ("hstlbp_ip", {"grids": (8,), "mask": 7}),
    ],
)
def test_a_neighbourhood_that_leaves_no_interior_is_refused(name, settings, grey_frames):
    with pytest.raises(InputError, match="which leaves none inside"):
        describe(name, grey_frames, **settings)


def test_clips_too_short_for_a_gradient_in_time_are_refused(grey_frames):
    with pytest.raises(InputError, match="higo: expected at least 3 frames"):
        describe("higo", grey_frames[:2])


@pytest.mark.parametrize("name", ["fhofo", "mdmo", "sparse_mdmo"])
def test_regions_may_be_given(name, flow):
    rows, columns = np.indices((36, 36))
    grid = (rows // 12) * 3 + columns // 12
    np.testing.assert_array_equal(describe(name, flow, regions=grid), describe(name, flow, grid=(3, 3)))

    # One region, and pixels outside of it that count nowhere.
    outside = np.where((rows < 20) & (columns < 20), 0, -1)
    changed = flow.copy()
    changed[:, :, 26:] += 0.3
    one = describe(name, flow, regions=outside)
    np.testing.assert_array_equal(describe(name, changed, regions=outside), one)
    assert one.size == describe(name, flow, regions=grid).size / 9


@pytest.mark.parametrize("name", ["fhofo", "mdmo", "sparse_mdmo"])
def test_regions_that_do_not_fit_are_refused(name, flow):
    two = np.zeros((36, 36), int)
    two[:9] = 2  # no pixel of region 1
    for regions in (np.zeros((36, 35), int), np.zeros((36, 36)), two, two - 2, np.full((36, 36), -1)):
        with pytest.raises(InputError, match="regions: expected"):
            describe(name, flow, regions=regions)


def test_methods_without_regions_say_so(flow):
    with pytest.raises(InputError, match="fdm has no regions"):
        describe("fdm", flow, regions=np.zeros((36, 36), int))


def test_no_method_imports_another():
    for path in ROOM.glob("*.py"):
        others = {f"pipeline.comparators.{name}" for name in comparators.methods()}
        assert not imported(path) & others, path.name
    for path in (*ROOM.glob("parts/*.py"), *ROOM.glob("learnt/*.py")):
        assert not imported(path) & others, path.name
    for path in ROOM.glob("parts/*.py"):
        assert not any("learnt" in name for name in imported(path)), path.name


@pytest.mark.parametrize("name", FEATURES)
def test_settings_are_frozen_and_have_defaults(name):
    settings = import_module(f"pipeline.comparators.{name}").Settings()
    with pytest.raises(AttributeError):
        settings.__setattr__(next(iter(settings.__dataclass_fields__)), 1)


def test_a_file_in_the_room_is_a_method(monkeypatch, tmp_path, flow):
    (tmp_path / "mean_flow.py").write_text(
        "from dataclasses import dataclass\n"
        "READS = 'flow'\n"
        "@dataclass(frozen=True)\n"
        "class Settings:\n    factor: float = 1.0\n"
        "def describe(flow, settings):\n    return settings.factor * flow.mean(axis=(0, 2, 3))\n"
    )
    monkeypatch.setattr(comparators, "__path__", [*comparators.__path__, str(tmp_path)])
    monkeypatch.setattr(comparators, "__file__", str(tmp_path / "__init__.py"))
    assert comparators.methods() == ("mean_flow",)
    np.testing.assert_allclose(describe("mean_flow", flow, factor=2.0), 2 * flow.mean(axis=(0, 2, 3)), rtol=1e-5)
