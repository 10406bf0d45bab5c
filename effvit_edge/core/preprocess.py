"""Resizing and cropping a frame to the model's input: the single truth, for training and serving.

Normalisation is not here: it is inside the exported graph, which takes uint8 RGB.
Notation: H W are the source's height and width in pixels; frames are ``(H, W, 3)`` uint8 RGB.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require

Frame: TypeAlias = npt.NDArray[np.uint8]


def preprocess_frame(frame: Frame, spec: Preprocess, *, place: float = 0.5) -> Frame:
    """Crop the centre of a frame and scale it to the model's input.

    The crop is cut from the source before scaling, so only pixels that the model sees are
    scaled and a frame of extreme shape costs no more than another:

    - ``short_side``: the largest centred box of the input's shape, times ``crop_ratio``; the
      same picture as scaling the short side to ``input / crop_ratio`` and cropping the centre;
    - ``squash``: the centred ``crop_ratio`` of both sides, its shape changed to the input's;
    - ``letterbox``: the same box fitted inside the input, on bars of the mean colour.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB.
        spec: the model card's preprocessing.
        place: where along the side that more is cut off from the box lies, from 0 for its
            beginning to 1 for its end. Only evaluations with several crops ask for another than
            the centre.

    Returns:
        ``(spec.height, spec.width, 3)`` uint8 RGB, contiguous, never sharing the input's memory.

    Raises:
        InputError: ``frame`` is not ``(H, W, 3)`` uint8 with at least one pixel.
        EnvironmentFault: OpenCV is not installed.
    """
    _check_frame(frame)
    height, width = frame.shape[:2]
    if spec.resize == "short_side":
        scale = min(height / spec.height, width / spec.width) * spec.crop_ratio
        box_hw = (spec.height * scale, spec.width * scale)
    else:
        box_hw = (height * spec.crop_ratio, width * spec.crop_ratio)
    return scale_to_input(_crop(frame, *box_hw, place), spec)


def scale_to_input(box: Frame, spec: Preprocess) -> Frame:
    """Scale what was cut from a frame to the model's input, by the spec's rule.

    Args:
        box: ``(H, W, 3)`` uint8 RGB.
        spec: ``letterbox`` fits the box between bars; the others change its shape to the input's.

    Returns:
        ``(spec.height, spec.width, 3)`` uint8 RGB, contiguous, never sharing the box's memory.

    Raises:
        InputError: ``box`` is not ``(H, W, 3)`` uint8 with at least one pixel.
        EnvironmentFault: OpenCV is not installed.
    """
    if spec.resize == "letterbox":
        return _letterbox(box, spec)
    return resize_frame(box, spec.height, spec.width)


def resize_frame(frame: Frame, height: int, width: int) -> Frame:
    """Scale a frame, each axis by the rule that suits it.

    An axis that shrinks averages the pixels it covers (``INTER_AREA``), so nothing flickers or
    aliases; an axis that grows is interpolated (``INTER_LINEAR``). When one shrinks and the other
    grows, the shrinking is done first, since OpenCV's area rule needs both to shrink.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB.
        height: of the result, in pixels.
        width: of the result, in pixels.

    Returns:
        ``(height, width, 3)`` uint8 RGB, contiguous, never sharing the input's memory.

    Raises:
        InputError: ``frame`` is not ``(H, W, 3)`` uint8 with at least one pixel.
        EnvironmentFault: OpenCV is not installed.
    """
    _check_frame(frame)
    cv2 = require("cv2", "video")
    shrunk_hw = (min(height, frame.shape[0]), min(width, frame.shape[1]))
    resized = frame
    if shrunk_hw != resized.shape[:2]:
        resized = cv2.resize(resized, shrunk_hw[::-1], interpolation=cv2.INTER_AREA)
    if (height, width) != resized.shape[:2]:
        resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_LINEAR)
    return resized.copy() if resized is frame else resized


def _crop(frame: Frame, box_height: float, box_width: float, place: float) -> Frame:
    """A box of a frame, rounded to whole pixels and at least one of them: a view.

    It is centred on the side that less is cut off from.
    """
    height, width = frame.shape[:2]
    rows = min(height, max(1, round(box_height)))
    columns = min(width, max(1, round(box_width)))
    spare_rows, spare_columns = height - rows, width - columns
    top, left = spare_rows // 2, spare_columns // 2
    if spare_rows > spare_columns:
        top = int(spare_rows * place)
    else:
        left = int(spare_columns * place)
    return frame[top : top + rows, left : left + columns]


def _letterbox(frame: Frame, spec: Preprocess) -> Frame:
    """Fit a frame inside the input, centred, on bars that normalise to zero."""
    scale = min(spec.height / frame.shape[0], spec.width / frame.shape[1])
    rows = min(spec.height, max(1, round(frame.shape[0] * scale)))
    columns = min(spec.width, max(1, round(frame.shape[1] * scale)))
    top, left = (spec.height - rows) // 2, (spec.width - columns) // 2
    canvas = np.empty((spec.height, spec.width, 3), dtype=np.uint8)
    canvas[:] = np.rint(np.asarray(spec.mean) * 255).astype(np.uint8)
    canvas[top : top + rows, left : left + columns] = resize_frame(frame, rows, columns)
    return canvas


def _check_frame(frame: Frame) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise InputError(
            f"A frame must be (height, width, 3) uint8 RGB with at least one pixel, "
            f"got shape {frame.shape} and type {frame.dtype}."
        )
