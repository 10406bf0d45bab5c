"""Where frames come from: video files, folders of them, cameras.

``list_sources`` turns what the user named into single sources, ``open_source`` opens one.
"""

from effvit_edge.core.video import Losses
from effvit_edge.sources.base import End, Frame, Health, Image, Source, SourceError, Timeout
from effvit_edge.sources.memory import MemorySource
from effvit_edge.sources.open import SourceRef, list_sources, open_source

__all__ = [
    "End",
    "Frame",
    "Health",
    "Image",
    "Losses",
    "MemorySource",
    "Source",
    "SourceError",
    "SourceRef",
    "Timeout",
    "list_sources",
    "open_source",
]
