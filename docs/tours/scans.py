"""Pictures of real scans and microscope images, each in a window of its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .stage import HOW_TO, SIZE, Stage


def scans(data: Path) -> None:
    """Scans and microscopes, each in a window of its own."""
    shown = {
        "export-ct": data / "ct" / "example_ct_dicom",
        "export-channels": data / "formats" / "tiff" / "cell_3channel_16bit_imagej.tif",
    }
    for name, path in shown.items():
        stage = Stage("Export", HOW_TO)
        stage.viewer.open(path, plugin="napari-apprentice")
        stage.shoot(name)
        stage.viewer.close()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        for name in ("hippocrop_1mm", "t1post_brain_6p5mm"):
            shutil.copytree(data / "dicom_mr" / name, study / name)
        stage = Stage("Series", HOW_TO)
        stage.dock.look_in(study)
        stage.wait(stage.is_idle, "the list of series")
        stage.shoot("series", (0, 0, *SIZE))
        stage.viewer.close()
