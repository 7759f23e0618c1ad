"""Procedural fluorescence images of stained nuclei, with instance labels.

Nuclei are closed curves (an ellipse with a few Fourier terms) thrown on the field and kept
when they hardly overlap; some are placed in contact with a neighbour on purpose. Each has
its own brightness, chromatin texture, nucleoli and distance from focus. Haze, uneven
illumination, photon noise and read noise of a camera follow.

Axes are y, x; one pixel is 0.25 micrometre. Lengths below are pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]

SIZE = 512
PIXEL_UM = 0.25
MARGIN = 48
FOCUS_BLUR = (0.8, 1.3, 2.2, 3.4)
FOCUS_SHARE = (0.5, 0.3, 0.15, 0.05)
MIN_AREA = 40


@dataclass(frozen=True)
class NucleiCase:
    """What distinguishes one field from another; lengths in pixels, brightness in photons."""

    name: str
    seed: int
    count: int = 130
    radius: float = 12.4
    radius_spread: float = 0.14
    elongation: float = 1.3
    touching: float = 0.22
    photons: float = 420.0
    brightness_spread: float = 0.28
    texture: float = 0.20
    haze: float = 0.16
    background: float = 14.0
    vignette: float = 0.35
    gain: float = 2.2
    read_noise: float = 4.0
    extra_blur: float = 0.0
    offset: float = 100.0


CASES = (
    NucleiCase("nuclei_1", 11, count=140, radius=12.9, touching=0.3),
    NucleiCase("nuclei_2", 22, count=112, radius=12.9, photons=260.0, haze=0.22, touching=0.3),
    NucleiCase("nuclei_3", 33, count=150, radius=11.6, photons=600.0, background=30.0),
    NucleiCase(
        "nuclei_4",
        44,
        count=105,
        radius=16.0,
        radius_spread=0.17,
        elongation=1.9,
        touching=0.34,
        photons=110.0,
        brightness_spread=0.45,
        texture=0.34,
        haze=0.36,
        background=8.0,
        vignette=0.6,
        gain=30.0,
        read_noise=150.0,
        extra_blur=0.9,
        offset=700.0,
    ),
)

DIM = NucleiCase(
    "nuclei_5",
    55,
    count=140,
    photons=22.0,
    texture=0.5,
    background=0.8,
    gain=20.0,
    read_noise=12.0,
)
DIM_SIZE = 256


@dataclass(frozen=True)
class Shape:
    """One nucleus in its own window: relative radius (below 1 inside) and its half axes."""

    relative: Array
    long_axis: float
    short_axis: float
    angle: float


def draw_shape(case: NucleiCase, rng: np.random.Generator, centre: Array) -> Shape:
    """Draw an outline: ellipse of random size and direction, dented by harmonics 2 to 5."""
    radius = case.radius * np.exp(rng.normal(0.0, case.radius_spread))
    ratio = max(1.03, rng.normal(case.elongation, 0.17 * case.elongation))
    long_axis, short_axis = radius * np.sqrt(ratio), radius / np.sqrt(ratio)
    angle = float(rng.uniform(0.0, np.pi))
    offset = centre - np.floor(centre)
    yy, xx = np.mgrid[-MARGIN : MARGIN + 1, -MARGIN : MARGIN + 1]
    dy, dx = yy - offset[0], xx - offset[1]
    along = np.cos(angle) * dx + np.sin(angle) * dy
    across = -np.sin(angle) * dx + np.cos(angle) * dy
    theta = np.arctan2(across / short_axis, along / long_axis)
    wave = np.ones_like(theta)
    for order in range(2, 6):
        size = rng.normal(0.0, 0.10 / order)
        wave += size * np.cos(order * theta + rng.uniform(0.0, 2 * np.pi))
    relative = np.hypot(along / long_axis, across / short_axis) / wave
    return Shape(relative, long_axis, short_axis, angle)


def window(centre: Array) -> tuple[slice, slice]:
    """Return where the window of a nucleus lies in the padded field."""
    y, x = np.floor(centre).astype(int) + MARGIN
    return slice(y - MARGIN, y + MARGIN + 1), slice(x - MARGIN, x + MARGIN + 1)


def propose(
    case: NucleiCase, rng: np.random.Generator, density: Array, centres: list[Array]
) -> Array:
    """Propose a place: beside an earlier nucleus, or anywhere that is dense enough."""
    if centres and rng.random() < case.touching:
        turn = rng.uniform(0.0, 2 * np.pi)
        step = case.radius * rng.uniform(1.75, 2.15)
        near = centres[int(rng.integers(len(centres)))]
        return np.clip(near + step * np.array([np.sin(turn), np.cos(turn)]), 0, SIZE - 1)
    while True:
        place = rng.uniform(0.0, SIZE - 1, 2)
        if rng.random() < density[int(place[0]), int(place[1])]:
            return place


def place_nuclei(case: NucleiCase, rng: np.random.Generator) -> tuple[Array, list[Shape], Array]:
    """Throw nuclei until the field is full.

    Returns
    -------
    labels : ndarray of int32, padded by MARGIN on each side; 0 background
    shapes, centres : the outline of label i + 1 and its centre
    """
    density = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), 55, mode="reflect")
    density = 1.0 / (1.0 + np.exp(-2.2 * density / density.std() - 0.8))
    padded = SIZE + 2 * MARGIN
    labels = np.zeros((padded, padded), np.int32)
    closest = np.full((padded, padded), np.inf)
    shapes: list[Shape] = []
    centres: list[Array] = []
    for _ in range(60 * case.count):
        if len(shapes) == case.count:
            break
        centre = propose(case, rng, density, centres)
        shape = draw_shape(case, rng, centre)
        where = window(centre)
        inside = shape.relative < 1.0
        covered = inside & (labels[where] > 0)
        if covered.sum() > 0.035 * inside.sum():
            continue
        mine = inside & (shape.relative < closest[where])
        shapes.append(shape)
        centres.append(centre)
        labels[where][mine] = len(shapes)
        closest[where][mine] = shape.relative[mine]
    return labels, shapes, np.array(centres)


def chromatin(case: NucleiCase, shape: Shape, rng: np.random.Generator) -> Array:
    """Return the stain of one nucleus: rounded profile, clumps of chromatin, dark nucleoli."""
    inside = np.clip(1.0 - shape.relative**3.2, 0.0, None) ** 0.42
    size = shape.relative.shape
    coarse = ndimage.gaussian_filter(rng.standard_normal(size), 2.6)
    fine = ndimage.gaussian_filter(rng.standard_normal(size), 1.1)
    stain = 1.0 + case.texture * (0.65 * coarse / coarse.std() + 0.45 * fine / fine.std())
    yy, xx = np.mgrid[-MARGIN : MARGIN + 1, -MARGIN : MARGIN + 1]
    for _ in range(int(rng.integers(0, 4))):
        turn, far = rng.uniform(0.0, 2 * np.pi), 0.6 * shape.short_axis * np.sqrt(rng.random())
        gap = np.hypot(yy - far * np.sin(turn), xx - far * np.cos(turn))
        stain *= 1.0 - rng.uniform(0.25, 0.5) * np.exp(-((gap / rng.uniform(1.6, 2.8)) ** 2))
    return np.asarray(inside * np.clip(stain, 0.15, None))


def paint_stain(
    case: NucleiCase, shapes: list[Shape], centres: Array, rng: np.random.Generator
) -> Array:
    """Add up all nuclei, each blurred by its distance from focus (padded field, photons)."""
    padded = SIZE + 2 * MARGIN
    planes = np.zeros((len(FOCUS_BLUR), padded, padded))
    for shape, centre in zip(shapes, centres, strict=True):
        plane = int(rng.choice(len(FOCUS_BLUR), p=FOCUS_SHARE))
        bright = np.exp(rng.normal(0.0, case.brightness_spread))
        # Condensed chromosomes before division: small cells are the bright ones.
        bright *= 1.7 if shape.short_axis < 0.72 * case.radius else 1.0
        planes[plane][window(centre)] += bright * chromatin(case, shape, rng)
    blurs = [np.hypot(b, case.extra_blur) for b in FOCUS_BLUR]
    sharp = sum(ndimage.gaussian_filter(p, b) for p, b in zip(planes, blurs, strict=True))
    stain = np.asarray(sharp)
    return np.asarray(case.photons * (stain + case.haze * ndimage.gaussian_filter(stain, 22)))


def illuminate(case: NucleiCase, photons: Array, rng: np.random.Generator) -> Array:
    """Return the photons that reach each pixel on average: stain and background in uneven light."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1.0)
    middle = rng.uniform(0.35, 0.65, 2)
    light = 1.0 - case.vignette * ((yy - middle[0]) ** 2 + (xx - middle[1]) ** 2) / 0.5
    return np.asarray(np.clip(light, 0.15, None) * (photons + case.background))


def read_out(case: NucleiCase, counts: Array) -> Array:
    """Return what the camera writes: its offset added, whole numbers of 16 bits."""
    return np.asarray(np.clip(np.rint(counts + case.offset), 0, 65535).astype(np.uint16))


def expose(case: NucleiCase, expected: Array, rng: np.random.Generator) -> Array:
    """Turn photons into camera counts: Poisson noise, gain, read noise, offset."""
    noise = rng.poisson(expected), rng.normal(0.0, case.read_noise, expected.shape)
    return read_out(case, case.gain * noise[0] + noise[1])


def tidy(labels: Array, least: int = MIN_AREA) -> Array:
    """Keep one piece per nucleus, drop those below `least` pixels or voxels, number without gaps."""
    out = np.zeros_like(labels)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        parts, count = ndimage.label(labels[box] == label)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        if sizes.max() >= least:
            out[box][parts == 1 + int(np.argmax(sizes))] = label
    _, numbered = np.unique(out, return_inverse=True)
    return np.asarray(numbered.reshape(out.shape).astype(np.uint16))


def make_nuclei(case: NucleiCase) -> tuple[Array, Array]:
    """Return one field.

    Returns
    -------
    image : ndarray of uint16, axes y x; camera counts on top of an offset
    labels : ndarray of uint16, same shape; 0 background, 1..n one nucleus each
    """
    rng = np.random.default_rng(case.seed)
    labels, shapes, centres = place_nuclei(case, rng)
    photons = paint_stain(case, shapes, centres, rng)
    inner = (slice(MARGIN, MARGIN + SIZE),) * 2
    return expose(case, illuminate(case, photons[inner], rng), rng), tidy(labels[inner])


def make_pair(case: NucleiCase) -> tuple[Array, Array]:
    """Return the middle of a field in little light, and the same without noise.

    Returns
    -------
    noisy, clean : ndarray of uint16, axes y x, 256 x 256; camera counts on top of the same offset
    """
    rng = np.random.default_rng(case.seed)
    _, shapes, centres = place_nuclei(case, rng)
    inner = (slice(MARGIN, MARGIN + SIZE),) * 2
    expected = illuminate(case, paint_stain(case, shapes, centres, rng)[inner], rng)
    middle = (slice((SIZE - DIM_SIZE) // 2, (SIZE + DIM_SIZE) // 2),) * 2
    return expose(case, expected[middle], rng), read_out(case, case.gain * expected[middle])
