"""What an image, or one frame of a film, is known by: within a session, and from one session to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_apprentice.core.volume import Volume

__all__ = ["frame_key", "frame_name", "identity"]


def frame_key(key: str, frame: int | None) -> str:
    """Key of an annotation: that of its image, and of a film its frame too."""
    return key if frame is None else f"{key} · frame {frame}"


def frame_name(name: str, frame: int | None) -> str:
    """Name of an annotation as people read it: ``"film · frame 3"``."""
    return name if frame is None else f"{name} · frame {frame}"


def identity(volume: Volume, frame: int | None = None) -> str:
    """What the next session knows an image by: its file, else name, size and voxel size."""
    grid = volume.grid.spatial
    known = volume.source or f"{volume.name} {grid.shape} {grid.spacing} {grid.unit}"
    return frame_key(known, frame)
