"""Decoded frames of PyAV to upright RGB pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from effvit_edge.core.optional import require
from effvit_edge.core.video.upright import Matrix, display_matrix, upright


class RgbConverter:
    """Converts the frames of one video, one after another.

    Args:
        threads: whether converting may have threads of its own.

    Raises:
        EnvironmentFault: PyAV is not installed.
    """

    def __init__(self, *, threads: bool = True) -> None:
        self._reformatter = require("av", "video").video.reformatter.VideoReformatter()
        self._threads = 0 if threads else 1  # 0: as many as there are processors
        self._rotation: int | None = None
        self._matrix: Matrix | None = None

    def convert(self, decoded: Any) -> npt.NDArray[np.uint8]:
        """A frame of PyAV as ``(H, W, 3)`` uint8 RGB, upright."""
        rgb = self._reformatter.reformat(
            decoded, format="rgb24", threads=self._threads
        ).to_ndarray()
        # Looking at a frame's side data ties it into a cycle that keeps its memory until the
        # garbage collector comes, so it is done only where the rotation is another.
        if decoded.rotation != self._rotation:
            self._rotation, self._matrix = decoded.rotation, display_matrix(decoded)
        return upright(rgb, self._matrix)
