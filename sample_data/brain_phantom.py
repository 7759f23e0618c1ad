"""A procedural T1-weighted crop around one hippocampus, with its truth.

No voxel of any scan enters: the anatomy is a set of surfaces with textbook dimensions
(hippocampus about 40 mm long, head 16 mm and body 12 mm wide), evaluated on a grid of
half a millimetre in randomly warped coordinates. Averaging that grid into voxels gives the
partial volume, then follow a bias field and Rician noise (Gudbjartsson and Patz, 1995).

Axes are x, y, z towards Right, Anterior, Superior. All lengths are mm, measured from the
centre of the crop. The side shown is the left one, so lateral is low x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

Array = NDArray[Any]

FINE_MM = 0.5
TISSUES = {
    "csf": 0.09,
    "hippocampus": 0.47,
    "amygdala": 0.60,
    "cortex": 0.53,
    "thalamus": 0.80,
    "white": 0.88,
    "band": 0.94,
    "vessel": 1.45,
}
# Centre line and full width and height of the coronal section, from the tip of the head
# (first) to the tip of the tail (last), in mm.
STATIONS = np.linspace(0.0, 1.0, 11)
CENTRE_X = (2.4, 0.6, -1.4, -3.0, -4.6, -5.7, -5.6, -4.6, -3.0, -0.8, 1.2)
CENTRE_Z = (-8.8, -7.8, -6.4, -5.0, -3.8, -2.6, -1.3, 0.2, 2.3, 5.0, 7.2)
WIDTH = (7.0, 14.4, 16.4, 16.0, 14.0, 12.6, 12.2, 12.2, 12.2, 11.6, 6.0)
HEIGHT = (5.2, 9.4, 10.6, 10.0, 8.6, 7.6, 7.2, 7.4, 8.0, 8.8, 5.0)


@dataclass(frozen=True)
class BrainCase:
    """What distinguishes one crop from another; lengths in mm, intensities relative to 1."""

    name: str
    seed: int
    size_mm: tuple[int, int, int] = (36, 52, 36)
    spacing: tuple[int, int, int] = (1, 1, 1)
    origin: tuple[float, float, float] = (-45.0, -47.0, -33.0)
    flip_x: bool = False
    length: float = 39.0
    head_share: float = 0.41
    thickness: float = 0.9
    tail_thickness: float = 1.0
    horn: float = 1.4
    warp: float = 0.9
    grey_shift: float = 0.0
    blur: float = 0.35
    bias: float = 0.10
    noise: float = 0.04
    white_level: float = 800.0


CASES = (
    BrainCase("brain_mri_1", 114, tail_thickness=1.12, grey_shift=0.03, bias=0.10),
    BrainCase(
        "brain_mri_2",
        202,
        size_mm=(37, 50, 34),
        origin=(-44.0, -44.0, -31.0),
        length=37.0,
        tail_thickness=1.1,
        horn=2.2,
        grey_shift=0.03,
        bias=0.10,
        white_level=1150.0,
    ),
    BrainCase(
        "brain_mri_3",
        303,
        size_mm=(34, 54, 38),
        origin=(-46.0, -50.0, -36.0),
        length=41.0,
        thickness=0.93,
        tail_thickness=1.1,
        horn=1.0,
        warp=1.1,
        grey_shift=0.04,
        bias=0.13,
        white_level=420.0,
    ),
    BrainCase(
        "brain_mri_4",
        404,
        size_mm=(36, 52, 40),
        spacing=(1, 1, 2),
        origin=(-45.0, -48.0, -35.0),
        flip_x=True,
        tail_thickness=1.1,
        horn=1.8,
        grey_shift=0.02,
        bias=0.11,
        white_level=650.0,
    ),
)


@dataclass(frozen=True)
class Frame:
    """Warped coordinates of the fine grid and the hippocampus section at each of its voxels."""

    x: Array
    y: Array
    z: Array
    t: Array
    u: Array
    v: Array
    half_width: Array
    half_height: Array


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Array:
    """Return Gaussian noise low-passed with `sigma` (voxels), mean 0 and deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


def build_frame(case: BrainCase, rng: np.random.Generator) -> Frame:
    """Lay out the fine grid, warp it, and find the section of the hippocampus at each voxel."""
    shape = tuple(round(n / FINE_MM) for n in case.size_mm)
    axes = [(np.arange(n) + 0.5) * FINE_MM - n * FINE_MM / 2 for n in shape]
    grid = np.meshgrid(*axes, indexing="ij")
    coarse = [case.warp * smooth_field(rng, shape, 7 / FINE_MM) for _ in range(3)]
    fine = [0.35 * smooth_field(rng, shape, 1.8 / FINE_MM) for _ in range(3)]
    x, y, z = (g + c + f for g, c, f in zip(grid, coarse, fine, strict=True))
    t = (case.length / 2 - y) / case.length
    inside = np.clip(t, 0.0, 1.0)
    tail = 1.0 + (case.tail_thickness - 1.0) * np.clip((inside - 0.45) / 0.3, 0.0, 1.0)
    grow = case.thickness * tail
    half_width = _along(WIDTH, inside) / 2 * grow
    half_height = _along(HEIGHT, inside) / 2 * grow
    slope = np.deg2rad(-12.0 + 14.0 * inside)
    dx, dz = x - _along(CENTRE_X, inside), z - _along(CENTRE_Z, inside)
    u = np.cos(slope) * dx + np.sin(slope) * dz
    v = -np.sin(slope) * dx + np.cos(slope) * dz
    v = v + 0.012 * u**2 - 0.3
    return Frame(x, y, z, t, u, v, half_width, half_height)


def _along(stations: tuple[float, ...], t: Array) -> Array:
    return np.asarray(PchipInterpolator(STATIONS, stations)(t))


def hippocampus_mask(f: Frame) -> Array:
    """Sweep a bean-shaped section along the centre line; the head carries digitations."""
    head = np.exp(-(((f.t - 0.24) / 0.10) ** 2))
    top = f.half_height + 0.55 * head * np.cos(2 * np.pi * f.u / 5.2)
    height = np.where(f.v > 0, top, f.half_height)
    section = (np.abs(f.u) / f.half_width) ** 2.3 + (np.abs(f.v) / height) ** 2.3
    # Beyond both tips the section shrinks, so that the ends are round and not cut.
    over = np.maximum(np.maximum(-f.t, f.t - 1.0), 0.0) * 14.0
    return np.asarray(section + over**2 < 1.0)


def ellipsoid(
    f: Frame, centre: tuple[float, ...], radii: tuple[float, ...], wobble: Array
) -> Array:
    """Return 0..1, 1 inside an uneven ellipsoid (centre, radii in mm), with a soft border."""
    axes = zip((f.x, f.y, f.z), centre, radii, strict=True)
    radius = np.sqrt(sum((((a - c) / r) ** 2 for a, c, r in axes), np.zeros(f.x.shape)))
    return np.asarray(np.clip(0.5 + (1.0 - radius + 0.11 * wobble) / 0.34, 0.0, 1.0))


def distance_to(mask: Array) -> Array:
    """Return the distance in mm of every fine voxel from `mask` (0 inside it)."""
    return np.asarray(ndimage.distance_transform_edt(~mask)) * FINE_MM


def sheet(f: Frame, start: tuple[float, float], end: tuple[float, float], half: float) -> Array:
    """Return a sulcus: a sheet along y between two points (dx, dz) below the hippocampus."""
    dx, dz = f.x - _along(CENTRE_X, np.clip(f.t, 0, 1)), f.z - _along(CENTRE_Z, np.clip(f.t, 0, 1))
    ax, az = end[0] - start[0], end[1] - start[1]
    along = np.clip(((dx - start[0]) * ax + (dz - start[1]) * az) / (ax * ax + az * az), 0, 1)
    bend = 1.2 * np.sin(np.pi * along)
    gap = np.hypot(dx - start[0] - along * ax - bend, dz - start[1] - along * az)
    return np.asarray(gap < half)


def paint_tissue(case: BrainCase, f: Frame, rng: np.random.Generator) -> tuple[Array, Array]:
    """Paint all structures, back to front, and return the tissue values and the hippocampus."""
    level = {**TISSUES}
    for grey in ("hippocampus", "cortex", "amygdala"):
        level[grey] += case.grey_shift
    hippo = hippocampus_mask(f)
    away = distance_to(hippo)
    wobble = smooth_field(rng, f.x.shape, 3 / FINE_MM)
    value = level["white"] + 0.035 * smooth_field(rng, f.x.shape, 2.5 / FINE_MM)
    value += 0.025 * smooth_field(rng, f.x.shape, 0.9 / FINE_MM)
    blend(value, level["thalamus"], ellipsoid(f, (9.0, -7.0, 15.0), (13.0, 14.0, 9.0), wobble))
    putamen = ellipsoid(f, (-9.0, 9.0, 18.0), (8.0, 14.0, 6.5), wobble)
    blend(value, level["thalamus"] - 0.13, putamen)
    outside, sulci, lobe = pial_csf(f, wobble)
    pial = (outside | sulci) & ~hippo
    ribbon = (distance_to(pial) < 2.7 + 0.6 * wobble) & ~outside
    ribbon &= f.z < _along(CENTRE_Z, np.clip(f.t, 0, 1)) + 3.0 + wobble
    value[ribbon] = (level["cortex"] + 0.03 * smooth_field(rng, value.shape, 2.0))[ribbon]
    blend(value, level["amygdala"], ellipsoid(f, (3.0, 18.5, 2.0), (12.5, 10.5, 8.5), wobble))
    angle = np.rad2deg(np.arctan2(f.v / f.half_height, f.u / f.half_width))
    below = (angle > -160) & (angle < -55) & (f.t > -0.15) & (f.t < 1.25)
    value[below & (away > 0.2) & (away < 2.3 + 0.7 * wobble)] = level["band"]
    value[pial] = level["csf"]
    paint_neighbours(f, value, level, outside & ~hippo, lobe, wobble)
    paint_ventricle(case, f, value, level["csf"], away, angle, wobble)
    value[hippo] = hippocampus_value(f, level["hippocampus"], rng)[hippo]
    upper = (f.t > 0.0) & (f.t < 1.05) & (angle > 20) & (angle < 175)
    shell = (away < 0.9 + 0.4 * wobble) & (distance_to(~hippo) < 0.5 + 0.3 * wobble)
    value[upper & shell] = level["white"] - 0.12
    value[vessels(f, rng)] = level["vessel"]
    return value, hippo


def blend(value: Array, level: float, weight: Array) -> None:
    """Mix a nucleus into white matter: deep grey matter has no sharp border at 1 mm."""
    value += weight * (level - value)


def pial_csf(f: Frame, wobble: Array) -> tuple[Array, Array, Array]:
    """Return what lies outside the temporal lobe, the sulci, and the lobe itself."""
    cx, cz = _along(CENTRE_X, np.clip(f.t, 0, 1)), _along(CENTRE_Z, np.clip(f.t, 0, 1))
    dz = f.z - cz
    medial = cx + f.half_width + 2.6 - 0.045 * (dz + 4.0) ** 2 + 0.5 * wobble
    beyond = (f.x > medial) & (dz < 3.5 + 0.8 * wobble - 0.25 * np.clip(f.y, 0.0, None))
    under = dz < -13.0 + 1.0 * wobble + 0.15 * (f.x - cx)
    sulci = sheet(f, (1.0, -14.5), (-6.5, -7.2), 0.6)
    sulci |= sheet(f, (-8.0, -18.0), (-13.5, -3.5), 0.7)
    sulci |= sheet(f, (-17.0, 0.5), (-10.0, 6.5), 0.5)
    front = (f.y > 20.5 + 0.8 * wobble) & (f.x > cx + 1.0) & (dz < 3.0) & (dz > -6.0)
    outside = beyond | under | front
    return outside, sulci, ~outside & (f.x < medial + 2.0)


def paint_neighbours(
    f: Frame, value: Array, level: dict[str, float], outside: Array, lobe: Array, wobble: Array
) -> None:
    """Fill the space beyond the temporal lobe's CSF: cerebral peduncle, cerebellum, dura."""
    gap = distance_to(lobe)
    wide = outside & (gap > 2.9 + 0.9 * wobble)
    stem = ellipsoid(f, (18.0, 1.0, 2.0), (11.0, 11.0, 22.0), wobble) > 0.5
    value[wide & stem] = level["white"] - 0.02
    folia = np.sin(2 * np.pi * (f.z + 0.45 * f.y + 0.3 * f.x) / 4.8)
    leaf = np.where(folia > 0.2, level["white"] - 0.08, level["cortex"] + 0.04)
    leaf = np.where(folia < -0.88, 0.32, leaf)
    cerebellum = outside & (gap > 2.1 + 0.4 * wobble) & ~stem & (f.z < 3.0 - 0.6 * (f.y + 6.0))
    cerebellum &= f.y < 9.0 + wobble
    value[cerebellum] = leaf[cerebellum]
    front = outside & (gap > 1.2) & (f.y >= 9.0 + wobble) & (f.z < -4.0)
    value[front] = level["cortex"] - 0.03
    dura = outside & (np.abs(gap - 1.5) < 0.35) & (wobble > -0.4)
    value[dura] = 0.42


def paint_ventricle(
    case: BrainCase,
    f: Frame,
    value: Array,
    csf: float,
    away: Array,
    angle: Array,
    wobble: Array,
) -> None:
    """Paint the temporal horn, the atrium behind it, and the choroidal fissure above."""
    opening = np.clip((f.t + 0.02) / 0.1, 0, 1) * np.clip((1.1 - f.t) / 0.1, 0, 1)
    horn = (angle > 75) & (angle < 190) | (angle < -172)
    thick = case.horn * opening * (0.55 + 0.75 * wobble)
    value[horn & (away > 0.8) & (away < 0.8 + thick)] = csf
    fissure = (angle > 0) & (angle <= 75) & (f.t > 0.3) & (f.t < 0.95)
    value[fissure & (away > 0.9) & (away < 1.7 + 0.8 * wobble)] = csf
    value[ellipsoid(f, (-5.0, -25.0, 14.0), (6.0, 8.5, 6.5), wobble) > 0.5] = csf
    value[ellipsoid(f, (-5.5, -23.0, 13.0), (2.0, 4.0, 1.6), wobble) > 0.5] = 0.45


def hippocampus_value(f: Frame, level: float, rng: np.random.Generator) -> Array:
    """Give the hippocampus its texture: brighter molecular layer, dark dots of CSF."""
    texture = 0.045 * smooth_field(rng, f.x.shape, 1.6 / FINE_MM)
    fold = f.v - 0.12 * f.half_height - 0.9 * np.sin(f.u / f.half_width * 2.2)
    layer = (np.abs(fold) < 0.45) & (np.abs(f.u) < 0.62 * f.half_width)
    value = level + texture + 0.13 * layer
    dots = smooth_field(rng, f.x.shape, 0.7 / FINE_MM)
    return np.asarray(np.where(dots > 3.4, 0.25, value))


def vessels(f: Frame, rng: np.random.Generator) -> Array:
    """Return two thin arteries in the cistern (bright: inflow in a gradient-echo T1)."""
    mask = np.zeros(f.x.shape, bool)
    for height in (0.5, -4.0):
        path_x = 11.5 + 1.3 * np.sin(f.y / 5.0 + rng.uniform(0, 6)) + 0.012 * f.y**2
        path_z = height + 1.2 * np.cos(f.y / 6.0 + rng.uniform(0, 6))
        run = (f.y > -8.0) & (f.y < 14.0)
        mask |= run & (np.hypot(f.x - path_x, f.z - path_z) < 0.8)
    return mask


def to_voxels(fine: Array, spacing: tuple[int, int, int]) -> Array:
    """Average the fine grid into voxels of `spacing` mm: the partial volume of a scanner."""
    steps = [round(s / FINE_MM) for s in spacing]
    blocks = [n // s for n, s in zip(fine.shape, steps, strict=True)]
    pairs = [n for pair in zip(blocks, steps, strict=True) for n in pair]
    return np.asarray(fine.reshape(pairs).mean(axis=(1, 3, 5)))


def make_brain(case: BrainCase) -> tuple[Array, Array, Array]:
    """Return one crop.

    Returns
    -------
    image : ndarray of int16, axes x y z
    truth : ndarray of uint8, same shape; 0 background, 1 anterior, 2 posterior hippocampus
    affine : ndarray of float64 (4, 4), voxel index to RAS+ mm
    """
    rng = np.random.default_rng(case.seed)
    frame = build_frame(case, rng)
    value, hippo = paint_tissue(case, frame, rng)
    value = value + 0.018 * smooth_field(rng, value.shape, 1.0 / FINE_MM)
    clean = to_voxels(ndimage.gaussian_filter(value, case.blur / FINE_MM), case.spacing)
    shape = clean.shape
    sigma = [11.0 / s for s in case.spacing]
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="reflect")
    clean = clean * np.exp(case.bias * (field - field.mean()) / field.std())
    real = clean + case.noise * rng.standard_normal(shape)
    imaginary = case.noise * rng.standard_normal(shape)
    image = np.rint(case.white_level * np.hypot(real, imaginary)).astype(np.int16)
    inside = to_voxels(hippo.astype(np.float64), case.spacing) >= 0.5
    anterior = to_voxels((frame.t < case.head_share).astype(np.float64), case.spacing) >= 0.5
    truth = np.where(inside, np.where(anterior, 1, 2), 0).astype(np.uint8)
    truth = keep_largest(truth)
    affine = np.diag([*map(float, case.spacing), 1.0])
    affine[:3, 3] = case.origin
    if case.flip_x:
        image, truth = image[::-1].copy(), truth[::-1].copy()
        affine[0, 3] += affine[0, 0] * (shape[0] - 1)
        affine[0, 0] = -affine[0, 0]
    return image, truth, affine


def keep_largest(truth: Array) -> Array:
    """Drop specks that the warp tore off, so that the hippocampus is one piece."""
    parts, count = ndimage.label(truth > 0)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    return np.asarray(np.where(parts == 1 + int(np.argmax(sizes)), truth, 0).astype(np.uint8))
