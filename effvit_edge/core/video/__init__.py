"""Video files as they really are: decoded the same way for training and for serving."""

from effvit_edge.core.video.convert import RgbConverter
from effvit_edge.core.video.diagnose import check_file
from effvit_edge.core.video.losses import Losses
from effvit_edge.core.video.reader import BrokenOff, Picture, VideoReader
from effvit_edge.core.video.suffixes import VIDEO_SUFFIXES
from effvit_edge.core.video.timestamps import TimestampRepair

__all__ = [
    "VIDEO_SUFFIXES",
    "BrokenOff",
    "Losses",
    "Picture",
    "RgbConverter",
    "TimestampRepair",
    "VideoReader",
    "check_file",
]
