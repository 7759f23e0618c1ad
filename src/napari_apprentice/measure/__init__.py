"""Scores: how good a prediction is, in numbers whose definitions are written beside them (NumPy and SciPy only)."""
