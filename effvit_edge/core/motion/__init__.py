"""Procedural clips of known apparent motion, for training, judging and showing a network."""

from __future__ import annotations

from effvit_edge.core.motion.film import FilmFrame, render_film
from effvit_edge.core.motion.render import draw_speed, render_sequence
from effvit_edge.core.motion.scene import Composition
from effvit_edge.core.motion.textures import TextureBank
from effvit_edge.core.motion.trajectory import LABELS
from effvit_edge.core.motion.windows import window_sequence

__all__ = [
    "LABELS",
    "Composition",
    "FilmFrame",
    "TextureBank",
    "draw_speed",
    "render_film",
    "render_sequence",
    "window_sequence",
]
