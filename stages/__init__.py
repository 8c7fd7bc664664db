"""The stages of dvc.yaml, one script for each."""

from pipeline.processor import compute_alike
from pipeline.waiting import spin_briefly

# Before a stage imports PyTorch, NumPy or OpenCV.
spin_briefly()
compute_alike()
