"""Readers, writers and samples as napari calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from PIL import Image as Picture

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.volume import Display, Volume
from napari_apprentice.io import labels_like, open_labels, open_volume, save
from napari_apprentice.widgets import manifest
from napari_apprentice.widgets._samples import samples, thumbnail, thumbnail_file
from napari_apprentice.widgets.layers import prediction_layers, volume_of


@pytest.fixture
def oblique(tmp_path: Path) -> Path:
    """A patient volume, turned and mirrored."""
    matrix = np.array([[0, 1.5, 0, 3], [-1, 0, 0, 40], [0, 0, -2, 7], [0, 0, 0, 1.0]])
    grid = Grid("ZYX", (4, 5, 6), Grid.freeze(matrix), "mm", "LPS")
    data = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    save(Volume(data, grid, name="mr"), tmp_path / "mr.nii.gz")
    return tmp_path / "mr.nii.gz"


def read(path: Path) -> Image:
    reader = manifest.get_reader(str(path))
    assert reader is not None
    ((data, state, kind),) = reader(str(path))
    assert kind == "image"
    return Image(data, **state)


def test_a_patient_volume_is_read_where_it_lies(oblique: Path) -> None:
    layer, volume = read(oblique), open_volume(oblique)
    for value in (0, 77, 119):
        here, there = (np.argwhere(np.asarray(a) == value)[0] for a in (layer.data, volume.data))
        world = volume.grid.to_world(there)
        np.testing.assert_allclose(layer.data_to_world(here), world, atol=1e-5)
    assert layer.metadata["napari-apprentice"]["world"] == "LPS"


def test_labels_are_written_on_the_grid_of_their_image(oblique: Path, tmp_path: Path) -> None:
    image = volume_of(read(oblique))
    labels = np.where(image.numpy() > 30, 2, 0).astype(np.uint8)
    prediction = Prediction(image.grid, labels, classes=(LabelClass(2, "posterior"),))
    ((data, state, _),) = prediction_layers(prediction, image, "answer")
    layer = Labels(data, **state)
    out = tmp_path / "answer.nii.gz"
    assert manifest.write_labels(str(out), *layer.as_layer_data_tuple()[:2]) == [str(out)]
    back = open_labels(out)
    assert back.grid == open_volume(oblique).grid
    assert dict(back.classes) == {2: "posterior"}
    np.testing.assert_array_equal(back.numpy() == 2, open_volume(oblique).numpy() > 30)


def test_an_image_comes_back_as_it_was(oblique: Path, tmp_path: Path) -> None:
    layer = read(oblique)
    out = tmp_path / "copy.nii.gz"
    manifest.write_image(str(out), *layer.as_layer_data_tuple()[:2])
    back, original = open_volume(out), open_volume(oblique)
    assert back.grid == original.grid
    np.testing.assert_array_equal(back.numpy(), original.numpy())


@pytest.mark.parametrize("content", [b"", b"junk" * 40, b"II*\x00" + b"\xff" * 30])
@pytest.mark.parametrize("suffix", [".tif", ".nii.gz", ".png", ".xyz"])
def test_junk_is_refused_or_ends_in_a_readable_error(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"case 患者 ü'%{suffix}"
    path.write_bytes(content)
    reader = manifest.get_reader(str(path))
    if reader is not None:
        with pytest.raises(ApprenticeError):
            reader(str(path))


def test_what_is_no_file_is_not_ours(tmp_path: Path) -> None:
    for path in (str(tmp_path / "missing.tif"), str(tmp_path), "", []):
        assert manifest.get_reader(path) is None


def test_several_files_at_once(oblique: Path) -> None:
    reader = manifest.get_reader([str(oblique), str(oblique)])
    assert reader is not None
    assert len(reader([str(oblique), str(oblique)])) == 2
    assert manifest.get_reader([str(oblique), "missing.tif"]) is None


@pytest.mark.parametrize(
    ("sample", "unit"),
    [
        (manifest.sample_brain, "millimeter"),
        (manifest.sample_nuclei, "micrometer"),
        (manifest.sample_nuclei_volume, "micrometer"),
    ],
)
def test_samples_open_with_their_unit(sample: Any, unit: str) -> None:
    ((data, state, _),) = sample()
    layer = Image(data, **state)
    assert {str(u) for u in layer.units} == {unit}


def test_the_stained_cells_open_one_on_each_slice() -> None:
    ((data, state, _),) = manifest.sample_cells()
    layer = Image(data, **state)
    assert layer.rgb
    assert (layer.name, layer.ndim, layer.data.shape) == ("cells", 3, (40, 64, 64, 3))


def test_the_noisy_nuclei_open_above_what_they_are_without_noise() -> None:
    clean, noisy = (Image(data, **state) for data, state, _ in manifest.sample_noisy_nuclei())
    assert (noisy.name, noisy.visible, clean.visible) == ("nuclei-noisy", True, False)
    assert clean.name == "nuclei-noisy ▸ without noise"
    assert clean.contrast_limits == noisy.contrast_limits
    assert clean.scale.tolist() == noisy.scale.tolist() == [0.25, 0.25]


def test_pictures_of_the_samples_are_what_the_samples_show() -> None:
    offered = samples()
    assert [s.key for s in offered] == ["brain-mri", "nuclei"]
    for sample in offered:
        drawn = np.asarray(Picture.open(thumbnail_file(sample)), dtype=int)
        np.testing.assert_allclose(drawn, thumbnail(sample), atol=3)


def test_asking_for_a_reader_loads_neither_torch_nor_qt(oblique: Path) -> None:
    code = (
        "import json, sys; from napari_apprentice.widgets.manifest import get_reader;"
        f"get_reader({str(oblique)!r});"
        "print(json.dumps([m for m in ('torch', 'monai', 'napari', 'qtpy') if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []


def test_an_ome_zarr_opens_with_its_levels_colours_and_labels(tmp_path: Path) -> None:
    grid = Grid.regular("CZYX", (2, 3, 700, 600), (2, 0.5, 0.5), unit="um")
    shown = (Display("#FF0000", (0, 90)), Display("#00FF00", (5, 80)))
    data = np.random.default_rng(0).integers(0, 99, grid.shape).astype(np.uint8)
    path = tmp_path / "cells.ome.zarr"
    save(Volume(data, grid, name="cells", channels=("DAPI", "GFP"), display=shown), path)
    image = open_volume(path)
    labels = (data[0] > 50).astype(np.uint8)
    save(labels_like(image, labels, {1: "nucleus"}, {1: "#0072B2"}), path)

    reader = manifest.get_reader(str(path))
    assert reader is not None
    *images, (voxels, state, kind) = reader(str(path))

    layers = [Image(data, **state) for data, state, _ in images]
    assert [layer.name for layer in layers] == ["cells · DAPI", "cells · GFP"]
    assert all(layer.multiscale and len(layer.data) == 2 for layer in layers)
    assert [layer.contrast_limits for layer in layers] == [[0, 90], [5, 80]]
    np.testing.assert_allclose(layers[0].colormap.colors[-1][:3], (1, 0, 0))
    assert volume_of(layers[0]).grid == image.grid.without("C")
    assert kind == "labels"
    layer = Labels(voxels, **state)
    layer.paint((1, 5, 5), 1)
    np.testing.assert_array_equal(np.asarray(layer.scale), (2, 0.5, 0.5))
    assert layer.metadata["napari-apprentice"]["of"] == str(path)
    assert layer.features["class"].tolist() == ["background", "nucleus"]
