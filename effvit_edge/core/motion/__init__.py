"""Procedural clips of known apparent motion, for training, judging and showing a network."""

from __future__ import annotations

from effvit_edge.core.motion.render import Composition, draw_speed, render_sequence
from effvit_edge.core.motion.textures import TextureBank
from effvit_edge.core.motion.trajectory import LABELS

__all__ = ["LABELS", "Composition", "TextureBank", "draw_speed", "render_sequence"]
