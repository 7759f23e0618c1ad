"""What there is to learn from, of this session and in folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.engine.files import open_pairs
from napari_apprentice.io import save
from napari_apprentice.session.material import Folders, describe_material

from .conftest import make_volume


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for number in (1, 2):
        image = make_volume(name=f"field_{number}")
        labels = np.zeros(image.grid.shape, np.uint8)
        labels[2:5, 3:8] = 2
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "labels").mkdir(exist_ok=True)
        save(image, tmp_path / "images" / f"field_{number}.tif")
        save(replace(image, data=labels), tmp_path / "labels" / f"field_{number}.tif")
    return Folders(tmp_path / "images", tmp_path / "labels")


def test_folders_are_paired_and_opened(folders: Folders) -> None:
    material, pairs = describe_material({}, folders)
    assert material.problem is None
    assert material.describe() == "2 labelled images in folders"
    items = run_to_end(open_pairs(pairs, known=[LabelClass(2, "nucleus")]))
    assert [item.name for item in items] == ["field_1", "field_2"]
    assert items[0].annotation.classes == (LabelClass(2, "nucleus"),)
    assert items[0].annotation.extent.whole
    assert items[0].annotation.labels.sum() == 2 * 15


def test_unnamed_values_get_names(folders: Folders) -> None:
    _, pairs = describe_material({}, folders)
    items = run_to_end(open_pairs(pairs))
    assert [c.name for c in items[0].annotation.classes] == ["class 2"]


def test_a_missing_partner_is_a_problem_in_words(folders: Folders) -> None:
    (folders.labels / "field_2.tif").unlink()
    material, pairs = describe_material({}, folders)
    assert "field_2" in str(material.problem)
    assert pairs == ()


def test_labels_with_colours_are_refused(folders: Folders) -> None:
    from PIL import Image

    picture = folders.labels / "field_1.png"
    colours = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    Image.fromarray(colours).save(picture)
    with pytest.raises(BadInputError):
        run_to_end(open_pairs(((folders.images / "field_1.tif", picture),)))


def test_nothing_at_all() -> None:
    material, _ = describe_material({}, None)
    assert material.problem is not None
    assert material.problem.startswith("Nothing to learn from yet")
