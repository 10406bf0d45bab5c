"""Where frames come from: files, folders, cameras, streams, pipelines, rendered films.

``list_sources`` turns what the user named into single sources, ``open_source`` opens one. How
sources are named is in :mod:`effvit_edge.sources.uri`, their options in
:mod:`effvit_edge.sources.options`.
"""

from effvit_edge.core.video import Losses
from effvit_edge.sources.base import End, Frame, Health, Image, Source, SourceError, Timeout
from effvit_edge.sources.listing import SourceRef, list_sources
from effvit_edge.sources.memory import MemorySource
from effvit_edge.sources.open import open_source
from effvit_edge.sources.redact import redacted
from effvit_edge.sources.uri import SourceUri, parse_uri

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
    "SourceUri",
    "Timeout",
    "list_sources",
    "open_source",
    "parse_uri",
    "redacted",
]
