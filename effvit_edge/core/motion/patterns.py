"""Procedural pictures: noise, dead leaves, figures, rooms, writing, and mixtures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from effvit_edge.core.motion.plane import Image
from effvit_edge.core.optional import require

Field = npt.NDArray[np.float32]
Colour = tuple[float, float, float]

_SHIFT_BITS = 4
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-+%&?"


def fractal_noise(rng: np.random.Generator, size: int, slope: float) -> Field:
    """Returns (size, size) noise in 0..1 whose amplitude falls as ``frequency ** -slope``."""
    cv2 = require("cv2", "video")
    field = np.zeros((size, size), dtype=np.float32)
    cells = 2
    while cells <= size:
        grid = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
        layer = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        field += layer * np.float32(cells ** (1.0 - slope))
        cells *= 2
    low, high = np.percentile(field[::4, ::4], [1.0, 99.0])
    return np.asarray(np.clip((field - low) / max(float(high - low), 1e-6), 0.0, 1.0))


def fractal_picture(rng: np.random.Generator, size: int) -> Image:
    """Returns coloured noise: clouds, foliage, stone, sand."""
    light = fractal_noise(rng, size, rng.uniform(0.9, 2.0))
    hue = fractal_noise(rng, size, rng.uniform(1.5, 2.5))
    dark, bright, other = (np.array(_colour(rng), dtype=np.float32) for _ in range(3))
    tint = bright + (other - bright) * (hue[:, :, None] * np.float32(rng.uniform(0.0, 1.0)))
    return _to_image(dark + (tint - dark) * light[:, :, None])


def dead_leaves(rng: np.random.Generator, size: int) -> Image:
    """Returns a pile of opaque shapes with power-law sizes."""
    picture = np.empty((size, size, 3), dtype=np.uint8)
    palette = [_colour(rng) for _ in range(int(rng.integers(3, 12)))]
    picture[:] = np.array(palette[0], dtype=np.uint8)
    smallest, largest = size * rng.uniform(0.004, 0.03), size * rng.uniform(0.15, 0.4)
    count = int(rng.integers(300, 1500))
    power = rng.uniform(0.8, 2.2)
    sides = rng.random(count) * (largest**-power - smallest**-power) + smallest**-power
    for radius in sides ** (-1.0 / power):
        colour = _vary(rng, palette[int(rng.integers(len(palette)))], 18.0)
        _draw_shape(rng, picture, radius, colour)
    return _shade(rng, picture)


def figures(rng: np.random.Generator, size: int) -> Image:
    """Returns large smooth forms, such as people, before a plain or softly lit wall."""
    picture = _gradient(rng, size)
    for _ in range(int(rng.integers(3, 12))):
        _draw_figure(rng, picture, size * rng.uniform(0.08, 0.45))
    picture = _soften(rng, picture, size * rng.uniform(0.0, 0.012))
    return _shade(rng, picture)


def room(rng: np.random.Generator, size: int) -> Image:
    """Returns straight edges: walls, furniture, windows, tiles, with figures among them."""
    cv2 = require("cv2", "video")
    picture = _gradient(rng, size)
    for _ in range(int(rng.integers(8, 40))):
        centre = rng.uniform(0.0, size, 2)
        extent = size * np.exp(rng.uniform(math.log(0.03), math.log(0.5), 2))
        angle = rng.normal(0.0, 4.0)
        corners = cv2.boxPoints((centre.tolist(), extent.tolist(), angle))
        _fill(picture, corners, _colour(rng))
        if rng.random() < 0.4:
            cv2.polylines(
                picture, [corners.astype(np.int32)], True, _colour(rng), int(rng.integers(1, 5))
            )
    for _ in range(int(rng.integers(0, 4))):
        _draw_figure(rng, picture, size * rng.uniform(0.08, 0.3))
    return _shade(rng, picture)


def writing(rng: np.random.Generator, size: int) -> Image:
    """Returns lines of letters on a plain or uneven ground."""
    cv2 = require("cv2", "video")
    picture = _gradient(rng, size)
    row = 0.0
    letters = np.array(list(_LETTERS))
    while row < size:
        scale = math.exp(rng.uniform(math.log(0.5), math.log(4.0))) * size / 512.0
        row += 30.0 * scale
        text = "".join(rng.choice(letters, int(rng.integers(2, 24))))
        place = (int(rng.uniform(-0.1, 0.6) * size), int(row))
        thickness = max(1, round(scale * rng.uniform(1.0, 3.0)))
        font = int(rng.integers(0, 5))
        cv2.putText(picture, text, place, font, scale, _colour(rng), thickness, cv2.LINE_AA)
    return _shade(rng, picture)


def strokes(rng: np.random.Generator, size: int) -> Image:
    """Returns crossing lines and curves: branches, wires, hair, scribbles."""
    cv2 = require("cv2", "video")
    picture = _gradient(rng, size)
    for _ in range(int(rng.integers(20, 120))):
        steps = rng.normal(0.0, size * rng.uniform(0.02, 0.15), (int(rng.integers(2, 8)), 2))
        points = (rng.uniform(0.0, size, 2) + np.cumsum(steps, axis=0)) * (1 << _SHIFT_BITS)
        thickness = max(1, round(size / 512.0 * math.exp(rng.uniform(0.0, 2.8))))
        cv2.polylines(
            picture,
            [points.astype(np.int32)],
            False,
            _colour(rng),
            thickness,
            cv2.LINE_AA,
            _SHIFT_BITS,
        )
    return _shade(rng, picture)


def wall(rng: np.random.Generator, size: int) -> Image:
    """Returns a nearly empty wall with a skirting or two and a few small figures."""
    picture = _gradient(rng, size)
    for _ in range(int(rng.integers(0, 4))):
        start, thick = rng.uniform(0.0, size), size * rng.uniform(0.01, 0.2)
        band = np.array([[start, 0], [start + thick, 0], [start + thick, size], [start, size]])
        shade = _vary(rng, tuple(picture[int(start) % size, size // 2].tolist()), 12.0)
        _fill(picture, band if rng.random() < 0.5 else band[:, ::-1], shade)
    picture = _soften(rng, picture, size * rng.uniform(0.0, 0.01))
    for _ in range(int(rng.integers(4, 14))):
        _draw_figure(rng, picture, size * rng.uniform(0.03, 0.12))
    light = 1.0 - rng.uniform(0.0, 0.1) * (fractal_noise(rng, size, 1.5) - 0.5)
    return _to_image(picture.astype(np.float32) * light[:, :, None])


def colour_bars(rng: np.random.Generator, size: int) -> Image:
    """Returns vivid parallel bars crossed by a few lines, checks and letters."""
    cv2 = require("cv2", "video")
    borders = np.concatenate([[0.0], np.sort(rng.uniform(0.0, size, int(rng.integers(4, 24))))])
    colours = rng.choice([0, 255], (len(borders), 3), p=[0.4, 0.6])
    if rng.random() < 0.4:
        colours = rng.integers(0, 256, (len(borders), 3))
    which = np.searchsorted(borders, np.arange(size), side="right") - 1
    picture = np.repeat(colours[which][None].astype(np.uint8), size, axis=0)
    for _ in range(int(rng.integers(3, 12))):
        start, end = (tuple(int(v) for v in rng.integers(0, size, 2)) for _ in range(2))
        cv2.line(picture, start, end, _colour(rng), int(rng.integers(1, size // 20)), cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 6))):
        _draw_checks(rng, picture)
    for _ in range(int(rng.integers(1, 8))):
        place = (int(rng.uniform(0, size)), int(rng.uniform(0, size)))
        text = "".join(rng.choice(list(_LETTERS), 7))
        scale = size / 512.0 * math.exp(rng.uniform(-0.5, 1.2))
        cv2.putText(picture, text, place, 0, scale, _colour(rng), max(1, int(2 * scale)))
    return picture if rng.random() < 0.5 else np.ascontiguousarray(picture.transpose(1, 0, 2))


def collage(rng: np.random.Generator, size: int) -> Image:
    """Returns two other pictures divided along soft or sharp borders."""
    parts = (fractal_picture, dead_leaves, figures, room, strokes)
    one, other = (parts[int(rng.integers(len(parts)))](rng, size) for _ in range(2))
    field = fractal_noise(rng, size, rng.uniform(2.2, 3.0))
    edge = np.float32(math.exp(rng.uniform(math.log(2.0), math.log(200.0))))
    share = np.clip((field - 0.5) * edge + 0.5, 0.0, 1.0)[:, :, None]
    base = one.astype(np.float32)
    return _to_image(base + (other.astype(np.float32) - base) * share)


def random_outline(rng: np.random.Generator, size: int) -> Image:
    """Returns a filled form as (size, size) uint8 coverage, inside the inscribed circle."""
    cv2 = require("cv2", "video")
    coverage = np.zeros((size, size, 3), dtype=np.uint8)
    radius, kind = 0.46 * size, rng.random()
    if kind < 0.45:
        points = _blob(rng, radius, rng.uniform(0.0, 0.22), 96)
    elif kind < 0.7:
        points = _polygon(rng, radius)
    else:
        points = _blob(rng, radius, 0.0, 96) * np.array([1.0, rng.uniform(0.5, 1.0)])
    _fill(coverage, points + size / 2.0, (255.0, 255.0, 255.0))
    grey = np.ascontiguousarray(coverage[:, :, 0])
    if rng.random() < 0.4:
        grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.5, 0.035 * size))
    return np.asarray(grey, dtype=np.uint8)


PATTERNS: tuple[tuple[Callable[[np.random.Generator, int], Image], float], ...] = (
    (fractal_picture, 0.13),
    (dead_leaves, 0.19),
    (figures, 0.15),
    (wall, 0.12),
    (room, 0.15),
    (colour_bars, 0.06),
    (writing, 0.05),
    (strokes, 0.05),
    (collage, 0.10),
)
"""Every kind of picture with how often it is drawn."""


def _colour(rng: np.random.Generator) -> Colour:
    """Returns a colour as in nature: mostly muted, of any brightness, some vivid."""
    light = 255.0 * rng.beta(1.2, 1.3)
    spread = (8.0, 25.0, 70.0)[int(rng.choice(3, p=[0.35, 0.4, 0.25]))]
    return _vary(rng, (light, light, light), spread)


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    red, green, blue = np.clip(np.array(colour) + rng.normal(0.0, spread, 3), 0.0, 255.0)
    return float(red), float(green), float(blue)


def _to_image(values: Field) -> Image:
    return np.clip(values, 0.0, 255.0).astype(np.uint8)


def _gradient(rng: np.random.Generator, size: int) -> Image:
    """Returns a plain ground with a soft change of light and colour."""
    x = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    a, b, c, d, e = rng.uniform(-1.0, 1.0, 5).astype(np.float32)
    field = a * x[None, :] + b * x[:, None] + c * x[None, :] * x[:, None]
    field = field + d * x[None, :] ** 2 + e * x[:, None] ** 2
    start = np.array(_colour(rng), dtype=np.float32)
    change = rng.normal(0.0, rng.uniform(5.0, 60.0), 3).astype(np.float32)
    return _to_image(start + change * field[:, :, None])


def _shade(rng: np.random.Generator, picture: Image) -> Image:
    """Lights a picture unevenly and roughens it a little."""
    size = picture.shape[0]
    if rng.random() < 0.3:
        return picture
    slope = rng.uniform(1.0, 2.5)
    strength = rng.uniform(0.05, 0.5)
    light = 1.0 - strength * (fractal_noise(rng, size, slope) - 0.5)
    return _to_image(picture.astype(np.float32) * light[:, :, None])


def _soften(rng: np.random.Generator, picture: Image, sigma: float) -> Image:
    if sigma < 0.5:
        return picture
    cv2 = require("cv2", "video")
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def _fill(picture: Image, points: npt.NDArray[np.floating], colour: Colour) -> None:
    cv2 = require("cv2", "video")
    fixed = np.round(points * (1 << _SHIFT_BITS)).astype(np.int32)
    cv2.fillPoly(picture, [fixed], colour, cv2.LINE_AA, _SHIFT_BITS)


def _blob(
    rng: np.random.Generator, radius: float, roughness: float, count: int
) -> npt.NDArray[np.float64]:
    """Returns (count, 2) points of a smooth closed outline no farther out than ``radius``."""
    turn = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    reach = np.ones(count)
    for harmonic in range(2, 6):
        reach += roughness * rng.normal() * np.sin(harmonic * turn + rng.uniform(0.0, 6.3))
    reach = np.clip(reach, 0.3, None)
    reach *= radius / reach.max()
    return np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)


def _polygon(rng: np.random.Generator, radius: float) -> npt.NDArray[np.float64]:
    count = int(rng.integers(3, 9))
    turn = np.sort(np.linspace(0.0, 2.0 * math.pi, count, endpoint=False) + rng.normal(0, 0.25))
    turn = turn + rng.uniform(-0.8, 0.8, count) * math.pi / count
    reach = radius * rng.uniform(0.6, 1.0, count)
    return np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)


def _draw_checks(rng: np.random.Generator, picture: Image) -> None:
    size = picture.shape[0]
    cell, count = int(rng.integers(2, max(3, size // 24))), int(rng.integers(2, 9))
    left, top = (int(v) for v in rng.integers(0, size, 2))
    one, other = (np.array(_colour(rng), dtype=np.uint8) for _ in range(2))
    odd = np.add.outer(np.arange(count), np.arange(count)) % 2 == 1
    checks = np.where(odd[:, :, None], one, other).repeat(cell, axis=0).repeat(cell, axis=1)
    target = picture[top : top + len(checks), left : left + len(checks)]
    target[:] = checks[: target.shape[0], : target.shape[1]]


def _draw_shape(rng: np.random.Generator, picture: Image, radius: float, colour: Colour) -> None:
    cv2 = require("cv2", "video")
    size = picture.shape[0]
    x, y = rng.uniform(-0.05 * size, 1.05 * size, 2)
    kind = rng.random()
    if kind < 0.6:
        one = 1 << _SHIFT_BITS
        axes = (round(radius * one), round(radius * rng.uniform(0.3, 1.0) * one))
        place, turn = (round(x * one), round(y * one)), rng.uniform(0.0, 180.0)
        cv2.ellipse(picture, place, axes, turn, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT_BITS)
        return
    points = _polygon(rng, radius) if kind < 0.85 else _blob(rng, radius, 0.2, 24)
    _fill(picture, points + np.array([x, y]), colour)


def _draw_figure(rng: np.random.Generator, picture: Image, radius: float) -> None:
    """Draws a body of a few overlapping smooth parts, with a head or without."""
    size = picture.shape[0]
    place = rng.uniform(0.0, size, 2)
    skin, cloth = _colour(rng), _colour(rng)
    for part in range(int(rng.integers(1, 5))):
        points = _blob(rng, radius * rng.uniform(0.4, 1.0), rng.uniform(0.0, 0.15), 48)
        points *= np.array([rng.uniform(0.35, 1.0), 1.0])
        offset = rng.normal(0.0, 0.5 * radius, 2) if part else np.zeros(2)
        _fill(picture, points + place + offset, _vary(rng, cloth, 12.0))
    if rng.random() < 0.6:
        head = _blob(rng, 0.35 * radius, 0.03, 32)
        _fill(picture, head + place - np.array([0.0, 1.1 * radius]), skin)
