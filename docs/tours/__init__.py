"""The tours of `make_screenshots`: the stage, and what is done on it, a family of tours in each file."""
