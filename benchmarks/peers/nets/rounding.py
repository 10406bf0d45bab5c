"""How published widths are rounded."""

from __future__ import annotations


def divisible(value: float, by: int = 8) -> int:
    """The multiple of ``by`` next to ``value``, but not below nine tenths of it."""
    near = max(by, int(value + by / 2) // by * by)
    return near + by if near < 0.9 * value else near
