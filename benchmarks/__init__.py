"""What the pipeline costs; threads wait and processors compute here as they do in its commands and stages."""

from pipeline.processor import compute_alike
from pipeline.waiting import spin_briefly

# Before a benchmark imports PyTorch, NumPy or OpenCV.
spin_briefly()
compute_alike()
