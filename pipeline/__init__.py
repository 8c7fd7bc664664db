"""Micro-expression recognition: from the frames of a database to the page on a study."""

from pipeline.waiting import spin_briefly

spin_briefly()  # before anything here imports PyTorch
