"""The page a person sees before there is an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from napari_apprentice.core.errors import ApprenticeError

from ._parts import ErrorLine, wrapped
from ._samples import Sample, sample_layers, samples, thumbnail_file

if TYPE_CHECKING:
    import napari

__all__ = ["EmptyPage"]

_SIZE = 150
_TITLES = {"brain-mri": "brain MRI"}


class EmptyPage(QWidget):
    """Open an image, or try a sample.

    Parameters
    ----------
    viewer
        Where a sample is opened.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.buttons: dict[str, QToolButton] = {}
        self.error = ErrorLine()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 16, 12, 12)
        layout.setSpacing(12)
        found = samples()
        layout.addWidget(
            wrapped(
                "Open an image (drag it here), or try a sample:"
                if found
                else "Open an image (drag it here)."
            )
        )
        row = QHBoxLayout()
        for sample in found:
            self.buttons[sample.key] = self._button(sample)
            row.addWidget(self.buttons[sample.key])
        row.addStretch()
        layout.addLayout(row)
        layout.addWidget(self.error)
        layout.addStretch()

    def _button(self, sample: Sample) -> QToolButton:
        button = QToolButton()
        button.setText(_TITLES.get(sample.key, sample.key))
        button.setToolTip(f"{sample.title}. {sample.description}")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIconSize(QSize(_SIZE, _SIZE))
        button.clicked.connect(lambda: self.open(sample))
        picture = QPixmap(str(thumbnail_file(sample)))
        if not picture.isNull():
            size = QSize(_SIZE, _SIZE)
            button.setIcon(QIcon(picture.scaled(size, Qt.AspectRatioMode.KeepAspectRatio)))
        return button

    def open(self, sample: Sample) -> None:
        """Open a sample as layers, with a scale bar where its voxel size is known."""
        try:
            layers = sample_layers(sample.key)
        except ApprenticeError as error:
            self.error.set_error(error)
            return
        for data, kwargs, _ in layers:
            self._viewer.add_image(data, **kwargs)
        self._viewer.canvas.overlays.scale_bar.visible = True
