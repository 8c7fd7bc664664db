"""The stages of dvc.yaml, one script for each."""

from pipeline.waiting import spin_briefly

spin_briefly()  # before a stage imports PyTorch
