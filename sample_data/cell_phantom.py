"""Procedural bright-field images of single stained cells, normal and abnormal, as in a smear.

A cell is a thin sheet of cytoplasm with a nucleus in it. How far it is from normal is one number
between 0 and 1, drawn from two distributions that overlap; the share of the nucleus in the
cell, the dents of its outline, the clumps of its chromatin, its density and the chance of a second
nucleus follow from it, each with scatter of its own. What says nothing about the class varies alike
in both: size, place, stain, thickness, light, focus, neighbours cut by the border, noise.

Axes are y, x; one pixel is about half a micrometre. Lengths below are pixels. Stains absorb
light (Beer-Lambert), so colours are products, not sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]
Generator = np.random.Generator

SIZE = 64
CLASSES = ("normal", "abnormal")
# Absorbance of red, green and blue by a unit of the nuclear and of the two cytoplasmic stains.
NUCLEAR = np.array([0.95, 1.05, 0.50])
PINK, GREEN = np.array([0.10, 0.42, 0.26]), np.array([0.46, 0.16, 0.22])
# Noise-free grey levels are stored in steps of this many: a camera of seven bits, and smaller files.
STEP = 2


@dataclass(frozen=True)
class CellSet:
    """A folder of cells: its name, its seed, how many of each class, whether class folders tell them apart."""

    name: str
    seed: int
    normal: int
    abnormal: int
    is_sorted: bool


SETS = (CellSet("sorted", 55, 40, 40, True), CellSet("unsorted", 66, 24, 16, False))


@dataclass(frozen=True)
class Traits:
    """What tells a normal from an abnormal cell."""

    share: float  # radius of the nucleus, of the cell's
    dents: float  # how far the outline of the nucleus leaves an ellipse
    clumps: float  # contrast of the chromatin
    grain: float  # size of the clumps
    density: float  # of the nuclear stain
    nuclei: int


def draw_traits(image_class: str, rng: Generator) -> Traits:
    """Draw how far from normal a cell is, and what follows from it."""
    middle, spread = (0.20, 0.13) if image_class == "normal" else (0.70, 0.19)
    far = float(np.clip(rng.normal(middle, spread), 0.0, 1.0))

    def trait(low: float, high: float, scatter: float) -> float:
        return float(max(0.0, low + (high - low) * (far + rng.normal(0.0, scatter))))

    return Traits(
        share=min(0.72, trait(0.27, 0.60, 0.12)),
        dents=trait(0.01, 0.16, 0.15),
        clumps=trait(0.06, 0.42, 0.15),
        grain=trait(0.8, 1.8, 0.15),
        density=trait(0.65, 1.15, 0.20),
        nuclei=2 if rng.random() < 0.02 + 0.30 * far**2 else 1,
    )


def outline(
    centre: Array, radius: float, longer: float, dents: float, orders: range, rng: Generator
) -> Array:
    """Relative radius of every pixel from an ellipse dented by harmonics: below 1 inside."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE]
    angle = rng.uniform(0.0, np.pi)
    dy, dx = yy - centre[0], xx - centre[1]
    along = (np.cos(angle) * dx + np.sin(angle) * dy) / np.sqrt(longer)
    across = (np.cos(angle) * dy - np.sin(angle) * dx) * np.sqrt(longer)
    theta = np.arctan2(across, along)
    wave = np.ones_like(theta)
    for order in orders:
        wave += rng.normal(0.0, dents / np.sqrt(order)) * np.cos(
            order * theta + rng.uniform(0.0, 2 * np.pi)
        )
    return np.asarray(np.hypot(along, across) / (radius * wave))


def noise(grain: float, rng: Generator) -> Array:
    """Smooth noise of deviation 1."""
    drawn = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), grain, mode="wrap")
    return np.asarray(drawn / drawn.std())


def filled(relative: Array, edge: float) -> Array:
    """1 inside an outline, 0 outside, with an edge of that relative width."""
    return np.asarray(1.0 / (1.0 + np.exp((relative - 1.0) / edge)))


def cytoplasm(centre: Array, radius: float, rng: Generator) -> Array:
    """Thickness of a sheet of cytoplasm: folds, granules, a slightly denser rim."""
    relative = outline(centre, radius, rng.uniform(1.0, 1.35), 0.07, range(2, 7), rng)
    rim = 0.18 * np.exp(-(((relative - 0.93) / 0.07) ** 2))
    texture = 1.0 + 0.10 * noise(4.0, rng) + 0.05 * noise(1.2, rng)
    return np.asarray(filled(relative, 0.03) * (0.75 + rim) * texture)


def nucleus(centre: Array, radius: float, traits: Traits, rng: Generator) -> Array:
    """Nuclear stain: dented outline, clumped chromatin, a rim, now and then a nucleolus."""
    relative = outline(centre, radius, rng.uniform(1.0, 1.3), traits.dents, range(2, 6), rng)
    clumped = 1.0 + traits.clumps * noise(traits.grain, rng)
    rim = 0.15 * np.exp(-(((relative - 0.9) / 0.10) ** 2))
    stain = traits.density * np.clip(clumped + rim, 0.15, 2.2)
    return np.asarray(filled(relative, 0.05) * stain)


def draw_cell(traits: Traits, rng: Generator) -> tuple[Array, Array]:
    """Return cytoplasm and nuclear stain of the cell in the middle."""
    centre = SIZE / 2 + rng.normal(0.0, 1.5, 2)
    radius = float(np.clip(rng.normal(22.0, 2.0), 16.0, 28.0))
    body = cytoplasm(centre, radius, rng)
    turn = rng.uniform(0.0, 2 * np.pi)
    away = np.array([np.sin(turn), np.cos(turn)])
    size = traits.share * radius
    if traits.nuclei == 1:
        place = centre + away * abs(rng.normal(0.0, 0.12)) * radius
        return body, nucleus(place, size, traits, rng)
    size *= 0.75
    pair = [nucleus(centre + s * away * size * 0.95, size, traits, rng) for s in (-1, 1)]
    return body, np.maximum(*pair)


def draw_neighbours(rng: Generator) -> tuple[Array, Array]:
    """Return cytoplasm and nuclear stain of cells that the border cuts: none, one or two."""
    bodies, nuclei = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    plain = Traits(0.3, 0.03, 0.12, 1.0, 0.8, 1)
    for _ in range(int(rng.choice(3, p=(0.65, 0.28, 0.07)))):
        turn, far = rng.uniform(0.0, 2 * np.pi), rng.uniform(42.0, 52.0)
        centre = SIZE / 2 + far * np.array([np.sin(turn), np.cos(turn)])
        bodies += cytoplasm(centre, rng.normal(21.0, 2.5), rng)
        nuclei += nucleus(centre, rng.normal(7.0, 1.0), plain, rng)
    return bodies, nuclei


def expose(absorbed: Array, rng: Generator) -> Array:
    """Turn absorbance ``(y, x, 3)`` into a picture: light, focus, photon noise, grey levels."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1.0) - 0.5
    slope = rng.normal(0.0, 0.03, 2)
    tint = np.array([238.0, 235.0, 232.0]) + rng.normal(0.0, 1.5, 3) + rng.normal(0.0, 3.0)
    light = tint * (1.0 + slope[0] * yy + slope[1] * xx)[..., np.newaxis]
    blur = float(np.clip(rng.gamma(16.0, 0.05), 0.4, 2.0))
    seen = ndimage.gaussian_filter(light * np.exp(-absorbed), (blur, blur, 0.0), mode="nearest")
    grey = seen + rng.normal(0.0, 1.0, seen.shape) * 1.4 * np.sqrt(seen / 240.0)
    return np.asarray(np.clip(np.rint(grey / STEP) * STEP, 0, 255).astype(np.uint8))


def make_cell(image_class: str, rng: Generator) -> Array:
    """Return one picture, uint8 ``(64, 64, 3)``, of a cell of that class in the middle."""
    traits = draw_traits(image_class, rng)
    body, stained = draw_cell(traits, rng)
    bodies, nuclei = draw_neighbours(rng)
    mix = rng.beta(5.0, 5.0)
    hue = mix * PINK + (1.0 - mix) * GREEN
    strong, nuclear = rng.lognormal(-0.25, 0.10), rng.lognormal(-0.05, 0.08)
    sheet = strong * (body + bodies)[..., np.newaxis] * hue
    specks = (noise(1.0, rng) > 3.2) * rng.uniform(0.2, 0.8)
    dark = nuclear * (np.maximum(stained, nuclei) + specks)[..., np.newaxis] * NUCLEAR
    return expose(sheet + dark, rng)


def make_set(chosen: CellSet) -> list[tuple[str, str, Array]]:
    """Return the pictures of a folder: path below it, class, uint8 ``(64, 64, 3)``.

    Without class folders their order is drawn, so that it gives nothing away.
    """
    rng = np.random.default_rng(chosen.seed)
    classes = ["normal"] * chosen.normal + ["abnormal"] * chosen.abnormal
    if not chosen.is_sorted:
        classes = [str(c) for c in rng.permutation(classes)]
    made = []
    for number, name in enumerate(classes, start=1):
        at = number if not chosen.is_sorted else (number - 1) % chosen.normal + 1
        path = f"{name}/{name}_{at:02d}.png" if chosen.is_sorted else f"cell_{number:02d}.png"
        made.append((path, name, make_cell(name, rng)))
    return made
