"""Make the sample images of this folder, their truth and their index.

Run ``python sample_data/make_sample_data.py`` to write everything anew, or add ``--check``
to compare what is on disk with what the script makes, without writing. Every array follows
from the seeds in `brain_phantom` and `nuclei_phantom`; no recorded image is read.
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

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import brain_phantom  # noqa: E402
import nuclei_phantom  # noqa: E402

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


def write_tiff(path: Path, array: Array) -> None:
    """Write a losslessly compressed ImageJ TIFF with its pixel size in micrometre."""
    per_um = 1.0 / nuclei_phantom.PIXEL_UM
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path,
        array,
        imagej=True,
        resolution=(per_um, per_um),
        metadata={"axes": "YX", "unit": "um"},
        compression="zlib",
        compressionargs={"level": 9},
    )


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


def facts(image: Array, labels: Array) -> dict[str, Any]:
    """Return the numbers a reader of the index can check a loaded sample against."""
    found = {"shape": list(image.shape), "dtype": str(image.dtype)}
    if labels.dtype == np.uint16:
        areas = np.bincount(labels.ravel())[1:]
        return {**found, "objects": len(areas), "median_area_px": float(np.median(areas))}
    return {**found, "class_voxels": {str(c): int(np.sum(labels == c)) for c in (1, 2)}}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def finish_entry(root: Path, entry: dict[str, Any], image: Array, labels: Array) -> dict[str, Any]:
    """Add facts and checksums of the written files to an entry."""
    sums = {kind: sha256(root / entry[kind]) for kind in ("image", "labels")}
    return {**entry, **facts(image, labels), "licence": "CC0-1.0", "sha256": sums}


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
        write_tiff(root / entry["image"], image)
        write_tiff(root / entry["labels"], labels)
        samples.append(finish_entry(root, entry, image, labels))
    index = {"version": 1, "defaults": ["brain-mri", "nuclei"], "samples": samples}
    text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
    (root / "index.json").write_text(text, encoding="utf-8")
    return index


def write_table(readme: Path, index: dict[str, Any]) -> None:
    """Renew the table of facts and checksums between the two markers of the README."""
    lines = ["| file | shape | spacing | what it holds | sha256 |", "|---|---|---|---|---|"]
    for s in index["samples"]:
        shape = " × ".join(map(str, s["shape"]))
        spacing = " × ".join(f"{v:g}" for v in s["spacing"]) + f" {s['unit']}"
        lines.append(
            f"| `{s['image']}` | {shape} | {spacing} | {s['dtype']} image | `"
            f"{s['sha256']['image']}` |"
        )
        held = s.get("class_voxels")
        what = (
            f"anterior {held['1']}, posterior {held['2']} voxels"
            if held
            else f"{s['objects']} nuclei, median {s['median_area_px']:g} px"
        )
        lines.append(
            f"| `{s['labels']}` | {shape} | {spacing} | {what} | `{s['sha256']['labels']}` |"
        )
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
    return [path for path, array in made.items() if not _stored_equals(root / path, array)]


def _stored_equals(path: Path, array: Array) -> bool:
    if not path.is_file():
        return False
    if path.suffix == ".gz":
        return same(np.asanyarray(nib.load(path).dataobj), array)
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
