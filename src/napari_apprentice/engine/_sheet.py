"""Images of one size beside each other, to be looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["laid_out"]

_GAP = 2


def laid_out(images: NDArray[Any], between: float, columns: int | None = None) -> NDArray[Any]:
    """Lay images ``(n, C, *size)`` out row by row, into ``(C, *spatial)``; volumes with all their planes.

    Parameters
    ----------
    images
        Of one size.
    between
        Value of the lines between them.
    columns
        Images in a row; none: about as many as there are rows.
    """
    count = len(images)
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    *lead, height, width = images.shape[1:]
    shape = (*lead, rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP)
    result = np.full(shape, between, images.dtype)
    for number, image in enumerate(images):
        y, x = (number // columns) * (height + _GAP), (number % columns) * (width + _GAP)
        result[..., y : y + height, x : x + width] = image
    return result
