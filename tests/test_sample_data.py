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
from PIL import Image
from scipy import ndimage

FOLDER = Path(__file__).resolve().parents[1] / "sample_data"
INDEX: dict[str, Any] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
BRAINS = [s for s in INDEX["samples"] if s["task"] == "semantic"]
OBJECTS = [s for s in INDEX["samples"] if s["task"] == "instance"]
NUCLEI = [s for s in OBJECTS if s["axes"] == "YX"]
(DEEP,) = (s for s in OBJECTS if s["axes"] == "ZYX")
PAIRS = [s for s in INDEX["samples"] if s["task"] == "restoration"]
CELLS = [s for s in INDEX["samples"] if s["task"] == "image_class"]


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
    if path.endswith(".png"):
        return np.asarray(Image.open(FOLDER / path))
    return np.asanyarray(nib.load(FOLDER / path).dataobj)


def test_index_lists_the_defaults_and_only_files_that_are_there() -> None:
    keys = [s["key"] for s in INDEX["samples"]]
    assert INDEX["defaults"] == ["brain-mri", "nuclei"]
    assert set(INDEX["defaults"]) <= set(keys)
    assert len(set(keys)) == len(keys) == 12
    listed = {FOLDER / s[kind] for s in INDEX["samples"] for kind in ("image", "labels")}
    listed |= {p for folder in listed for p in folder.rglob("*") if p.is_file()}
    kinds = {".gz", ".tif", ".png", ".csv"}
    assert {p for p in listed if p.is_file()} == {p for p in FOLDER.rglob("*") if p.suffix in kinds}


def test_all_files_are_small() -> None:
    files = [p for p in FOLDER.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 3_500_000
    assert all(p.stat().st_size < 200_000 for p in files if p.suffix == ".gz")
    assert sum(p.stat().st_size for p in files if p.suffix == ".png") < 600_000


def sha256_of(path: Path) -> str:
    """Checksum of a file, or of what sha256sum writes for the pictures of a folder, sorted."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    found = {p.relative_to(path).as_posix(): sha256_of(p) for p in path.rglob("*.png")}
    lines = sorted(f"{digest}  {name}\n" for name, digest in found.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("sample", INDEX["samples"], ids=by_key)
def test_index_tells_shape_dtype_and_checksum(sample: dict[str, Any]) -> None:
    place = FOLDER / sample["image"]
    paths = [place] if place.is_file() else sorted(place.rglob("*.png"))
    assert len(paths) == sample.get("images", 1)
    for path in paths:
        image = read(str(path))
        assert list(image.shape) == sample["shape"]
        assert str(image.dtype) == sample["dtype"]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for kind in ("image", "labels"):
        digest = sha256_of(FOLDER / sample[kind])
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
    monkeypatch.setattr(script.cell_phantom, "SETS", ())
    without_volume(script, tmp_path, monkeypatch)
    pair = without_pair(script, tmp_path, monkeypatch)
    entry = script.brain_entry(1, case)
    script.write_nifti(tmp_path / entry["image"], made[0], made[2], "as made")
    assert script.check(tmp_path) == [entry["labels"]]
    script.write_nifti(tmp_path / entry["labels"], made[1][::-1], made[2], "mirrored")
    assert script.check(tmp_path) == [entry["labels"]]
    script.write_nifti(tmp_path / entry["labels"], made[1], made[2], "as made")
    assert script.check(tmp_path) == []
    (tmp_path / pair["image"]).unlink()
    assert script.check(tmp_path) == [pair["image"]]


def without_pair(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Write a tiny pair in place of the real one; return its entry."""
    tiny = np.zeros((8, 8), np.uint16), np.arange(64, dtype=np.uint16).reshape(8, 8)
    monkeypatch.setattr(script.nuclei_phantom, "make_pair", lambda _: tiny)
    return dict(script.write_pair(folder, script.nuclei_phantom.DIM))


def without_volume(script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a tiny volume of nuclei in place of the real one."""
    tiny = np.zeros((2, 8, 8), np.uint16), np.ones((2, 8, 8), np.uint16)
    monkeypatch.setattr(script.nuclei_volume_phantom, "make_volume", lambda _: tiny)
    script.write_volume(folder, script.nuclei_volume_phantom.SAMPLE)


def test_nuclei_of_the_volume_are_whole_brighter_than_around_and_tell_their_voxel_size() -> None:
    image, truth = read(DEEP["image"]).astype(float), read(DEEP["labels"])
    sizes = np.bincount(truth.ravel())[1:]
    assert len(sizes) == DEEP["objects"]
    assert sizes.min() >= 120
    assert np.median(sizes) == DEEP["median_voxels"]
    boxes = ndimage.find_objects(truth)
    pieces = [ndimage.label(truth[box] == n)[1] for n, box in enumerate(boxes, 1)]
    assert set(pieces) == {1}
    assert image[truth > 0].mean() > 3 * (image[truth == 0].mean() - 10)
    with tifffile.TiffFile(FOLDER / DEEP["image"]) as file:
        told = file.imagej_metadata
        assert told is not None
        assert (told["spacing"], told["unit"]) == (DEEP["spacing"][0], "um")


def test_volumes_drawn_at_random_repeat_themselves_and_differ(script: ModuleType) -> None:
    phantom = script.nuclei_volume_phantom
    cases = [phantom.random_case(seed) for seed in (1, 1, 2)]
    assert cases[0] == cases[1] != cases[2]
    few = [replace(case, shape=(8, 32, 32), fill=0.1) for case in cases]
    (one, said), (again, _), (other, _) = map(phantom.make_volume, few)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == said.shape == (8, 32, 32)
    assert said.max() > 0
    assert set(np.unique(said)) == set(range(said.max() + 1))


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
    few = replace(script.cell_phantom.SETS[1], normal=2, abnormal=1)
    first, second, third = (
        script.cell_phantom.make_set(s) for s in (few, few, replace(few, seed=99))
    )
    for (path, name, cell), (_, _, again), (_, _, other) in zip(first, second, third, strict=True):
        assert (path, name) in {(p, n) for p, n, _ in second}
        np.testing.assert_array_equal(cell, again)
        assert not np.array_equal(cell, other)


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
    cells = tuple(replace(s, normal=2, abnormal=1) for s in script.cell_phantom.SETS)
    monkeypatch.setattr(script.cell_phantom, "SETS", cells)
    deep = replace(script.nuclei_volume_phantom.SAMPLE, shape=(8, 32, 32), fill=0.1)
    monkeypatch.setattr(script.nuclei_volume_phantom, "SAMPLE", deep)
    assert script.main(["--out", str(tmp_path)]) == 0
    index = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    tasks = ["semantic", "instance", "instance", "restoration", "image_class", "image_class"]
    assert [s["task"] for s in index["samples"]] == tasks
    assert script.main(["--out", str(tmp_path), "--check"]) == 0
    (tmp_path / index["samples"][1]["image"]).unlink()
    assert script.main(["--out", str(tmp_path), "--check"]) == 1


def test_check_names_a_missing_cell_and_an_altered_table(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = tuple(replace(s, normal=2, abnormal=1) for s in script.cell_phantom.SETS)
    monkeypatch.setattr(script.cell_phantom, "SETS", cells)
    for module in (script.brain_phantom, script.nuclei_phantom):
        monkeypatch.setattr(module, "CASES", ())
    without_volume(script, tmp_path, monkeypatch)
    without_pair(script, tmp_path, monkeypatch)
    for chosen in cells:
        script.write_cells(tmp_path, chosen)
    assert script.check(tmp_path) == []
    (tmp_path / "cells/sorted/abnormal/abnormal_01.png").unlink()
    script.write_png(tmp_path / "cells/unsorted/cell_02.png", np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "cells/unsorted/classes.csv").write_text("file,class\n", encoding="utf-8")
    assert script.check(tmp_path) == [
        "cells/sorted/abnormal/abnormal_01.png",
        "cells/unsorted/cell_02.png",
        "cells/unsorted/classes.csv",
    ]


def test_cells_are_what_folders_and_table_say() -> None:
    unsorted, known = (next(s for s in CELLS if s["key"] == k) for k in ("cells", "cells-sorted"))
    counts = {str(f.name): len(list(f.iterdir())) for f in (FOLDER / known["image"]).iterdir()}
    assert counts == {known["classes"][n]: m for n, m in known["class_images"].items()}
    rows = (FOLDER / unsorted["labels"]).read_text(encoding="utf-8").split()
    assert rows[0] == "file,class"
    said = dict(row.split(",") for row in rows[1:])
    assert set(said) == {p.name for p in (FOLDER / unsorted["image"]).glob("*.png")}
    given = list(said.values())
    for number, name in unsorted["classes"].items():
        assert given.count(name) == unsorted["class_images"][number]


def test_noise_is_all_that_sets_a_noisy_field_apart() -> None:
    (sample,) = PAIRS
    noisy, clean = (read(sample[kind]).astype(float) for kind in ("image", "labels"))
    noise = noisy - clean
    assert abs(noise.mean()) < 0.5
    light = (clean - 100) / 20
    spread = np.sqrt(400 * light + 144)  # of photons, 20 counts each, and of reading them
    assert (noise / spread).std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02
    error = 20 * np.log10(np.ptp(clean)) - 10 * np.log10((noise**2).mean())
    assert round(error, 1) == sample["psnr_db"]
    for kind in ("image", "labels"):
        with tifffile.TiffFile(FOLDER / sample[kind]) as file:
            assert file.imagej_metadata is not None
            assert file.imagej_metadata["unit"] == "um"


def darkness(path: Path) -> tuple[float, float]:
    """Share of dark pixels around the middle, and the mean of those that are not."""
    red = read(str(path))[..., 0].astype(float)
    dark = red[12:52, 12:52] < 0.62 * np.percentile(red, 95)
    return dark.mean(), red[12:52, 12:52][~dark].mean()


def test_abnormal_cells_have_more_nucleus_but_the_classes_overlap() -> None:
    facts = {
        name: np.array([darkness(p) for p in sorted((FOLDER / "cells/sorted" / name).iterdir())])
        for name in ("normal", "abnormal")
    }
    one, other = (facts[name][:, 0] for name in ("normal", "abnormal"))
    above = (other[:, np.newaxis] > one).mean()  # the area under a ROC curve
    assert 0.80 < above < 0.99
    one, other = (facts[name][:, 1] for name in ("normal", "abnormal"))
    assert 0.35 < (other[:, np.newaxis] > one).mean() < 0.65, "light and stain tell nothing"


def test_no_cell_is_there_twice() -> None:
    cells = sorted((FOLDER / "cells").rglob("*.png"))
    assert len({read(str(p)).tobytes() for p in cells}) == len(cells) == 120
