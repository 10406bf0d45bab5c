"""Pipelines of GStreamer through its own Python bindings, for an OpenCV that has no GStreamer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses
from effvit_edge.sources.base import Image, SourceError, Timeout
from effvit_edge.sources.capture import Grabbed
from effvit_edge.sources.redact import redacted
from effvit_edge.sources.rgb import CHANNELS, to_rgb

REMEDY = (
    "Install GStreamer's bindings (apt install python3-gi gir1.2-gstreamer-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good, in a venv made with "
    "--system-site-packages), or an OpenCV that was built with GStreamer (on a Jetson the "
    "system's: apt install python3-opencv)."
)
"""How a machine gets GStreamer."""

_RESOURCE = "gst-resource-error-quark"
_POLL_SECONDS = 0.1  # how soon a source that is closed, or an error, is noticed


class GstCapture(Closing):
    """What the ``appsink`` of a pipeline gives.

    Args:
        pipeline: ends in an ``appsink`` that takes pictures of three or four bytes a pixel.
        shown: what it reads, for people.
        losses: counts the pictures that the decoder calls damaged.
        endless: whether its end is a fault.
        timeout_seconds: without a frame, after which contact counts as lost; None for never.
        clock: stamps the frames.

    Raises:
        InputError: the pipeline is not well formed.
        EnvironmentFault: the bindings or an element are not installed, or it does not start.
    """

    nominal_fps: float | None = None
    expected_frames: int | None = None

    def __init__(
        self,
        pipeline: str,
        shown: str,
        losses: Losses,
        *,
        endless: bool,
        timeout_seconds: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._gst = load_gstreamer()
        self._endless = endless
        self._timeout = math.inf if timeout_seconds is None else timeout_seconds
        self._shown, self._losses, self._clock = shown, losses, clock or MonotonicClock()
        self._pipeline = _parsed(self._gst, pipeline)
        self._sink = self._find_sink()
        self._bus = self._pipeline.get_bus()
        self._given = False
        self.backend = f"{self._gst.version_string()}: {redacted(pipeline)}"
        self._heard = self._clock.now()
        self._pipeline.set_state(self._gst.State.PLAYING)

    def grab(self) -> Grabbed | Timeout | None:
        """See ``Capture.grab``."""
        sample = self._sink.emit("try-pull-sample", int(_POLL_SECONDS * 1e9))
        if sample is not None:
            self._heard = self._clock.now()
            return self._grabbed(sample) if self._is_whole(sample.get_buffer()) else Timeout()
        self._raise_what_happened()
        if self._sink.get_property("eos"):
            if self._endless:
                raise SourceError(f"{self._shown} has ended.")
            return None
        if self._clock.now() - self._heard > self._timeout:
            raise SourceError(f"{self._shown} gave no picture for {self._timeout:g} s.")
        return Timeout()

    def close(self) -> None:
        """See ``Capture.close``."""
        self._pipeline.set_state(self._gst.State.NULL)

    def _is_whole(self, buffer: Any) -> bool:
        """Whether a picture may be shown: not those before the first keyframe, which are grey."""
        if not buffer.has_flags(self._gst.BufferFlags.CORRUPTED):
            return True
        self._losses.damaged += self._given
        return self._given

    def _grabbed(self, sample: Any) -> Grabbed:
        started = self._clock.now()
        buffer, shape = sample.get_buffer(), sample.get_caps().get_structure(0)
        width, height = shape.get_int("width")[1], shape.get_int("height")[1]
        layout = shape.get_string("format")
        if layout not in CHANNELS:
            raise InputError(
                f"The pipeline's pictures are {layout}. Let it end in: videoconvert ! "
                "video/x-raw,format=RGB"
            )
        # Copied at once: the memory is the pipeline's, which has only so much of it.
        data = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)
        self._given = True
        pts = buffer.pts
        arrival = self._clock.now()
        return Grabbed(
            None if pts == self._gst.CLOCK_TIME_NONE else pts / 1e9,
            arrival,
            (arrival - started) * 1000,
            lambda: to_rgb(_pixels(data, height, width, layout), layout),
        )

    def _find_sink(self) -> Any:
        sinks = self._pipeline.iterate_sinks()
        while True:
            result, element = sinks.next()
            if result != self._gst.IteratorResult.OK:
                raise InputError("The pipeline has no appsink. Leave its end out, or give one.")
            if element.get_factory().get_name() == "appsink":
                return element

    def _raise_what_happened(self) -> None:
        message = self._bus.pop_filtered(self._gst.MessageType.ERROR)
        if message is None:
            return
        error, _ = message.parse_error()
        where = message.src.get_name() if message.src else "the pipeline"
        raise self._explained(error, where)

    def _explained(self, error: Any, where: str) -> EdgeError:
        reason = redacted(error.message).rstrip(".")
        text = f"{self._shown}: GStreamer stopped at {where}: {reason}."
        if self._given:
            return SourceError(text)
        codes, code = self._gst.ResourceError, error.code
        if error.domain != _RESOURCE:
            return EnvironmentFault(text)
        if code == int(codes.NOT_AUTHORIZED):
            return InputError(f"{text} It does not accept this user and password.")
        if code == int(codes.NOT_FOUND):
            return InputError(f"{text} Check that it is there.")
        return EnvironmentFault(f"{text} Is it on, free and reachable from here?")


def load_gstreamer() -> Any:
    """GStreamer's bindings, ready for use.

    Raises:
        EnvironmentFault: they are not installed.
    """
    try:
        gi = require("gi", "video")
        gi.require_version("Gst", "1.0")
        from gi.repository import Gst  # type: ignore[import-not-found,unused-ignore]
    except (EnvironmentFault, ImportError, ValueError) as error:
        raise EnvironmentFault(f"GStreamer is not here. {REMEDY}") from error
    if not Gst.is_initialized():
        Gst.init(None)
    return Gst


def has_bindings() -> bool:
    """Whether GStreamer's bindings are installed."""
    try:
        load_gstreamer()
    except EnvironmentFault:
        return False
    return True


def _parsed(gst: Any, pipeline: str) -> Any:
    """A pipeline from its text; an unknown element is a fault, as in ``gst-launch-1.0``."""
    try:
        return gst.parse_launch(pipeline)
    except Exception as error:  # GLib.Error, which cannot be imported without the bindings
        text = redacted(getattr(error, "message", str(error))).rstrip(".")
        if getattr(error, "code", None) == int(gst.ParseError.NO_SUCH_ELEMENT):
            raise EnvironmentFault(
                f"GStreamer says: {text}. Mend its name, or install the plugin that has it: "
                "gst-inspect-1.0 lists what is there."
            ) from None
        raise InputError(f"GStreamer cannot read the pipeline: {text}.") from None


def _pixels(data: Image, height: int, width: int, layout: str) -> Image:
    """``(H, W, 3 or 4)`` from rows that may be padded at their ends."""
    channels = CHANNELS[layout]
    rows = data[: data.size // height * height].reshape(height, -1)[:, : width * channels]
    return np.ascontiguousarray(rows).reshape(height, width, channels)
