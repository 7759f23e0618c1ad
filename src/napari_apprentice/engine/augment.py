"""Augmentation of whole batches: chance in `make_parameters`, action in `apply`.

One ``grid_sample`` for the whole batch costs a quarter of per-sample transforms (``docs/concepts/performance.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional

from napari_apprentice.core.annotation import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["RECIPES", "Parameters", "Recipe", "apply", "magnification", "make_parameters"]


@dataclass(frozen=True)
class Recipe:
    """How strongly patches are varied.

    Parameters
    ----------
    spatial
        Probability of an affine deformation.
    rotate
        Largest rotation in degrees; 3-D volumes that are anisotropic are turned in plane only.
    scale
        Largest relative change of size.
    brightness, contrast, noise, gamma
        Standard deviations of the shift, log-factor, added noise (in units of the image's deviation), and log-gamma.
    blur
        Probability of a slight blur.
    """

    spatial: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0


RECIPES: dict[str, Recipe] = {
    "none": Recipe(),
    "light": Recipe(
        spatial=0.3, rotate=10, scale=0.1, brightness=0.1, contrast=0.1, noise=0.05, gamma=0.1
    ),
    "strong": Recipe(
        spatial=0.6,
        rotate=25,
        scale=0.25,
        brightness=0.2,
        contrast=0.25,
        noise=0.1,
        gamma=0.25,
        blur=0.2,
    ),
}


@dataclass(frozen=True, eq=False)
class Parameters:
    """Everything random about one batch of B images: replaying it gives the same batch.

    ``theta`` is ``(B, n, n + 1)`` for ``affine_grid``; ``identity`` says that no image of the batch moves.
    """

    mirror: tuple[Tensor, ...]
    theta: Tensor
    identity: bool
    gain: Tensor
    shift: Tensor
    gamma: Tensor
    noise: Tensor
    noise_seed: int
    blur: Tensor


def make_parameters(
    recipe: Recipe,
    shape: Sequence[int],
    spacing: Sequence[float],
    mirror_axes: Sequence[int],
    generator: torch.Generator,
) -> Parameters:
    """Draw the parameters of one batch.

    Parameters
    ----------
    recipe
        How strongly.
    shape
        ``(B, C, *spatial)``.
    spacing
        Working spacing (any unit): decides whether rotations out of the plane make sense.
    mirror_axes
        Spatial axes that may be mirrored.
    """
    count, channels, ndim = shape[0], shape[1], len(shape) - 2

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    moved = torch.rand(count, generator=generator) < recipe.spatial
    theta = _thetas(recipe, moved, shape[2:], spacing, generator)
    broadcast = (count, channels, *(1,) * ndim)
    return Parameters(
        mirror=tuple(
            (torch.rand(count, generator=generator) < 0.5)
            if axis in mirror_axes
            else torch.zeros(count, dtype=torch.bool)
            for axis in range(ndim)
        ),
        theta=theta,
        identity=not bool(moved.any()),
        gain=(recipe.contrast * normal(*broadcast)).exp(),
        shift=recipe.brightness * normal(*broadcast),
        gamma=(recipe.gamma * normal(*broadcast)).exp(),
        noise=recipe.noise * normal(count, *(1,) * (ndim + 1)).abs(),
        noise_seed=int(torch.randint(2**31 - 1, (1,), generator=generator)),
        blur=torch.rand(count, generator=generator) < recipe.blur,
    )


def magnification(parameters: Parameters) -> Tensor:
    """By how much `apply` magnifies each image of the batch, ``(B,)``: the mean over the axes."""
    n = parameters.theta.shape[1]
    factors: Tensor = torch.linalg.det(parameters.theta[:, :, :n]).abs() ** (-1.0 / n)
    return factors


def _thetas(
    recipe: Recipe,
    moved: Tensor,
    spatial: Sequence[int],
    spacing: Sequence[float],
    generator: torch.Generator,
) -> Tensor:
    """Affine matrices in ``affine_grid``'s normalised coordinates (last axis first)."""
    count, ndim = len(moved), len(spatial)
    uniform = torch.rand(count, 4, generator=generator) * 2 - 1
    anisotropic = max(spacing) / min(spacing) >= 2.5
    extent = torch.tensor([n * s for n, s in zip(spatial, spacing, strict=True)][::-1])
    matrices = []
    for move, u in zip(moved, uniform, strict=True):
        matrix = torch.eye(ndim)
        if move:
            size = 1.0 / (1.0 + recipe.scale * float(u[3]))
            angles = [math.radians(recipe.rotate * float(a)) for a in u[:3]]
            matrix = _rotation(ndim, angles, in_plane=anisotropic) * size
        # Rotate in millimetres, not in the patch's own unit square.
        matrix = matrix * (extent[None, :] / extent[:, None])
        matrices.append(torch.cat([matrix, torch.zeros(ndim, 1)], dim=1))
    return torch.stack(matrices)


def _rotation(ndim: int, angles: Sequence[float], *, in_plane: bool) -> Tensor:
    """Rotation about each axis in turn, coordinates ordered x, y(, z)."""
    pairs = [(0, 1)] if ndim == 2 or in_plane else [(0, 1), (0, 2), (1, 2)]
    matrix = torch.eye(ndim)
    for (a, b), angle in zip(pairs, angles, strict=False):
        turn = torch.eye(ndim)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = turn @ matrix
    return matrix


def apply(data: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Vary a batch: images ``(B, C, *spatial)`` and targets ``(B, *spatial)`` (uint8, 255 outside), or ``(B,)``.

    Targets of several maps are ``(B, n, *spatial)``.

    Deterministic given `parameters`; returns new tensors on the same device.
    """
    data, target = _mirror(data, target, parameters)
    if not parameters.identity:
        data, target = _move(data, target, parameters.theta.to(data.device))
    return _intensities(data, parameters), target


def _mirror(data: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    for axis, chosen in enumerate(parameters.mirror):
        if bool(chosen.any()):
            pick = chosen.to(data.device)
            shape = (-1, *(1,) * (data.ndim - 2))
            data = torch.where(pick.view(*shape, 1), data.flip(axis + 2), data)
            if target.ndim > 1:
                flipped = target.flip(axis + target.ndim - data.ndim + 2)
                target = torch.where(pick.view(-1, *(1,) * (target.ndim - 1)), flipped, target)
    return data, target


def _move(data: Tensor, target: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    grid = functional.affine_grid(theta.to(data.dtype), list(data.shape), align_corners=False)
    moved = functional.grid_sample(
        data, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    if target.ndim == 1:
        return moved, target
    # Shifted by one, the zeros outside become "not said" after shifting back.
    shifted = torch.where(target == IGNORE, torch.zeros_like(target), target + 1)
    several = target.ndim == data.ndim
    picked = functional.grid_sample(
        (shifted if several else shifted.unsqueeze(1)).to(data.dtype),
        grid,
        mode="nearest",
        padding_mode="zeros",
        align_corners=False,
    )
    numbers = (picked if several else picked.squeeze(1)).round().to(torch.int16) - 1
    return moved, torch.where(numbers < 0, IGNORE, numbers).to(torch.uint8)


def _intensities(data: Tensor, parameters: Parameters) -> Tensor:
    device = data.device
    if bool(parameters.blur.any()):
        kernel = 3
        pool = functional.avg_pool3d if data.ndim == 5 else functional.avg_pool2d
        blurred = pool(data, kernel, stride=1, padding=1, count_include_pad=False)
        pick = parameters.blur.to(device).view(-1, *(1,) * (data.ndim - 1))
        data = torch.where(pick, blurred, data)
    gamma = parameters.gamma.to(device)
    if not bool((parameters.gamma == 1).all()):
        dims = tuple(range(2, data.ndim))
        low, high = data.amin(dims, keepdim=True), data.amax(dims, keepdim=True)
        span = (high - low).clamp_min(1e-6)
        data = ((data - low) / span).clamp(0, 1).pow(gamma) * span + low
    data = data * parameters.gain.to(device) + parameters.shift.to(device)
    if bool((parameters.noise > 0).any()):
        source = torch.Generator(device=device).manual_seed(parameters.noise_seed)
        noise = torch.randn(data.shape, generator=source, device=device, dtype=data.dtype)
        data = data + parameters.noise.to(device) * noise
    return data
