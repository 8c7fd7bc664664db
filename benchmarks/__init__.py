"""What the pipeline costs; threads wait here as they do in its commands and stages."""

from pipeline.waiting import spin_briefly

spin_briefly()  # before a benchmark imports PyTorch
