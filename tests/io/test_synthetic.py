"""Images that were made up say so for ever: in the file, in its name, in whatever is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import SYNTHETIC, Volume, named_synthetic
from napari_apprentice.io import (
    describe,
    labels_like,
    open_labels,
    open_volume,
    save,
    synthetic_mark,
    without_patient,
)

BY = "made up by the model münze ▸ v1 (seed 3)"


def made(shape: tuple[int, ...] = (8, 9), dtype: str = "uint8") -> Volume:
    grid = Grid.regular("CYX"[-len(shape) :], shape)
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    return Volume(array, grid, rgb=len(shape) == 3, metadata={SYNTHETIC: BY})


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ome.tif"])
@pytest.mark.parametrize("shape", [(8, 9), (3, 8, 9)])
def test_the_file_itself_says_so_whatever_it_is_called(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    save(made(shape), tmp_path / name)
    again = open_volume(tmp_path / name)
    assert again.synthetic == synthetic_mark(tmp_path / name) == BY
    assert describe(again)["synthetic"] == BY
    np.testing.assert_array_equal(again.numpy(), made(shape).numpy())
    save(again, tmp_path / f"copy {name}")
    assert open_volume(tmp_path / f"copy {name}").synthetic == BY
    real = replace(made(shape), metadata={})
    save(real, tmp_path / f"real {name}")
    assert open_volume(tmp_path / f"real {name}").synthetic is None
    assert synthetic_mark(tmp_path / f"real {name}") is None


def test_labels_and_parts_of_it_are_marked_too(tmp_path: Path) -> None:
    labels = labels_like(made(), np.eye(8, 9, dtype=np.uint8), {1: "spot"})
    for name in ("labels.tif", "labels.png", "labels.ome.tif"):
        save(labels, tmp_path / name)
        again = open_labels(tmp_path / name)
        assert (again.synthetic, again.classes) == (BY, {1: "spot"})
    assert made((3, 8, 9)).select((1,)).synthetic == BY
    clean = without_patient(replace(made(), metadata={SYNTHETIC: BY, "nifti": {}}))
    assert dict(clean.metadata) == {SYNTHETIC: BY}


def test_formats_that_cannot_say_so_need_a_name_that_does(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"Let the name end in \.synthetic\.nii\.gz"):
        save(made(dtype="int16"), tmp_path / "a.nii.gz")
    assert not list(tmp_path.iterdir())
    save(made(dtype="int16"), tmp_path / "a.synthetic.nii.gz")
    assert "name of the file" in str(open_volume(tmp_path / "a.synthetic.nii.gz").synthetic)
    assert synthetic_mark(tmp_path / "a.synthetic.nii.gz")


def test_names() -> None:
    for name in ("x.synthetic.png", "d/x.Synthetic.nii.gz", "x.synthetic", "x.synthetic (1).jpg"):
        assert named_synthetic(name), name
    for name in (
        "synthetic.png",
        "x.synthetics.png",
        "d.synthetic/real.png",
        "synthetic_cells.tif",
    ):
        assert not named_synthetic(name), name


def test_what_is_no_image_is_not_marked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "a.tif").write_bytes(b"II*\0 broken")
    for name in ("a.png", "a.tif", "gone.png", "."):
        assert synthetic_mark(tmp_path / name) is None
