"""``python -m napari_apprentice``, where the command itself is not on the path."""

from __future__ import annotations

from napari_apprentice.cli import main

if __name__ == "__main__":
    main()
