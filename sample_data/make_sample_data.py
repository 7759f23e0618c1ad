"""Make the sample images of this folder, their truth and their index.

Run ``python sample_data/make_sample_data.py`` to write everything anew, or add ``--check``
to compare what is on disk with what the script makes, without writing. Every array follows
from the seeds in `brain_phantom`, `nuclei_phantom`, `nuclei_volume_phantom` and `cell_phantom`; no
recorded image is read.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import brain_phantom  # noqa: E402
import cell_phantom  # noqa: E402
import nuclei_phantom  # noqa: E402
import nuclei_volume_phantom  # noqa: E402

Array = NDArray[Any]

# Different builds of NumPy and SciPy may round a handful of voxels the other way.
TOLERATED_SHARE = 1e-3
TABLE_START, TABLE_END = "<!-- table: written by make_sample_data.py -->", "<!-- end of table -->"

BRAIN_NOTES = {
    "brain_mri_1": "1 mm isotropic, stored RAS",
    "brain_mri_2": "1 mm isotropic, stored RAS; wide temporal horn, shorter hippocampus",
    "brain_mri_3": "1 mm isotropic, stored RAS; longer hippocampus, stronger deformation",
    "brain_mri_4": "1 x 1 x 2 mm, stored LAS (x runs to the left): a check of geometry",
}
NUCLEI_NOTES = {
    "nuclei_1": "140 thrown, some in contact, some out of focus",
    "nuclei_2": "fewer photons and more haze",
    "nuclei_3": "smaller and denser, brighter background",
    "nuclei_4": "another microscope: larger elongated nuclei, bright, noisy, strong vignetting",
}


def write_nifti(path: Path, array: Array, affine: Array, note: str) -> None:
    """Write a NIfTI-1 file in mm; the gzip header carries no time, so bytes repeat."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = note.encode()[:79]
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=9, mtime=0))


def write_tiff(path: Path, array: Array, spacing: list[float]) -> None:
    """Write a losslessly compressed ImageJ TIFF with its voxel size in micrometre."""
    per_um = 1.0 / spacing[-1]
    depth = {"spacing": spacing[0]} if array.ndim == 3 else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path,
        array,
        imagej=True,
        resolution=(per_um, per_um),
        metadata={"axes": "ZYX"[-array.ndim :], "unit": "um", **depth},
        compression="zlib",
        compressionargs={"level": 9},
    )


def write_png(path: Path, array: Array) -> None:
    """Write a colour picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, format="PNG", optimize=True)


def brain_entry(number: int, case: brain_phantom.BrainCase) -> dict[str, Any]:
    """Describe one brain crop for the index."""
    return {
        "key": "brain-mri" if number == 1 else f"brain-mri-{number}",
        "title": "Brain MRI (hippocampus)" if number == 1 else f"Brain MRI {number} (hippocampus)",
        "image": f"brain_mri/images/{case.name}.nii.gz",
        "labels": f"brain_mri/labels/{case.name}.nii.gz",
        "description": f"Synthetic T1-weighted MR crop, {BRAIN_NOTES[case.name]}.",
        "task": "semantic",
        "modality": "MR",
        "classes": {"1": "anterior hippocampus", "2": "posterior hippocampus"},
        "axes": "XYZ",
        "spacing": [float(s) for s in case.spacing],
        "unit": "mm",
    }


def nuclei_entry(number: int, case: nuclei_phantom.NucleiCase) -> dict[str, Any]:
    """Describe one field of nuclei for the index."""
    return {
        "key": "nuclei" if number == 1 else f"nuclei-{number}",
        "title": "Nuclei (fluorescence)" if number == 1 else f"Nuclei {number} (fluorescence)",
        "image": f"nuclei/images/{case.name}.tif",
        "labels": f"nuclei/labels/{case.name}.tif",
        "description": f"Synthetic fluorescence image of nuclei; {NUCLEI_NOTES[case.name]}.",
        "task": "instance",
        "modality": "fluorescence microscopy",
        "classes": {"1": "nucleus"},
        "axes": "YX",
        "spacing": [nuclei_phantom.PIXEL_UM] * 2,
        "unit": "µm",
    }


def volume_entry(case: nuclei_volume_phantom.VolumeCase) -> dict[str, Any]:
    """Describe a volume of nuclei for the index."""
    pixel = nuclei_volume_phantom.PIXEL_UM
    return {
        "key": "nuclei-volume",
        "title": "Nuclei in a volume (fluorescence)",
        "image": f"nuclei_volume/images/{case.name}.tif",
        "labels": f"nuclei_volume/labels/{case.name}.tif",
        "description": "Synthetic fluorescence volume of nuclei that touch, its slices twice as far apart as its pixels.",
        "task": "instance",
        "modality": "fluorescence microscopy",
        "classes": {"1": "nucleus"},
        "axes": "ZYX",
        "spacing": [round(pixel * case.spacing_z, 6), pixel, pixel],
        "unit": "µm",
    }


def write_volume(root: Path, case: nuclei_volume_phantom.VolumeCase) -> dict[str, Any]:
    """Write a volume of nuclei and its truth; return its entry."""
    entry, (image, labels) = volume_entry(case), nuclei_volume_phantom.make_volume(case)
    write_tiff(root / entry["image"], image, entry["spacing"])
    write_tiff(root / entry["labels"], labels, entry["spacing"])
    return finish_entry(root, entry, image, labels)


def pair_entry(case: nuclei_phantom.NucleiCase) -> dict[str, Any]:
    """Describe a noisy field for the index; its truth is the same field without noise."""
    return {
        "key": "nuclei-noisy",
        "title": "Noisy nuclei (fluorescence)",
        "image": f"nuclei_noisy/noisy/{case.name}.tif",
        "labels": f"nuclei_noisy/clean/{case.name}.tif",
        "description": "Synthetic fluorescence image of nuclei in very little light; its truth is the same without noise.",
        "task": "restoration",
        "modality": "fluorescence microscopy",
        "classes": {},
        "axes": "YX",
        "spacing": [nuclei_phantom.PIXEL_UM] * 2,
        "unit": "µm",
    }


def write_pair(root: Path, case: nuclei_phantom.NucleiCase) -> dict[str, Any]:
    """Write a noisy field and the same without noise; return its entry."""
    entry, (noisy, clean) = pair_entry(case), nuclei_phantom.make_pair(case)
    write_tiff(root / entry["image"], noisy, entry["spacing"])
    write_tiff(root / entry["labels"], clean, entry["spacing"])
    told = {"shape": list(noisy.shape), "dtype": str(noisy.dtype), "psnr_db": psnr(noisy, clean)}
    return {**entry, **told, **closing(root, entry)}


def psnr(image: Array, clean: Array) -> float:
    """Return the peak signal-to-noise ratio in dB, over the range of the clean image."""
    error = np.mean((image.astype(float) - clean) ** 2)
    return round(float(10 * np.log10(float(np.ptp(clean)) ** 2 / error)), 1)


def cell_entry(chosen: cell_phantom.CellSet) -> dict[str, Any]:
    """Describe one folder of cells for the index; its class folders, or a table, say what they are."""
    counts = {str(n): getattr(chosen, name) for n, name in enumerate(cell_phantom.CLASSES, 1)}
    said = "in class folders" if chosen.is_sorted else "a table among them says which are which"
    return {
        "key": "cells-sorted" if chosen.is_sorted else "cells",
        "title": "Stained cells, sorted" if chosen.is_sorted else "Stained cells",
        "image": f"cells/{chosen.name}",
        "labels": f"cells/{chosen.name}"
        if chosen.is_sorted
        else f"cells/{chosen.name}/classes.csv",
        "description": f"Synthetic bright-field pictures of single cells, normal and abnormal; {said}.",
        "task": "image_class",
        "modality": "bright-field microscopy",
        "classes": {str(n): name for n, name in enumerate(cell_phantom.CLASSES, 1)},
        "axes": "YXC",
        "spacing": [1.0, 1.0],
        "unit": "pixel",
        "images": chosen.normal + chosen.abnormal,
        "class_images": counts,
        "shape": [cell_phantom.SIZE, cell_phantom.SIZE, 3],
        "dtype": "uint8",
    }


def cell_table(made: list[tuple[str, str, Array]]) -> str:
    """Return a table of files and classes, as trainings read it."""
    rows = [f"{path},{name}" for path, name, _ in made]
    return "\n".join(["file,class", *rows]) + "\n"


def write_cells(root: Path, chosen: cell_phantom.CellSet) -> dict[str, Any]:
    """Write the pictures of a folder, and the table of one without class folders; return its entry."""
    entry, made = cell_entry(chosen), cell_phantom.make_set(chosen)
    for path, _, array in made:
        write_png(root / entry["image"] / path, array)
    if not chosen.is_sorted:
        (root / entry["labels"]).write_text(cell_table(made), encoding="utf-8", newline="\n")
    return entry | closing(root, entry)


def facts(image: Array, labels: Array) -> dict[str, Any]:
    """Return the numbers a reader of the index can check a loaded sample against."""
    found = {"shape": list(image.shape), "dtype": str(image.dtype)}
    if labels.dtype == np.uint16:
        sizes = np.bincount(labels.ravel())[1:]
        name = "median_area_px" if labels.ndim == 2 else "median_voxels"
        return {**found, "objects": len(sizes), name: float(np.median(sizes))}
    return {**found, "class_voxels": {str(c): int(np.sum(labels == c)) for c in (1, 2)}}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and bytes of the files of a folder, in hexadecimal digits."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [f"{sha256(p)}  {p.relative_to(path).as_posix()}\n" for p in path.rglob("*.png")]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def closing(root: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the licence and the checksums of the written files of an entry."""
    sums = {kind: sha256(root / entry[kind]) for kind in ("image", "labels")}
    return {"licence": "CC0-1.0", "sha256": sums}


def finish_entry(root: Path, entry: dict[str, Any], image: Array, labels: Array) -> dict[str, Any]:
    """Add facts and checksums of the written files to an entry."""
    return {**entry, **facts(image, labels), **closing(root, entry)}


def write_all(root: Path) -> dict[str, Any]:
    """Write all images, labels and ``index.json`` below `root` and return the index."""
    samples = []
    for number, brain in enumerate(brain_phantom.CASES, start=1):
        image, labels, affine = brain_phantom.make_brain(brain)
        entry = brain_entry(number, brain)
        write_nifti(root / entry["image"], image, affine, "synthetic T1w, CC0")
        write_nifti(root / entry["labels"], labels, affine, "1 anterior 2 posterior, CC0")
        samples.append(finish_entry(root, entry, image, labels))
    for number, field in enumerate(nuclei_phantom.CASES, start=1):
        image, labels = nuclei_phantom.make_nuclei(field)
        entry = nuclei_entry(number, field)
        write_tiff(root / entry["image"], image, entry["spacing"])
        write_tiff(root / entry["labels"], labels, entry["spacing"])
        samples.append(finish_entry(root, entry, image, labels))
    samples.append(write_volume(root, nuclei_volume_phantom.SAMPLE))
    samples.append(write_pair(root, nuclei_phantom.DIM))
    samples += [write_cells(root, cells) for cells in cell_phantom.SETS]
    index = {"version": 1, "defaults": ["brain-mri", "nuclei"], "samples": samples}
    text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
    (root / "index.json").write_text(text, encoding="utf-8")
    return index


def truth_of(sample: dict[str, Any]) -> str:
    """Say in a few words what the truth of an image is."""
    if "psnr_db" in sample:
        return f"the same without noise: the image has {sample['psnr_db']:g} dB PSNR"
    held = sample.get("class_voxels")
    if held:
        return f"anterior {held['1']}, posterior {held['2']} voxels"
    if "median_voxels" in sample:
        return f"{sample['objects']} nuclei, median {sample['median_voxels']:g} voxels"
    return f"{sample['objects']} nuclei, median {sample['median_area_px']:g} px"


def table_rows(sample: dict[str, Any]) -> list[str]:
    """Return the lines of one sample in the table of the README: its image and what is known of it."""
    shape = " × ".join(map(str, sample["shape"]))
    spacing = " × ".join(f"{v:g}" for v in sample["spacing"]) + f" {sample['unit']}"
    if "images" in sample:
        each = sample["class_images"]
        what = f"{sample['images']} {sample['dtype']} pictures"
        known = ", ".join(f"{each[n]} {name}" for n, name in sample["classes"].items())
    else:
        what, known = f"{sample['dtype']} image", truth_of(sample)
    sums, is_one = sample["sha256"], sample["image"] == sample["labels"]
    rows = [(sample["image"], f"{what}: {known}" if is_one else what, sums["image"])]
    if not is_one:
        rows.append((sample["labels"], known, sums["labels"]))
    return [f"| `{file}` | {shape} | {spacing} | {text} | `{sha}` |" for file, text, sha in rows]


def write_table(readme: Path, index: dict[str, Any]) -> None:
    """Renew the table of facts and checksums between the two markers of the README."""
    lines = ["| file | shape | spacing | what it holds | sha256 |", "|---|---|---|---|---|"]
    lines += [row for sample in index["samples"] for row in table_rows(sample)]
    before, rest = readme.read_text(encoding="utf-8").split(TABLE_START)
    after = rest.split(TABLE_END)[1]
    table = "\n".join([TABLE_START, *lines, TABLE_END])
    readme.write_text(before + table + after, encoding="utf-8")


def same(stored: Array, made: Array) -> bool:
    """Return whether two arrays agree in shape, dtype and all but a handful of values."""
    if stored.shape != made.shape or stored.dtype != made.dtype:
        return False
    return bool(np.mean(stored != made) <= TOLERATED_SHARE)


def check(root: Path) -> list[str]:
    """Return the paths below `root` that are missing or differ from what the script makes."""
    made: dict[str, Array] = {}
    for number, brain in enumerate(brain_phantom.CASES, start=1):
        entry = brain_entry(number, brain)
        made[entry["image"]], made[entry["labels"]], _ = brain_phantom.make_brain(brain)
    for number, field in enumerate(nuclei_phantom.CASES, start=1):
        entry = nuclei_entry(number, field)
        made[entry["image"]], made[entry["labels"]] = nuclei_phantom.make_nuclei(field)
    deep = volume_entry(nuclei_volume_phantom.SAMPLE)
    volume = nuclei_volume_phantom.make_volume(nuclei_volume_phantom.SAMPLE)
    made[deep["image"]], made[deep["labels"]] = volume
    pair = pair_entry(nuclei_phantom.DIM)
    made[pair["image"]], made[pair["labels"]] = nuclei_phantom.make_pair(nuclei_phantom.DIM)
    tables: dict[str, str] = {}
    for cells in cell_phantom.SETS:
        entry, pictures = cell_entry(cells), cell_phantom.make_set(cells)
        made |= {f"{entry['image']}/{path}": array for path, _, array in pictures}
        if not cells.is_sorted:
            tables[entry["labels"]] = cell_table(pictures)
    wrong = [path for path, array in made.items() if not _stored_equals(root / path, array)]
    return wrong + [path for path, text in tables.items() if _text(root / path) != text]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _stored_equals(path: Path, array: Array) -> bool:
    if not path.is_file():
        return False
    if path.suffix == ".gz":
        return same(np.asanyarray(nib.load(path).dataobj), array)
    if path.suffix == ".png":
        return same(np.asarray(Image.open(path)), array)
    return same(tifffile.imread(path), array)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the samples; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--check", action="store_true", help="compare with the files, write none")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        wrong = check(chosen.out)
        print("\n".join(f"differs or is missing: {p}" for p in wrong) or "all samples as made")
        return 1 if wrong else 0
    index = write_all(chosen.out)
    if (chosen.out / "README.md").is_file():
        write_table(chosen.out / "README.md", index)
    print(f"wrote {len(index['samples'])} samples to {chosen.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
