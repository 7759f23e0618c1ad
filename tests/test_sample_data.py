"""The samples: the script repeats itself, the files are what it makes, and they are sane."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import tifffile
from scipy import ndimage

FOLDER = Path(__file__).resolve().parents[1] / "sample_data"
INDEX: dict[str, Any] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
BRAINS = [s for s in INDEX["samples"] if s["task"] == "semantic"]
NUCLEI = [s for s in INDEX["samples"] if s["task"] == "instance"]


def by_key(sample: dict[str, Any]) -> str:
    return str(sample["key"])


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    try:
        import make_sample_data

        yield make_sample_data
    finally:
        sys.path[:] = [p for p in sys.path if p != str(FOLDER)]


def read(path: str) -> np.ndarray:
    if path.endswith(".tif"):
        return tifffile.imread(FOLDER / path)
    return np.asanyarray(nib.load(FOLDER / path).dataobj)


def test_index_lists_the_defaults_and_only_files_that_are_there() -> None:
    keys = [s["key"] for s in INDEX["samples"]]
    assert INDEX["defaults"] == ["brain-mri", "nuclei"]
    assert set(INDEX["defaults"]) <= set(keys)
    assert len(set(keys)) == len(keys) == 8
    listed = {s[kind] for s in INDEX["samples"] for kind in ("image", "labels")}
    stored = {
        p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.suffix in {".gz", ".tif"}
    }
    assert listed == stored


def test_all_files_are_small() -> None:
    files = [p for p in FOLDER.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 3_000_000
    assert all(p.stat().st_size < 200_000 for p in files if p.suffix == ".gz")


@pytest.mark.parametrize("sample", INDEX["samples"], ids=by_key)
def test_index_tells_shape_dtype_and_checksum(sample: dict[str, Any]) -> None:
    image = read(sample["image"])
    assert list(image.shape) == sample["shape"]
    assert str(image.dtype) == sample["dtype"]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for kind in ("image", "labels"):
        digest = hashlib.sha256((FOLDER / sample[kind]).read_bytes()).hexdigest()
        assert digest == sample["sha256"][kind]
        assert digest in readme


def test_files_are_what_the_script_makes(script: ModuleType) -> None:
    assert script.check(FOLDER) == []


def test_check_names_missing_and_altered_files(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = script.brain_phantom.CASES[3]
    made = script.brain_phantom.make_brain(case)
    monkeypatch.setattr(script.brain_phantom, "CASES", (case,))
    monkeypatch.setattr(script.brain_phantom, "make_brain", lambda _: made)
    monkeypatch.setattr(script.nuclei_phantom, "CASES", ())
    entry = script.brain_entry(1, case)
    script.write_nifti(tmp_path / entry["image"], made[0], made[2], "as made")
    assert script.check(tmp_path) == [entry["labels"]]
    script.write_nifti(tmp_path / entry["labels"], made[1][::-1], made[2], "mirrored")
    assert script.check(tmp_path) == [entry["labels"]]
    script.write_nifti(tmp_path / entry["labels"], made[1], made[2], "as made")
    assert script.check(tmp_path) == []


def test_same_seed_same_arrays_other_seed_other_arrays(script: ModuleType) -> None:
    brain = replace(script.brain_phantom.CASES[3], size_mm=(16, 20, 16))
    once, again = (script.brain_phantom.make_brain(brain) for _ in range(2))
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other = script.brain_phantom.make_brain(replace(brain, seed=brain.seed + 1))
    assert not np.array_equal(once[0], other[0])
    field = replace(script.nuclei_phantom.CASES[0], count=6)
    one, two = (script.nuclei_phantom.make_nuclei(field) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    changed = script.nuclei_phantom.make_nuclei(replace(field, seed=99))
    assert not np.array_equal(one[1], changed[1])


@pytest.mark.parametrize("sample", BRAINS, ids=by_key)
def test_brain_truth_lies_on_the_image(sample: dict[str, Any]) -> None:
    image, truth = (nib.load(FOLDER / sample[kind]) for kind in ("image", "labels"))
    assert image.shape == truth.shape
    np.testing.assert_array_equal(image.affine, truth.affine)
    np.testing.assert_allclose(nib.affines.voxel_sizes(image.affine), sample["spacing"])
    assert image.header.get_xyzt_units()[0] == sample["unit"]
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-5)


def test_brains_are_ras_but_for_the_fourth() -> None:
    codes = ["".join(nib.aff2axcodes(nib.load(FOLDER / s["image"]).affine)) for s in BRAINS]
    assert codes == ["RAS", "RAS", "RAS", "LAS"]
    assert BRAINS[3]["spacing"] == [1.0, 1.0, 2.0]


@pytest.mark.parametrize("sample", BRAINS, ids=by_key)
def test_brain_classes_are_whole_and_in_front_of_each_other(sample: dict[str, Any]) -> None:
    truth = read(sample["labels"])
    assert set(np.unique(truth)) == {0, 1, 2}
    counts = {str(c): int((truth == c).sum()) for c in (1, 2)}
    assert counts == sample["class_voxels"]
    assert ndimage.label(truth > 0)[1] == 1
    assert np.argwhere(truth == 1)[:, 1].mean() > np.argwhere(truth == 2)[:, 1].mean() + 10
    volume = np.prod(sample["spacing"]) * (truth > 0).sum()
    assert 2_400 < volume < 4_800, "a hippocampus has about 2.5 to 4.8 ml"


@pytest.mark.parametrize("sample", BRAINS, ids=by_key)
def test_brain_has_the_contrast_of_a_t1_image(sample: dict[str, Any]) -> None:
    image, truth = read(sample["image"]).astype(float), read(sample["labels"])
    white = np.percentile(image, 95)
    inside = truth > 0
    core = ndimage.binary_erosion(inside)
    ring = ndimage.binary_dilation(inside, iterations=2) & ~inside
    assert 0.40 < image[core].mean() / white < 0.65
    assert image[ring].mean() > image[core].mean() + 0.05 * white
    assert np.percentile(image, 1) < 0.25 * white, "CSF is dark"
    assert image.min() >= 0


def test_fourth_brain_is_on_the_left_side_in_patient_space() -> None:
    for sample in BRAINS:
        truth = nib.load(FOLDER / sample["labels"])
        middle = np.argwhere(np.asanyarray(truth.dataobj) > 0).mean(axis=0)
        right, anterior, superior = nib.affines.apply_affine(truth.affine, middle)
        assert -40 < right < -15
        assert -40 < anterior < 0
        assert -30 < superior < 0


@pytest.mark.parametrize("sample", NUCLEI, ids=by_key)
def test_nuclei_ids_run_without_gaps_and_each_is_one_piece(sample: dict[str, Any]) -> None:
    labels = read(sample["labels"])
    assert labels.dtype == np.uint16
    ids = np.unique(labels)
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    assert len(ids) - 1 == sample["objects"]
    assert 95 <= sample["objects"] <= 155
    for label, box in enumerate(ndimage.find_objects(labels.astype(int)), start=1):
        assert ndimage.label(labels[box] == label)[1] == 1


@pytest.mark.parametrize("sample", NUCLEI, ids=by_key)
def test_nuclei_files_carry_the_pixel_size(sample: dict[str, Any]) -> None:
    for kind in ("image", "labels"):
        with tifffile.TiffFile(FOLDER / sample[kind]) as file:
            assert file.imagej_metadata is not None
            assert file.imagej_metadata["unit"] == "um"
            pixels, length = file.pages[0].tags["XResolution"].value
            assert length / pixels == pytest.approx(0.25)
            assert file.series[0].axes == "YX"


@pytest.mark.parametrize("sample", NUCLEI, ids=by_key)
def test_nuclei_stand_out_and_some_touch(sample: dict[str, Any]) -> None:
    image, labels = read(sample["image"]).astype(float), read(sample["labels"])
    far = image[ndimage.distance_transform_edt(labels == 0) > 6]
    inside = image[labels > 0]
    assert np.median(inside) > np.median(far) + 3 * far.std()
    assert image.max() < np.iinfo(np.uint16).max, "nothing is saturated"
    assert np.mean(image == 0) < 1e-3
    pieces = ndimage.label(labels > 0)[1]
    assert pieces < sample["objects"] - 10, "touching nuclei share a piece"


def test_the_fourth_field_differs_from_the_others() -> None:
    areas = [s["median_area_px"] for s in NUCLEI]
    assert all(350 < a < 550 for a in areas[:3])
    assert areas[3] > 1.4 * max(areas[:3])
    levels = [np.percentile(read(s["image"]), 99) for s in NUCLEI]
    assert levels[3] > 3 * max(levels[:3])


def test_script_writes_a_complete_folder(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain = replace(script.brain_phantom.CASES[3], size_mm=(16, 20, 16))
    field = replace(script.nuclei_phantom.CASES[0], count=6)
    monkeypatch.setattr(script.brain_phantom, "CASES", (brain,))
    monkeypatch.setattr(script.nuclei_phantom, "CASES", (field,))
    assert script.main(["--out", str(tmp_path)]) == 0
    index = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    assert [s["task"] for s in index["samples"]] == ["semantic", "instance"]
    assert script.main(["--out", str(tmp_path), "--check"]) == 0
    (tmp_path / index["samples"][1]["image"]).unlink()
    assert script.main(["--out", str(tmp_path), "--check"]) == 1
