"""Why a network said so: maps of what in an image spoke for an answer."""
