"""Names that moved: to ``failures``, ``clips`` and ``sequences``."""

from effvit_edge.data.clips import VideoClips, shrink_short_side
from effvit_edge.data.failures import describe_failures
from effvit_edge.data.sequences import VideoSequences

__all__ = ["VideoClips", "VideoSequences", "describe_failures", "shrink_short_side"]
