"""Micro-expression recognition: from the frames of a database to the page on a study."""

from pipeline.processor import compute_alike
from pipeline.waiting import spin_briefly

# Before anything here imports PyTorch, NumPy or OpenCV.
spin_briefly()
compute_alike()
