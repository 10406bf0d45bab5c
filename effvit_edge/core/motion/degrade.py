"""What cameras and codecs do to a clip, independent of what moves in it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from effvit_edge.core.motion.plane import Image
from effvit_edge.core.optional import require

Clip = npt.NDArray[np.uint8]

_NOISE_SAMPLES = 1 << 21
_NOISE_UNIT = 32.0
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_MIN_SHARPNESS = 0.4


def degrade(rng: np.random.Generator, clip: Clip) -> Clip:
    """Returns the clip as a random camera would record it.

    Strengths are drawn once per clip; noise and flicker are new in each frame.

    Args:
        rng: source of all randomness.
        clip: (T, H, W, 3) uint8.
    """
    if rng.random() < 0.3:
        clip = _saturate(rng, clip)
    if rng.random() < 0.15:
        clip = _vignette(rng, clip)
    early = rng.random() < 0.5
    if early:
        clip = _blur(rng, clip)
    clip = _expose(rng, clip)
    if not early:
        clip = _blur(rng, clip)
    if rng.random() < 0.6:
        clip = _noise(rng, clip)
    if rng.random() < 0.25:
        clip = _compress(rng, clip)
    if rng.random() < 0.03:
        clip = _letterbox(rng, clip)
    return clip


def sharpness(picture: Image) -> float:
    """Returns how well motion can be seen, in grey levels per pixel along the weakest direction."""
    grey = picture.sum(axis=2, dtype=np.int32).astype(np.float32) / 3.0
    across = grey[:-1, 1:] - grey[:-1, :-1]
    down = grey[1:, :-1] - grey[:-1, :-1]
    count = across.size
    xx, yy, xy = (
        float(np.vdot(*pair)) / count for pair in ((across, across), (down, down), (across, down))
    )
    weakest = 0.5 * (xx + yy - math.hypot(xx - yy, 2.0 * xy))
    return math.sqrt(max(weakest, 0.0))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _saturate(rng: np.random.Generator, clip: Clip) -> Clip:
    cv2 = require("cv2", "video")
    keep = 0.0 if rng.random() < 0.4 else rng.uniform(0.2, 1.6)
    matrix = keep * np.eye(3, dtype=np.float32) + (1.0 - keep) * _GREY[None, :]
    tall = clip.reshape(-1, clip.shape[2], 3)
    return np.asarray(cv2.transform(tall, matrix), dtype=np.uint8).reshape(clip.shape)


def _vignette(rng: np.random.Generator, clip: Clip) -> Clip:
    cv2 = require("cv2", "video")
    height, width = clip.shape[1:3]
    centre_x, centre_y = rng.uniform(-0.3, 0.3, 2)
    x = np.linspace(-1.0, 1.0, width)[None, :] - centre_x
    y = np.linspace(-1.0, 1.0, height)[:, None] - centre_y
    shade = 255.0 * np.clip(1.0 - rng.uniform(0.1, 0.45) * (x * x + y * y), 0.1, 1.0)
    mask = np.repeat(shade.astype(np.uint8)[:, :, None], 3, axis=2)
    return np.stack([cv2.multiply(frame, mask, scale=1.0 / 255.0) for frame in clip])


def _expose(rng: np.random.Generator, clip: Clip) -> Clip:
    """Contrast, brightness, gamma and colour cast, drifting and flickering over the clip."""
    cv2 = require("cv2", "video")
    num_frames = len(clip)
    gain, offset, gamma = _exposure(rng)
    cast = np.exp(rng.normal(0.0, 0.08 if rng.random() < 0.7 else 0.25, 3))
    time = np.arange(num_frames)
    drift = rng.normal(0.0, 0.004) * (time - num_frames / 2.0)
    swell = rng.uniform(0.0, 0.08) * np.sin(time * rng.uniform(0.05, 0.6) + rng.uniform(0.0, 6.3))
    flicker = (
        (0.01 if rng.random() < 0.7 else 0.05) * rng.random() * rng.standard_normal(num_frames)
    )
    light = np.exp(np.clip(drift + swell + flicker, -0.5, 0.5))
    grey = np.linspace(0.0, 1.0, 256) ** gamma
    curve = np.clip((grey - 0.5) * gain + 0.5 + offset, 0.0, None)
    table = curve[None, :, None] * (255.0 * light[:, None, None] * cast[None, None, :])
    tables = np.clip(table, 0.0, 255.0).astype(np.uint8)[:, None]
    first = cv2.LUT(clip[0], tables[0])
    if sharpness(first) * min(first.shape[:2]) / 64.0 < _MIN_SHARPNESS:
        return clip
    return np.stack([cv2.LUT(frame, table) for frame, table in zip(clip, tables, strict=True)])


def _exposure(rng: np.random.Generator) -> tuple[float, float, float]:
    """Returns gain about the middle, offset, and gamma."""
    kind = rng.random()
    if kind < 0.55:
        return rng.uniform(0.7, 1.3), rng.uniform(-0.1, 0.1), _log_uniform(rng, 0.7, 1.4)
    if kind < 0.70:
        return rng.uniform(0.25, 0.6), rng.uniform(-0.15, 0.15), 1.0
    if kind < 0.82:
        return rng.uniform(0.3, 0.7), rng.uniform(-0.3, -0.1), _log_uniform(rng, 1.0, 2.2)
    if kind < 0.92:
        return rng.uniform(0.8, 1.3), rng.uniform(0.15, 0.4), _log_uniform(rng, 0.5, 1.0)
    return rng.uniform(1.3, 2.5), rng.uniform(-0.15, 0.15), 1.0


def _blur(rng: np.random.Generator, clip: Clip) -> Clip:
    cv2 = require("cv2", "video")
    kind, side = rng.random(), min(clip.shape[1:3])
    if kind < 0.5:
        return clip
    if kind < 0.8:
        sigma = _log_uniform(rng, 0.005, 0.03) * side
        return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip])
    length = _log_uniform(rng, 0.02, 0.12) * side
    kernel = directional_kernel(length, rng.uniform(0.0, math.pi))
    return np.stack([cv2.filter2D(frame, -1, kernel) for frame in clip])


def directional_kernel(length: float, angle: float) -> npt.NDArray[np.float32]:
    """Returns the kernel of a straight smear, ``length`` pixels along ``angle`` radians."""
    radius = max(1, math.ceil(length / 2.0))
    grid = np.arange(-radius, radius + 1)
    along = grid[None, :] * math.cos(angle) + grid[:, None] * math.sin(angle)
    across = grid[:, None] * math.cos(angle) - grid[None, :] * math.sin(angle)
    inside = np.clip(length / 2.0 + 0.5 - np.abs(along), 0.0, 1.0)
    kernel = inside * np.clip(1.0 - np.abs(across), 0.0, 1.0)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


@lru_cache(maxsize=1)
def _noise_pool() -> npt.NDArray[np.int8]:
    samples = np.random.default_rng(0).standard_normal(_NOISE_SAMPLES, dtype=np.float32)
    return np.asarray(np.clip(samples * _NOISE_UNIT, -127, 127), dtype=np.int8)


def _noise(rng: np.random.Generator, clip: Clip) -> Clip:
    """Adds sensor noise: even or growing with the light, per colour or grey, fine or coarse."""
    cv2 = require("cv2", "video")
    num_frames, height, width = clip.shape[:3]
    visible = sharpness(clip[0]) * min(height, width) / 64.0
    strength = min(_log_uniform(rng, 0.5, 9.0), 0.3 + 1.5 * visible)
    grey, coarse, shot = rng.random() < 0.3, rng.random() < 0.3, rng.random() < 0.4
    channels = 1 if grey else 3
    count = height * width * channels
    starts = rng.integers(0, _NOISE_SAMPLES - count, num_frames)
    root = np.sqrt(np.linspace(0.05, 2.0, 256, dtype=np.float32))
    frames = np.empty_like(clip)
    for index, (frame, start) in enumerate(zip(clip, starts, strict=True)):
        grain = _noise_pool()[start : start + count].reshape(height, width, channels)
        layer = grain.astype(np.float32)
        if coarse:
            layer = cv2.blur(layer, (2, 2)).reshape(height, width, channels) * np.float32(2.0)
        layer *= np.float32(strength / _NOISE_UNIT)
        if shot:
            layer = layer * root[frame]
        elif grey:
            layer = np.repeat(layer, 3, axis=2)
        frames[index] = cv2.add(frame, layer, dtype=cv2.CV_8U)
    return frames


def _compress(rng: np.random.Generator, clip: Clip) -> Clip:
    cv2 = require("cv2", "video")
    quality = int(_log_uniform(rng, 12.0, 80.0))
    frames = np.empty_like(clip)
    for index, frame in enumerate(clip):
        _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        frames[index] = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return frames


def _letterbox(rng: np.random.Generator, clip: Clip) -> Clip:
    height, width = clip.shape[1:3]
    share = rng.uniform(0.04, 0.18)
    clip = clip.copy()
    if rng.random() < 0.5:
        bar = max(1, round(share * height))
        clip[:, :bar] = clip[:, -bar:] = 0
    else:
        bar = max(1, round(share * width))
        clip[:, :, :bar] = clip[:, :, -bar:] = 0
    return clip
