"""Text as a mask of coverage, antialiased at any size, with the fonts OpenCV brings.

OpenCV 5 has a real typeface, with the letters of most languages. OpenCV 4 has strokes of a
plotter: they are drawn large and scaled down, and letters outside ASCII lose their accents.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.optional import require

Mask: TypeAlias = npt.NDArray[np.float32]
"""``(rows, columns)``, 0 to 1."""

_OVERSAMPLING = 4
_CAP_HEIGHT_OF_EM = 0.7  # of OpenCV 5's typeface
_WEIGHTS = {False: 400, True: 600}
_STROKES = {False: 0.115, True: 0.18}  # of the height of capitals, OpenCV 4
_STROKE_FONT_WIDTH = 0.92  # its letters stand wide
_ELLIPSIS = "..."


@lru_cache(maxsize=512)
def text_mask(text: str, cap_px: float, bold: bool = False) -> Mask:
    """A line of text.

    Args:
        text: without line breaks.
        cap_px: height of a capital letter in pixels.
        bold: heavier strokes.

    Returns:
        As wide as the text's ink; ``ascent_px`` rows above the baseline, ``descent_px`` below.
    """
    cv2 = require("cv2", "video")
    draw = _draw_typeface if hasattr(cv2, "FontFace") else _draw_strokes
    large, squeeze = draw(cv2, text, cap_px * _OVERSAMPLING, bold)
    columns = np.flatnonzero(large.any(axis=0))
    if columns.size == 0:
        return np.zeros((ascent_px(cap_px) + descent_px(cap_px), 0), np.float32)
    large = large[:, columns[0] : columns[-1] + 1]
    width = max(1, round(large.shape[1] * squeeze / _OVERSAMPLING))
    height = ascent_px(cap_px) + descent_px(cap_px)
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    mask: Mask = small.astype(np.float32) / 255
    return mask


def ascent_px(cap_px: float) -> int:
    """Rows of a mask above its baseline: capitals, and the marks on top of some."""
    return round(cap_px * 1.35)


def descent_px(cap_px: float) -> int:
    """Rows of a mask below its baseline."""
    return max(1, round(cap_px * 0.4))


def fitted(text: str, cap_px: float, width_px: int, bold: bool = False) -> Mask:
    """A line of text no wider than asked, its end cut off and marked where it is longer."""
    mask = text_mask(text, cap_px, bold)
    while mask.shape[1] > width_px and len(text) > 1:
        keep = max(1, min(len(text) - 1, int(len(text) * width_px / mask.shape[1])))
        text = text[:keep]
        mask = text_mask(text.rstrip() + _ELLIPSIS, cap_px, bold)
    return mask[:, : max(0, width_px)]


def _draw_typeface(cv2: Any, text: str, cap_px: float, bold: bool) -> tuple[Any, float]:
    em = round(cap_px / _CAP_HEIGHT_OF_EM)
    canvas = _canvas(cap_px, len(text) * em * 2)
    origin = (em, ascent_px(cap_px / _OVERSAMPLING) * _OVERSAMPLING)
    cv2.putText(canvas, text, origin, (255,), cv2.FontFace("sans"), em, _WEIGHTS[bold])
    return canvas, 1.0


def _draw_strokes(cv2: Any, text: str, cap_px: float, bold: bool) -> tuple[Any, float]:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    text = plain or "?" * len(text)
    thickness = max(1, round(cap_px * _STROKES[bold]))
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = (cap_px - thickness) / 21  # its capitals are 21 units high
    canvas = _canvas(cap_px, len(text) * round(cap_px) * 2)
    baseline = ascent_px(cap_px / _OVERSAMPLING) * _OVERSAMPLING - thickness // 2
    origin = (round(cap_px), baseline)
    cv2.putText(canvas, text, origin, font, scale, (255,), thickness, cv2.LINE_AA)
    return canvas, _STROKE_FONT_WIDTH


def _canvas(cap_px: float, width_px: int) -> npt.NDArray[np.uint8]:
    cap = cap_px / _OVERSAMPLING
    rows = (ascent_px(cap) + descent_px(cap)) * _OVERSAMPLING
    return np.zeros((rows, width_px + 2 * round(cap_px)), np.uint8)
