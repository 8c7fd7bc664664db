"""Faults on purpose, by hand: python -m tests.campaign. See docs/faults.md."""
