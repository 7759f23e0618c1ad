"""Scores: how good a prediction is, with each definition beside its code (NumPy and SciPy)."""
