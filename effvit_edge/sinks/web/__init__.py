"""The live page: pictures, labels, events and health, in a browser."""

from effvit_edge.sinks.web.server import Limits
from effvit_edge.sinks.web.sink import WebSink

__all__ = ["Limits", "WebSink"]
