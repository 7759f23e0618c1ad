"""The stage of every tour: one window, its docks, and a camera."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

_DOCS = Path(__file__).parents[1]
SAMPLES = _DOCS.parent / "sample_data"
IMAGES = _DOCS / "tutorials" / "images"
HOW_TO = _DOCS / "how-to" / "images"
SIZE = (1280, 800)
DOCK = (333, 0, *SIZE)  # canvas and dock, without the layer controls
PANEL = (899, 0, *SIZE)  # the dock alone
_PATIENCE = 1200.0
_LARGEST = 240_000
_FEW = 64


class Stage:
    """One window with the Apprentice dock, and a camera."""

    def __init__(self, dock: str = "Apprentice", images: Path = IMAGES) -> None:
        import napari

        self.images = images
        images.mkdir(parents=True, exist_ok=True)

        self.viewer: napari.Viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*SIZE)
        _, widget = self.viewer.window.add_plugin_dock_widget("napari-apprentice", dock)
        self.dock: Any = widget
        self.settle()

    def settle(self, seconds: float = 0.6) -> None:
        """Let the window catch up."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come within {_PATIENCE:.0f} s")
            self.settle(0.05)
        self.settle()

    def shoot(
        self,
        name: str,
        box: tuple[int, int, int, int] | None = None,
        *,
        colors: int | None = None,
        is_noisy: bool = False,
    ) -> None:
        """Save the window, or a part of it, in so many colours; where the image is noisy, fixed ones leave text as it is.

        Parameters
        ----------
        name
            Of the picture.
        box
            Left, top, right and bottom of the part.
        colors, is_noisy
            How many colours; whether they are fixed.
        """
        self.settle()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "window.png"
            self.viewer.window.screenshot(str(path), flash=False, canvas_only=False)
            picture = Image.open(path).convert("RGB")
        picture = picture.crop(box) if box else picture
        path = self.images / f"{name}.png"
        picture.save(path, optimize=True)
        is_dock = box == DOCK or is_noisy
        if path.stat().st_size > _LARGEST or is_dock:
            method = Image.Quantize.FASTOCTREE if is_noisy else Image.Quantize.MEDIANCUT
            colors = colors or (_FEW if is_dock else 256)
            picture.quantize(colors, method, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{name}: {picture.size}, {path.stat().st_size // 1000} kB")

    def is_idle(self) -> bool:
        """Whether no job is at work."""
        return not self.dock.session.status.is_running

    def go_to(self, index: int) -> None:
        """Show a slice."""
        self.viewer.dims.set_current_step(0, index)
        self.settle()
