"""Optical flow: one folder per estimator, named like its value of `flow.method`. None falls back to another."""
