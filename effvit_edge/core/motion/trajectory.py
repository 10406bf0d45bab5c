"""Apparent motion as a similarity pose per frame.

The picture is the complex plane: ``x + iy`` with y pointing down, the origin in its middle, and
its side as the unit. A pose maps content to picture, ``p = linear * c + shift``: the absolute
value of ``linear`` is the scale and its argument the angle, positive when turned clockwise as
seen on the screen.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LABELS: tuple[str, ...] = (
    "left",
    "right",
    "up",
    "down",
    "closer",
    "farther",
    "clockwise",
    "counterclockwise",
    "still",
)

ROTATION_RADIANS = math.radians(61.0)
"""Angle for one unit of speed: 0.8 % of the side a frame goes with 0.5 degrees a frame."""

_SHIFTS = {"left": -1.0 + 0j, "right": 1.0 + 0j, "up": -1j, "down": 1j}
_GROWTHS = {
    "closer": 1.0 + 0j,
    "farther": -1.0 + 0j,
    "clockwise": 1j * ROTATION_RADIANS,
    "counterclockwise": -1j * ROTATION_RADIANS,
}

_MAX_SLANT_RADIANS = math.radians(18.0)
_MAX_CROSS_SHARE = 0.15
_MAX_MODULATION = 0.3
_MAX_PIVOT = 0.15
_SHAKE = 0.0005
_MAX_SHAKE = 0.0015

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Velocity:
    """Motion during each frame of one segment.

    Attributes:
        drift: (T,) shift of the content per frame, in sides.
        growth: (T,) per frame, real part the growth of the logarithm of the scale, imaginary part
            the clockwise angle in radians.
        pivot: the point of the picture that zoom and rotation leave in place.
    """

    drift: ComplexArray
    growth: ComplexArray
    pivot: complex


@dataclass(frozen=True)
class Tiling:
    """How a plane repeats: in space every ``period``, in scale every ``ratio``.

    Attributes:
        period: lengths after which the plane repeats along x and y, in content units.
        ratio: a whole number; scales between consecutive powers of it show one generation of the
            plane.
    """

    period: tuple[float, float]
    ratio: int

    def fold(self, linear: complex, shift: complex) -> complex:
        """Returns the shift nearest to zero that shows the same, this and finer generations."""
        _, unit = split_scale(linear, self.ratio)
        content = shift / unit
        period_x, period_y = self.period
        whole_x = period_x * round(content.real / period_x)
        whole_y = period_y * round(content.imag / period_y)
        return unit * (content - complex(whole_x, whole_y))


def split_scale(linear: complex, ratio: int) -> tuple[int, complex]:
    """Returns the generation a pose looks at, and its linear part in it, of size 1 to ``ratio``."""
    generation = math.floor(math.log(abs(linear)) / math.log(ratio) + 1e-12)
    return generation, linear / float(ratio) ** generation


def check_label(label: str) -> None:
    """Raises ValueError unless ``label`` is one of :data:`LABELS`."""
    if label not in LABELS:
        raise ValueError(f"unknown motion {label!r}; expected one of {', '.join(LABELS)}")


def steady_velocity(label: str, speed: float, num_frames: int) -> Velocity:
    """Returns the exact motion of a label: no slant, no modulation, pivot in the middle.

    Args:
        label: one of :data:`LABELS`.
        speed: fraction of the side per frame for shifts, growth of the logarithm of the scale per
            frame for zooms; rotations turn by ``speed * ROTATION_RADIANS`` per frame.
        num_frames: T.
    """
    check_label(label)
    return Velocity(
        drift=np.full(num_frames, speed * _SHIFTS.get(label, 0j), dtype=np.complex128),
        growth=np.full(num_frames, speed * _GROWTHS.get(label, 0j), dtype=np.complex128),
        pivot=0j,
    )


def natural_velocity(
    rng: np.random.Generator, label: str, speed: float, num_frames: int
) -> Velocity:
    """Returns the motion of a label as a hand or a person makes it.

    Shifts are slanted by up to 18 degrees, every motion carries up to 15 % of the others, its
    speed changes slowly, and zooms and rotations have their pivot near the middle. ``still`` stays
    exactly still.
    """
    check_label(label)
    slant, zoom, turn, sway_x, sway_y, pivot_x, pivot_y = rng.uniform(-1.0, 1.0, 7)
    depth, phase = rng.uniform(0.0, _MAX_MODULATION), rng.uniform(0.0, 2 * math.pi)
    period_frames = math.exp(rng.uniform(math.log(20.0), math.log(150.0)))
    along = np.arange(num_frames) * (2 * math.pi / period_frames) + phase
    rate = speed * (1.0 + depth * np.sin(along))
    if label == "still":
        rate = rate * 0.0
    shift, growth = _SHIFTS.get(label, 0j), _GROWTHS.get(label, 0j)
    cross = _MAX_CROSS_SHARE
    if shift:
        shift *= cmath.exp(1j * _MAX_SLANT_RADIANS * slant)
    else:
        shift = cross * complex(sway_x, sway_y) / math.sqrt(2.0)
    growth += cross * complex(
        0.0 if growth.real else zoom, 0.0 if growth.imag else turn * ROTATION_RADIANS
    )
    return Velocity(rate * shift, rate * growth, _MAX_PIVOT * complex(pivot_x, pivot_y))


def shake(rng: np.random.Generator, num_frames: int) -> ComplexArray:
    """Returns (T,) small slowly wandering shifts of a hand that holds still, in sides."""
    strength = rng.uniform(0.0, _SHAKE)
    steps = rng.standard_normal((num_frames, 2)) * strength
    wander = np.empty((num_frames, 2))
    state = np.zeros(2)
    for index in range(num_frames):
        state = 0.7 * state + 0.7 * steps[index]
        wander[index] = state
    bounded = np.clip(wander, -_MAX_SHAKE, _MAX_SHAKE)
    return np.asarray(bounded[:, 0] + 1j * bounded[:, 1])


def integrate(
    linear: complex,
    shift: complex,
    velocity: Velocity,
    tiling: Tiling | None = None,
    about_itself: bool = False,
) -> tuple[ComplexArray, ComplexArray]:
    """Moves a pose on by a velocity.

    Args:
        linear: linear part of the pose before the first frame.
        shift: shift of the pose before the first frame.
        velocity: T frames of motion.
        tiling: keeps the shift small by folding it into the tiling's period.
        about_itself: zoom and rotate about the content's own origin rather than about the pivot.

    Returns:
        The linear parts and shifts after each step, (T,) each.
    """
    num_frames = len(velocity.drift)
    linears = np.empty(num_frames, dtype=np.complex128)
    shifts = np.empty(num_frames, dtype=np.complex128)
    factors = np.exp(velocity.growth)
    for index in range(num_frames):
        factor, drift = complex(factors[index]), complex(velocity.drift[index])
        pivot = shift if about_itself else velocity.pivot
        linear = factor * linear
        shift = pivot + factor * (shift - pivot) + drift
        if tiling is not None:
            shift = tiling.fold(linear, shift)
        linears[index], shifts[index] = linear, shift
    return linears, shifts
