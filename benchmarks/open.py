"""Opening large volumes: time until the middle slice is there, and the memory it takes.

Ours is what the readers of the docks do: `open_volume`, then one slice. The others are what scripts do: ``tifffile.imread``,
nibabel's ``get_fdata``, MONAI's ``LoadImage``, then the same slice. Every measurement is a process of its own that has opened a
tiny file of the same format before, so that imports do not count. Files come from the page cache (they were just written).

::

    python benchmarks/open.py                        # makes 5 GB of files in a temporary folder
    python benchmarks/open.py --cases zarr dicom --scale 0.1
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _report import report


@dataclass(frozen=True)
class Case:
    """A kind of file: how it is made, how large, and who else opens it."""

    title: str
    shape: tuple[int, int, int]
    write: Callable[[Path, tuple[int, int, int]], Path]
    others: tuple[str, ...]


def plane(z: int, shape: tuple[int, int, int]) -> np.ndarray:
    """One plane of a volume that differs from the next."""
    line = np.arange(shape[2], dtype=np.uint16)
    return (line[None] + np.arange(shape[1], dtype=np.uint16)[:, None] + np.uint16(z)) % 4096


def planes(shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """All planes, one at a time."""
    return (plane(z, shape) for z in range(shape[0]))


# -- files ----------------------------------------------------------------------------------


def write_tiff(folder: Path, shape: tuple[int, int, int]) -> Path:
    """An OME-TIFF of one page per plane."""
    import tifffile

    path = folder / "large.ome.tif"
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        file.write(planes(shape), shape=shape, dtype=np.uint16, metadata={"axes": "ZYX"})
    return path


def write_nifti(folder: Path, shape: tuple[int, int, int]) -> Path:
    """A NIfTI-1 file, x fastest."""
    path = folder / "large.nii"
    with path.open("wb") as file:
        file.write(nifti_header(shape))
        for one in planes(shape):
            file.write(one.tobytes())
    return path


def write_nifti_gz(folder: Path, shape: tuple[int, int, int]) -> Path:
    """The same, gzipped."""
    path = folder / "large.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(nifti_header(shape))
        for one in planes(shape):
            file.write(one.tobytes())
    return path


def nifti_header(shape: tuple[int, int, int]) -> bytes:
    """Header with 1 mm voxels, and the four bytes after it."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint16)
    header.set_data_shape(shape[::-1])
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return bytes(header.binaryblock) + bytes(4)


def write_dicom(folder: Path, shape: tuple[int, int, int]) -> Path:
    """A CT series, one uncompressed file per slice."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    path = folder / "series"
    path.mkdir()
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for z, one in enumerate(planes(shape)):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
        data.file_meta.MediaStorageSOPClassUID = CTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID = series, study
        data.FrameOfReferenceUID, data.Modality = frame, "CT"
        data.InstanceNumber, data.ImagePositionPatient = z + 1, [0, 0, z]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.SliceThickness = [1, 1], 1
        data.Rows, data.Columns = one.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.PixelData = one.tobytes()
        data.save_as(path / f"{z:04d}.dcm", enforce_file_format=True)
    return path


def write_zarr(folder: Path, shape: tuple[int, int, int]) -> Path:
    """An OME-Zarr 0.4 of which only the chunks of the middle plane are there; the others are zero by the format's rule."""
    import zarr

    path = folder / "large.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    levels = [shape, tuple(n // 4 for n in shape)]
    for number, size in enumerate(levels):
        array = group.create_array(str(number), shape=size, chunks=(16, 512, 512), dtype=np.uint16)
        array[size[0] // 2] = plane(size[0] // 2, (size[0], size[1], size[2]))
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    scales = [[1.0] * 3, [4.0] * 3]
    datasets = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": s}]}
        for n, s in enumerate(scales)
    ]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


CASES = {
    "tiff": Case("OME-TIFF", (512, 1024, 2048), write_tiff, ("tifffile",)),
    "nii": Case("NIfTI .nii", (1024, 1024, 1024), write_nifti, ("nibabel", "monai")),
    "niigz": Case("NIfTI .nii.gz", (512, 512, 512), write_nifti_gz, ("nibabel", "monai")),
    "dicom": Case("DICOM series", (400, 512, 512), write_dicom, ("monai",)),
    "zarr": Case("OME-Zarr", (2000, 2048, 2048), write_zarr, ()),
}


# -- sides: a path to its middle slice ------------------------------------------------------


def with_ours(path: Path) -> Any:
    """The way of our readers."""
    from napari_apprentice import open_volume

    data = open_volume(path).data
    return np.asarray(data[data.shape[0] // 2])


def with_tifffile(path: Path) -> Any:
    """All pages, then one."""
    import tifffile

    data = tifffile.imread(path)
    return data[data.shape[0] // 2]


def with_nibabel(path: Path) -> Any:
    """All voxels as float64, then a slice."""
    import nibabel

    data = nibabel.load(path).get_fdata()
    return data[..., data.shape[2] // 2]


def with_monai(path: Path) -> Any:
    """All voxels as float32, then a slice; DICOM through pydicom."""
    from monai.transforms import LoadImage

    reader = "PydicomReader" if path.is_dir() else "NibabelReader"
    data = LoadImage(image_only=True, reader=reader)(path)
    return np.asarray(data[..., data.shape[2] // 2])


SIDES = {"ours": with_ours, "tifffile": with_tifffile, "nibabel": with_nibabel, "monai": with_monai}
NAMES = {
    "ours": "napari-apprentice",
    "tifffile": "tifffile.imread",
    "nibabel": "get_fdata",
    "monai": "MONAI LoadImage",
}


# -- measuring ------------------------------------------------------------------------------


def measure(side: str, tiny: Path, path: Path) -> None:
    """Open the tiny file, then the large one, and print what the large one took."""
    SIDES[side](tiny)
    # Forget the peak of what came before (Linux); see proc(5).
    Path("/proc/self/clear_refs").write_text("5")
    before, begin = status("VmRSS"), time.perf_counter()
    found = SIDES[side](path)
    seconds = time.perf_counter() - begin
    print(
        json.dumps({"seconds": seconds, "extra": status("VmHWM") - before, "max": int(found.max())})
    )


def status(field: str) -> int:
    """A size from this process's status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"expected {field} in /proc/self/status, found none")


def compare(name: str, scale: float) -> list[dict[str, object]]:
    """One row per side."""
    case = CASES[name]
    shape = (max(8, round(case.shape[0] * scale)), *case.shape[1:])
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, "tiny"), Path(folder, "large")]
        for place in places:
            place.mkdir()
        tiny = case.write(places[0], (8, 16, 16))
        path = case.write(places[1], shape)
        size = 2 * np.prod(shape, dtype=np.int64) / 1e9
        for side in ("ours", *case.others):
            command = [sys.executable, __file__, "--measure", side, str(tiny), str(path)]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(result.stdout.splitlines()[-1])
            rows.append(
                {
                    "file": f"{case.title}, {' × '.join(map(str, shape))}, {size:.1f} GB",
                    "opened with": NAMES[side],
                    "middle slice after (s)": found["seconds"],
                    "extra memory (MB)": found["extra"] / 1e6,
                    "time / ours": found["seconds"] / float(str(rows[0]["middle slice after (s)"]))
                    if rows
                    else 1.0,
                }
            )
            print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """Run the cases asked for and append a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the slices")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0], Path(given.measure[1]), Path(given.measure[2]))
        return
    rows = [row for name in given.cases for row in compare(name, given.scale)]
    note = "Each in a process of its own; files from the page cache. A gzipped file has to be unpacked up to the slice."
    report("Opening large volumes", rows, note)


if __name__ == "__main__":
    main()
