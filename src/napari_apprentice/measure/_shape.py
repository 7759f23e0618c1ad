"""Size, shape and place of one object, in physical units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import ConvexHull
from skimage.measure import marching_cubes, mesh_surface_area

from .diameter import equivalent_diameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid

    from ._regions import Region

__all__ = ["centre_of", "place_of", "shape_of", "size_of"]

Values = dict[str, Any]
_SIZE = {2: "area ({u}²)", 3: "volume ({u}³)"}
_CUTS = np.array([0, 1, 1, 0, 1, 0, 2, 1, 1, 2, 0, 1, 0, 1, 1, 0])
_ALONG_X = np.array([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
_ALONG_Y = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
_SHARES = np.array([0, 1, 1, 4, 1, 4, 2, 7, 1, 2, 4, 7, 4, 7, 7, 8]) / 8
"""Of a square between the centres of four pixels, by which of them (1, 2; 4, 8) are inside: corners that the outline cuts
off, whether it goes straight through, and what share of the square it encloses. Pixels at a corner only are apart."""
_AXES = {2: ("major", "minor"), 3: ("major", "middle", "minor")}


def place_of(region: Region, grid: Grid) -> Values:
    """Centroid in world coordinates, box, and whether the object is cut off by the image's border."""
    values: Values = {}
    for axis, at in zip(grid.axes, grid.to_world(centre_of(region)), strict=True):
        values[f"centroid {axis.lower()} ({{u}})"] = float(at)
    for axis, part in zip(grid.axes, region.box, strict=True):
        values[f"box start {axis.lower()} (voxel)"] = int(part.start)
    for axis, part, step in zip(grid.axes, region.box, grid.spacing, strict=True):
        values[f"box {axis.lower()} ({{u}})"] = (part.stop - part.start) * step
    ends = zip(region.box, grid.shape, strict=True)
    values["touches border"] = any(p.start == 0 or p.stop == length for p, length in ends)
    return values


def centre_of(region: Region) -> NDArray[np.float64]:
    """Mean index of its voxels along each axis of the array."""
    start = [part.start for part in region.box]
    return np.asarray([axis.mean() for axis in region.inside] + np.array(start))


def size_of(region: Region, grid: Grid) -> Values:
    """Voxels, and the area or volume they fill."""
    voxels = len(region.inside[0])
    return {"voxels": voxels, _SIZE[grid.ndim]: voxels * grid.voxel_size}


def shape_of(region: Region) -> Values:
    """Diameter, axes, roundness, solidity and outline.

    Axes are those of the ellipse or ellipsoid with the same second moments, of voxels that are boxes, not points.
    The outline is the mesh half way between voxel centres inside and outside (marching squares or cubes), and
    circularity and sphericity compare its length or surface with what it encloses: the convention of the Image
    Biomarker Standardisation Initiative (Zwanenburg et al., Radiology 295(2), 2020).
    """
    ndim, spacing = region.mask.ndim, region.spacing
    size = float(len(region.inside[0]) * np.prod(spacing))
    lengths = _axes_lengths(region)
    values: Values = {"equivalent diameter ({u})": float(equivalent_diameter(size, ndim))}
    for name, length in zip(_AXES[ndim], lengths, strict=True):
        values[f"{name} axis ({{u}})"] = length
    values["elongation"] = 1 - lengths[-1] / lengths[0]
    values["eccentricity"] = math.sqrt(max(0.0, 1 - (lengths[-1] / lengths[0]) ** 2))
    values["solidity"] = _solidity(region)
    return values | (_outline_2d(region) if ndim == 2 else _outline_3d(region))


def _axes_lengths(region: Region) -> list[float]:
    """Full lengths, longest first."""
    spacing = np.array(region.spacing)
    inside = np.stack(region.inside).astype(float)
    centred = inside - inside.mean(axis=1, keepdims=True)
    spread = centred @ centred.T / inside.shape[1] * np.outer(spacing, spacing)
    moments = np.linalg.eigvalsh(spread + np.diag(spacing**2 / 12))
    factor = 4.0 if len(spacing) == 2 else 2 * math.sqrt(5)
    return [factor * math.sqrt(moment) for moment in moments[::-1]]


def _solidity(region: Region) -> float:
    """Share of the convex hull of its voxels' faces that is filled; the same for any spacing.

    Like scikit-image's hull, which spans the middles of faces, but without drawing it, which takes ten times as long. Of
    each line of voxels the first and the last tell where the hull is.
    """
    mask = region.mask
    if mask.all():
        return 1.0
    lines = np.argwhere(mask.any(axis=-1))
    along = mask[tuple(lines.T)]
    first, last = along.argmax(axis=1), along.shape[1] - 1 - along[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([lines, first]), np.column_stack([lines, last])])
    half = 0.5 * np.eye(mask.ndim)
    faces = (ends[:, np.newaxis] + np.concatenate([half, -half])).reshape(-1, mask.ndim)
    return min(1.0, float(len(region.inside[0]) / ConvexHull(faces).volume))


def _outline_2d(region: Region) -> Values:
    """Marching squares in closed form: what each kind of a square of four pixels adds."""
    padded = np.pad(region.mask, 1).astype(np.uint8)
    upper, lower = padded[:-1], padded[1:]
    kinds = upper[:, :-1] + 2 * upper[:, 1:] + 4 * lower[:, :-1] + 8 * lower[:, 1:]
    counts = np.bincount(kinds.ravel(), minlength=16)
    y, x = region.spacing
    length = float(counts @ (_CUTS * math.hypot(y, x) / 2 + _ALONG_X * x + _ALONG_Y * y))
    area = float(counts @ _SHARES) * y * x
    return {"perimeter ({u})": length, "circularity": 4 * math.pi * area / length**2}


def _outline_3d(region: Region) -> Values:
    padded = np.pad(region.mask, 1).astype(np.float32)
    points, faces, _, _ = marching_cubes(padded, 0.5, spacing=region.spacing)
    surface = float(mesh_surface_area(points, faces))
    enclosed = _enclosed(points.astype(float), faces)
    return {
        "surface ({u}²)": surface,
        "sphericity": math.pi ** (1 / 3) * (6 * enclosed) ** (2 / 3) / surface,
    }


def _enclosed(points: NDArray[Any], faces: NDArray[Any]) -> float:
    """Volume inside a closed mesh: the sum of its tetrahedra with the origin."""
    first, second, third = (points[faces[:, corner]] for corner in range(3))
    return abs(float(np.einsum("ij,ij->", first, np.cross(second, third)))) / 6
