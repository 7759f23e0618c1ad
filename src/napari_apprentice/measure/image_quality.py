"""Scores of a restored or synthesised image against a reference: PSNR and SSIM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.metrics import structural_similarity

from napari_apprentice.core.errors import BadInputError

from ._arrays import check_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["channel_scores", "image_quality_scores", "psnr", "ssim"]

SSIM_WINDOW = 11
"""Side of the Gaussian window of SSIM in voxels: a standard deviation of 1.5, cut at 3.5 of them."""


def psnr(image: NDArray[Any], reference: NDArray[Any], data_range: float) -> float:
    """Peak signal-to-noise ratio: 10 log10(data_range² / mean squared error), in dB.

    Huynh-Thu & Ghanbari, "Scope of validity of PSNR in image/video quality assessment", Electronics
    Letters 44(13) (2008).

    Parameters
    ----------
    image, reference
        Arrays of one shape, any number of axes.
    data_range
        Distance between the lowest and the highest value that is possible, 255 for 8-bit images. It
        is asked for because nothing in the arrays tells it, and the result hangs on it.

    Returns
    -------
    float
        In dB, higher is better; infinite where the images are equal.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        A range that is not positive, empty arrays, or values that are not finite.
    """
    first, second = _checked(image, reference, data_range)
    error = float(np.mean(np.square(first - second)))
    return float(10 * np.log10(data_range**2 / error)) if error > 0 else float("inf")


def ssim(image: NDArray[Any], reference: NDArray[Any], data_range: float) -> float:
    """Mean structural similarity with the Gaussian window of its authors (11 voxels, deviation 1.5).

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP
    13(4) (2004). The window has as many axes as the image; a stack with fewer than 11 planes is
    scored plane by plane and averaged.

    Parameters
    ----------
    image, reference
        Arrays of one shape, 2-D or 3-D, one channel.
    data_range
        As in `psnr`.

    Returns
    -------
    float
        At most 1, higher is better.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        As `psnr`, or an image smaller than the window in two or more axes.
    """
    first, second = _checked(image, reference, data_range)
    thin = [axis for axis, length in enumerate(first.shape) if length < SSIM_WINDOW]
    if first.ndim not in (2, 3) or first.ndim - len(thin) < 2:
        raise BadInputError(
            f"expected a 2-D or 3-D image of at least {SSIM_WINDOW} voxels a side, "
            f"found {first.shape}"
        )
    if thin:
        planes = zip(np.moveaxis(first, thin[0], 0), np.moveaxis(second, thin[0], 0), strict=True)
        return float(np.mean([_ssim(a, b, data_range) for a, b in planes]))
    return _ssim(first, second, data_range)


def image_quality_scores(
    image: NDArray[Any], reference: NDArray[Any], data_range: float
) -> dict[str, float]:
    """Score an image under flat names: ``psnr_db``, ``ssim``, ``mae`` (mean absolute error).

    Parameters
    ----------
    image, reference
        Arrays of one shape, 2-D or 3-D, one channel.
    data_range
        As in `psnr`.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        As `ssim`.
    """
    first, second = _checked(image, reference, data_range)
    return {
        "psnr_db": psnr(first, second, data_range),
        "ssim": ssim(first, second, data_range),
        "mae": float(np.mean(np.abs(first - second))),
    }


def channel_scores(image: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
    """Score an image of several channels: the names of `image_quality_scores`, averaged over the channels.

    Parameters
    ----------
    image, reference
        ``(C, *spatial)``. The data range of each channel is the distance between the lowest and the highest value of
        its reference. Where the reference is not finite nothing is compared.

    Returns
    -------
    dict
        A score that cannot be told (a constant reference; for SSIM an image smaller than its window) is NaN.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    """
    check_shapes(image, reference)
    rows = [_of_channel(*pair) for pair in zip(image, reference, strict=True)]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _of_channel(image: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
    known = np.isfinite(reference)
    first, second = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    span = float(np.ptp(second[known])) if known.any() else 0.0
    if span == 0:
        return dict.fromkeys(("psnr_db", "ssim", "mae"), float("nan"))
    mae = float(np.mean(np.abs(first[known] - second[known])))
    like = float("nan")
    if known.all() and sum(length >= SSIM_WINDOW for length in second.shape) >= 2:
        like = ssim(first, second, span)
    return {"psnr_db": psnr(first[known], second[known], span), "ssim": like, "mae": mae}


def _ssim(first: NDArray[np.float64], second: NDArray[np.float64], data_range: float) -> float:
    return float(
        structural_similarity(
            first,
            second,
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _checked(
    image: NDArray[Any], reference: NDArray[Any], data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    check_shapes(image, reference)
    if not (np.isfinite(data_range) and data_range > 0):
        raise BadInputError(f"expected a positive data range, found {data_range}")
    first, second = np.asarray(image, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if first.size == 0 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise BadInputError("expected images with finite values, found NaN, infinity or no voxel")
    return first, second
