"""All x86-64 processors compute equal bytes, unless the user has chosen."""

import os
import subprocess
import sys

import pytest

from pipeline.processor import compute_alike, instructions
from tests.imports import ROOT

PLAIN = {"sse2", "avx2", "fma"}
WIDE = PLAIN | {"avx512f", "avx512bw"}
WIDEST = WIDE | {"avx512_vbmi2", "avx512_fp16"}
ALIKE = {"OPENBLAS_CORETYPE": "Zen"}
NARROWER = ALIKE | {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4",
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
    "OPENCV_IPP": "avx2",
}
VARIABLES = tuple(NARROWER)


@pytest.mark.parametrize(
    ("available", "chosen", "expected"),
    [
        (set(), {}, {}),  # no x86-64, or not on Linux
        ({"sse2"}, {}, {}),
        (PLAIN, {}, ALIKE),
        (WIDE, {}, NARROWER),
        (WIDEST, {}, NARROWER | {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}),
        (WIDE, {"OPENCV_IPP": "disabled"}, NARROWER | {"OPENCV_IPP": "disabled"}),
        (WIDE, {"NPY_DISABLE_CPU_FEATURES": ""}, NARROWER | {"NPY_DISABLE_CPU_FEATURES": ""}),
    ],
)
def test_what_is_wider_than_avx2_is_left_aside_unless_the_user_wants_it(available, chosen, expected):
    environment = dict(chosen)
    compute_alike(environment, available)
    assert environment == expected
    compute_alike(environment, available)  # as in a process that was started by another one
    assert environment == expected


def test_the_instructions_are_those_that_linux_lists(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2\nflags\t\t: of another core\n")
    assert instructions(file) == {"fpu", "avx2"}
    file.write_text("processor\t: 0\nFeatures\t: asimd\n")  # of an Arm
    assert instructions(file) == frozenset()
    assert instructions(tmp_path / "missing") == frozenset()


def fresh(script: str) -> str:
    """What a new interpreter prints, in which nothing is imported and nothing said about instructions."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-W", "error::ImportWarning", "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_numpy_and_opencv_heed_it_without_a_word():
    said = fresh(
        "import stages, cv2\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as features\n"
        "print(sorted(name for name in ('X86_V4', 'AVX512_ICL', 'AVX512_SPR') if features.get(name)))\n"
        "print([word for word in cv2.getCPUFeaturesLine().split() if 'AVX512' in word and not word.endswith('?')])\n"
    )
    assert said == "[]\n[]\n"


EXPECTED = ["238e87e8338a902a", "9e57d577f435a9e1", "ed6123728d07c9e9", "64db68efa676ba60", "48cc50835e4b9a08"]
CLIP = """
import hashlib
from pathlib import Path
import stages, cv2, numpy as np
from pipeline.flow.dis.estimator import Estimator
from pipeline.frames import head_motion
from pipeline.frames.resampling import resize
from pipeline.synthetic.generator import write_tree

folder = Path({folder!r})
list(write_tree(folder, seed=0, subjects=1, clips=4, height=120, width=96, frames=(6, 6), amplitude=(1.0, 3.0),
                drift=1.0, rotation=1.0, scale=0.5, noise=1.0, flicker=0.01))
files = sorted(folder.glob("Cropped/*/*/*.jpg"))[:6]
frames = resize(np.stack([cv2.imread(str(file)) for file in files]), 96)
path = head_motion.follow(frames, "affine")
flow = head_motion.without(Estimator(Path(), "cpu")(frames), path, "affine")
for content in (b"".join(file.read_bytes() for file in files), frames.tobytes(), path.tobytes(),
                head_motion.stabilised(frames, path).tobytes(), flow.astype(np.float16).tobytes()):
    print(hashlib.sha256(content).hexdigest()[:16])
"""


@pytest.mark.skipif("avx2" not in instructions(), reason="other processors than x86-64 with AVX2 round otherwise")
def test_a_clip_and_its_flow_have_the_same_bytes_everywhere(tmp_path):
    """Of a clip that is drawn: its files, frames, the path of the head, stabilised frames, flow.

    Other versions of NumPy and OpenCV may give others.
    """
    assert fresh(CLIP.format(folder=str(tmp_path / "tree"))).split() == EXPECTED
