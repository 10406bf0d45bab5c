"""Turning and mirroring pictures as their file says that they are to be shown."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = tuple[int, int, int, int]
"""``a b c d``: a pixel at ``(x, y)`` is shown at ``(a·x + c·y, b·x + d·y)``."""


def upright(image: npt.NDArray[np.uint8], matrix: Matrix | None) -> npt.NDArray[np.uint8]:
    """Turn and mirror a picture as a display matrix asks, to the nearest quarter turn.

    Args:
        image: ``(H, W, 3)``.
        matrix: None for a picture that is upright already.

    Returns:
        ``(H, W, 3)`` or ``(W, H, 3)``, contiguous.
    """
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def display_matrix(picture: Any) -> Matrix | None:
    """The display matrix that comes with a decoded frame of PyAV, if one does."""
    for data in picture.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
            return a, b, c, d
    return None
