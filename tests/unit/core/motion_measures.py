"""Apparent motion measured by OpenCV's own estimators, to check the renderer against."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]


def _grey(frame: Frame) -> npt.NDArray[np.float32]:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


def measured_shift(before: Frame, after: Frame) -> tuple[float, float]:
    """Returns how far the content moved along x and y, in sides, by phase correlation."""
    side = min(before.shape[:2])
    window = cv2.createHanningWindow(before.shape[1::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(_grey(before), _grey(after), window)
    return x / side, y / side


def measured_similarity(before: Frame, after: Frame) -> tuple[float, float, float, float]:
    """Returns the middle's shift along x and y, growth of the log scale, and clockwise degrees.

    Shifts are in sides. Measured by enhanced correlation (ECC) with an affine model.
    """
    guess = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    everywhere = np.full(before.shape[:2], 255, dtype=np.uint8)
    _, found = cv2.findTransformECC(
        _grey(before), _grey(after), guess, cv2.MOTION_AFFINE, stop, everywhere, 5
    )
    matrix = np.asarray(found)
    linear = matrix[:, :2]
    middle = (np.array(before.shape[1::-1]) - 1) / 2.0
    x, y = (linear @ middle + matrix[:, 2] - middle) / min(before.shape[:2])
    growth = 0.5 * math.log(float(np.linalg.det(linear)))
    turn = math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])
    return float(x), float(y), growth, math.degrees(turn)
