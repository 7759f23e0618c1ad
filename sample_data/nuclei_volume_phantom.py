"""Procedural volumes of fluorescent nuclei, with instance labels: one case that people are shown, and cases drawn at random.

Nuclei are star-shaped bodies (an ellipsoid with a few waves over its surface) thrown into the volume; some are placed in contact with
a neighbour on purpose, and where two meet the nearer one takes the voxel. Each has its own brightness, chromatin and nucleoli. Blur
that is longer along the axis of the microscope, haze, light lost in depth, photon noise and read noise of a camera follow.

To learn from, everything that differs between microscopes and tissues is drawn anew for each volume (domain randomisation; for
volumes of nuclei: Dey et al., AnyStar, WACV 2024), so that a network meets sharper and duller, sparser and denser ones than are shown here.

Axes are z, y, x. Lengths are in pixels of the plane unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nuclei_phantom import tidy
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]

_WAVES = 4
_TOO_NEAR = 1.25
"""Least distance of a new middle from an earlier nucleus, in its radii."""
_HIDDEN = 0.12
"""Most of a nucleus that may lie in earlier ones."""


@dataclass(frozen=True)
class VolumeCase:
    """What distinguishes one volume from another; brightness in photons."""

    name: str
    seed: int
    shape: tuple[int, int, int] = (40, 128, 128)
    spacing_z: float = 2.0
    radius: float = 7.0
    radius_spread: float = 0.12
    elongation: float = 1.25
    dents: float = 0.12
    fill: float = 0.3
    touching: float = 0.3
    photons: float = 120.0
    brightness_spread: float = 0.3
    texture: float = 0.25
    nucleoli: float = 0.3
    hollow: float = 0.0
    haze: float = 0.2
    cloud: float = 0.0
    background: float = 4.0
    blur: float = 0.9
    blur_z: float = 2.5
    depth_loss: float = 0.4
    gain: float = 4.0
    read_noise: float = 6.0
    offset: float = 100.0
    least_voxels: int = 24


SAMPLE = VolumeCase(
    "nuclei_volume",
    66,
    shape=(32, 128, 128),
    radius=8.5,
    fill=0.24,
    touching=0.45,
    photons=60.0,
    texture=0.3,
    haze=0.25,
    background=3.0,
    gain=1.0,
    read_noise=1.5,
    offset=10.0,
    least_voxels=120,
)
PIXEL_UM = 0.3


def random_case(seed: int) -> VolumeCase:
    """Draw all that differs between microscopes and tissues."""
    rng = np.random.default_rng(seed)
    spacing = float(np.exp(rng.uniform(0.0, np.log(4.0)))) if rng.random() < 0.8 else 1.0
    depth = int(np.clip(round(rng.uniform(60, 100) / spacing), 16, 56))
    photons = float(np.exp(rng.uniform(np.log(12.0), np.log(400.0))))
    return VolumeCase(
        name=f"random_{seed}",
        seed=seed,
        shape=(depth, 112, 112),
        spacing_z=spacing,
        radius=float(rng.uniform(5.0, 7.5)),
        radius_spread=float(rng.uniform(0.05, 0.3)),
        elongation=float(rng.uniform(1.0, 1.8)),
        dents=float(rng.uniform(0.0, 0.25)),
        fill=float(rng.uniform(0.06, 0.6)),
        touching=float(rng.uniform(0.0, 0.8)),
        photons=photons,
        brightness_spread=float(rng.uniform(0.05, 0.6)),
        texture=float(rng.uniform(0.0, 0.6)),
        nucleoli=float(rng.choice([0.0, 0.3, 0.8])),
        hollow=float(rng.choice([0.0, 0.0, 0.0, 0.5])),
        haze=float(rng.uniform(0.0, 0.4)),
        cloud=float(rng.choice([0.0, 0.1, 0.3])),
        background=photons * float(rng.uniform(0.0, 0.25)),
        blur=float(rng.uniform(0.4, 1.5)),
        blur_z=float(rng.uniform(1.0, 3.0)),
        depth_loss=float(rng.uniform(0.0, 0.8)),
        read_noise=float(rng.choice([0.0, 4.0, 20.0])),
    )


# -- bodies -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """A nucleus in its window: relative radius (below 1 inside), and the window."""

    relative: Array
    where: tuple[slice, ...]


def turned(rng: np.random.Generator) -> Array:
    """Draw a rotation of space."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return np.asarray(q * np.sign(np.diag(r)))


def draw_body(case: VolumeCase, rng: np.random.Generator, centre: Array) -> Body:
    """Draw a body around a place (in voxels): ellipsoid of random size and direction, dented by waves."""
    radius = case.radius * np.exp(rng.normal(0.0, case.radius_spread))
    ratio = np.exp(rng.normal(0.0, 0.12, 3)) * np.array([case.elongation, 1.0, 1.0])
    axes = radius * ratio / np.prod(ratio) ** (1 / 3)
    reach = 1.35 * axes.max() / np.array([case.spacing_z, 1.0, 1.0])
    low = np.clip(np.floor(centre - reach), 0, case.shape).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, 0, case.shape).astype(int)
    where = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    gap = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1
    )
    gap = (gap - centre) * [case.spacing_z, 1.0, 1.0]
    along = gap @ turned(rng) / axes
    relative = np.linalg.norm(along, axis=-1)
    direction = along / np.maximum(relative, 1e-6)[..., None]
    wave = np.ones_like(relative)
    for _ in range(_WAVES):
        phase = direction @ (rng.normal(0.0, 2.2, 3)) + rng.uniform(0.0, 2 * np.pi)
        wave += case.dents * rng.normal(0.0, 0.6) * np.cos(phase)
    return Body(relative / np.clip(wave, 0.6, 1.4), where)


def propose(case: VolumeCase, rng: np.random.Generator, centres: list[Array]) -> Array:
    """Propose a place: beside an earlier nucleus, or anywhere, the rim of the volume included."""
    size = np.array([case.spacing_z, 1.0, 1.0])
    if centres and rng.random() < case.touching:
        step = rng.standard_normal(3)
        step *= case.radius * rng.uniform(1.6, 2.2) / np.linalg.norm(step)
        return np.asarray(centres[int(rng.integers(len(centres)))] + step / size)
    rim = 0.6 * case.radius / size
    return np.asarray(rng.uniform(-rim, np.array(case.shape) - 1 + rim))


def place_nuclei(case: VolumeCase, rng: np.random.Generator) -> tuple[Array, list[Body]]:
    """Throw nuclei until the volume is as full as it should be, or no place is left.

    Returns
    -------
    labels : ndarray of int32; 0 background
    bodies : that of label i + 1
    """
    labels = np.zeros(case.shape, np.int32)
    closest = np.full(case.shape, np.inf)
    bodies: list[Body] = []
    centres: list[Array] = []
    missed = 0
    while (labels > 0).mean() < case.fill and missed < 200:
        centre = propose(case, rng, centres)
        at = tuple(np.clip(np.round(centre).astype(int), 0, np.array(case.shape) - 1))
        body = draw_body(case, rng, centre)
        inside = body.relative < 1.0
        covered = inside & (closest[body.where] < 1.0)
        if not inside.any() or closest[at] < _TOO_NEAR or covered.sum() > _HIDDEN * inside.sum():
            missed += 1
            continue
        missed = 0
        bodies.append(body)
        centres.append(centre)
        mine = inside & (body.relative < closest[body.where])
        labels[body.where][mine] = len(bodies)
        np.minimum(closest[body.where], body.relative, out=closest[body.where])
    return labels, bodies


# -- light ------------------------------------------------------------------------------------


def grain(rng: np.random.Generator, shape: tuple[int, ...], size: float, case: VolumeCase) -> Array:
    """Random values of spread 1 that are alike over `size` pixels."""
    field = rng.standard_normal(shape)
    smooth = ndimage.gaussian_filter(field, (size / case.spacing_z, size, size), mode="reflect")
    return np.asarray(smooth / max(float(smooth.std()), 1e-6))


def stain(case: VolumeCase, labels: Array, bodies: list[Body], rng: np.random.Generator) -> Array:
    """How brightly each voxel shines: nuclei with their chromatin, and darker nucleoli."""
    light = np.zeros(case.shape)
    for number, body in enumerate(bodies, start=1):
        mine = labels[body.where] == number
        bright = np.exp(rng.normal(0.0, case.brightness_spread))
        depth = np.clip(body.relative, 0.0, 1.0)
        profile = 1.0 - case.hollow * np.clip(1.0 - depth**2, 0.0, 1.0)
        if rng.random() < case.nucleoli:
            profile = profile * (1.0 - rng.uniform(0.4, 0.9) * np.exp(-((depth / 0.4) ** 2)))
        light[body.where][mine] = (bright * profile)[mine]
    clumps = 0.7 * grain(rng, case.shape, 1.6, case) + 0.5 * grain(rng, case.shape, 0.8, case)
    return np.asarray(light * np.clip(1.0 + case.texture * clumps, 0.1, None))


def expected(case: VolumeCase, light: Array, rng: np.random.Generator) -> Array:
    """Photons that reach each voxel on average: blurred light, haze, clouds between the nuclei, less in depth."""
    along = case.blur * case.blur_z / case.spacing_z
    sharp = ndimage.gaussian_filter(light, (along, case.blur, case.blur), mode="reflect")
    far = 2.5 * case.radius
    haze = ndimage.gaussian_filter(light, (far / case.spacing_z, far, far), mode="reflect")
    cloud = np.clip(grain(rng, case.shape, 1.5 * case.radius, case), 0.0, None)
    deep = np.linspace(0.0, 1.0, case.shape[0])
    deep = deep if rng.random() < 0.5 else deep[::-1]
    left = np.exp(-case.depth_loss * deep)[:, None, None]
    return np.asarray(
        case.photons * (sharp + case.haze * haze + case.cloud * cloud) * left + case.background
    )


def expose(case: VolumeCase, photons: Array, rng: np.random.Generator) -> Array:
    """Turn photons into camera counts: Poisson noise, gain, read noise, offset."""
    counts = case.gain * rng.poisson(photons) + rng.normal(0.0, case.read_noise, photons.shape)
    return np.asarray(np.clip(np.rint(counts + case.offset), 0, 65535).astype(np.uint16))


def make_volume(case: VolumeCase) -> tuple[Array, Array]:
    """Return one volume.

    Returns
    -------
    image : ndarray of uint16, axes z y x; camera counts on top of an offset
    labels : ndarray of uint16, same shape; 0 background, 1..n one nucleus each
    """
    rng = np.random.default_rng(case.seed)
    labels, bodies = place_nuclei(case, rng)
    photons = expected(case, stain(case, labels, bodies, rng), rng)
    return expose(case, photons, rng), tidy(labels, case.least_voxels)
