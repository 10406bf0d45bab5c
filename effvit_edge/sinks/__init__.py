"""Where labels go: JSONL, tables of events, annotated video, clips, a window, memory."""

from effvit_edge.sinks.base import FeedSink, PictureSink, RecordSink, check_place, partial_path
from effvit_edge.sinks.clips import ClipOptions, ClipRecorder
from effvit_edge.sinks.events import EventsCsvSink
from effvit_edge.sinks.jsonl import JsonlFileSink, JsonlStreamSink, ReaderGone
from effvit_edge.sinks.memory import MemorySink
from effvit_edge.sinks.video import VideoSink, fit_picture
from effvit_edge.sinks.window import WindowSink, why_no_window

__all__ = [
    "ClipOptions",
    "ClipRecorder",
    "EventsCsvSink",
    "FeedSink",
    "JsonlFileSink",
    "JsonlStreamSink",
    "MemorySink",
    "PictureSink",
    "ReaderGone",
    "RecordSink",
    "VideoSink",
    "WindowSink",
    "check_place",
    "fit_picture",
    "partial_path",
    "why_no_window",
]
