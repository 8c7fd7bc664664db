"""The tests; what they compute, they compute as the stages do."""

import pipeline  # noqa: F401  before a test imports NumPy
