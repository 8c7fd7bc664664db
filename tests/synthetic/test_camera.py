"""The camera shows a face where it is reckoned to be."""

import cv2
import numpy as np

from pipeline.synthetic.camera import Camera, film, portrait
from pipeline.synthetic.face import draw_subject, paint
from pipeline.synthetic.motion import Motion


def test_a_face_is_photographed_where_its_landmarks_are_reckoned():
    height, width = 224, 192
    camera = Camera(height, width, drift=1.0, rotation=1.0, scale=1.0, noise=0.0, flicker=0.0)
    face = draw_subject(np.random.default_rng(0))
    motion = Motion(
        units=(1,),
        basis=np.zeros((1, 2, height, width), np.float16),
        profile=np.zeros((1, 1), np.float32),
        head=np.eye(3, dtype=np.float32)[None, :2],
        shift=np.array([2.0, -1.0], np.float32),
        zoom=1.02,
        apex=0,
    )
    painted = portrait(face, camera, 3.0)
    ((frame, _),) = film(motion, painted, camera, np.random.default_rng(0))
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2 - 2.0) / (1.02 * camera.unit)
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2 + 1.0) / (1.02 * camera.unit)
    expected = cv2.GaussianBlur(paint(face, *np.meshgrid(x, y))[..., ::-1], (0, 0), 0.5)
    found, wanted = (cv2.GaussianBlur(p.astype("f4").mean(-1), (0, 0), 1) for p in (frame, expected))
    assert np.abs(found - wanted).mean() < 0.6  # a quarter of a pixel off gives 0.9
