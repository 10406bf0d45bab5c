"""Reading the pictures of a segment by time, wherever they are stored."""

from effvit_edge.data.footage.base import Footage
from effvit_edge.data.footage.open import open_footage

__all__ = ["Footage", "open_footage"]
