"""Where labels go: JSONL, annotated video, memory."""

from effvit_edge.sinks.base import FeedSink, PictureSink, RecordSink, check_place, partial_path
from effvit_edge.sinks.jsonl import JsonlFileSink, JsonlStreamSink, ReaderGone
from effvit_edge.sinks.memory import MemorySink
from effvit_edge.sinks.video import VideoSink, fit_picture

__all__ = [
    "FeedSink",
    "JsonlFileSink",
    "JsonlStreamSink",
    "MemorySink",
    "PictureSink",
    "ReaderGone",
    "RecordSink",
    "VideoSink",
    "check_place",
    "fit_picture",
    "partial_path",
]
