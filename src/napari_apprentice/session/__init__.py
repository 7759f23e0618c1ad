"""Application state without Qt: what is open, what runs, and what a person said."""
