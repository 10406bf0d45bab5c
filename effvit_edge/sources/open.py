"""From what the user names to an open source: which backend takes it, and how it is wrapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.video import Losses, check_file
from effvit_edge.sources import pipelines
from effvit_edge.sources.base import Source
from effvit_edge.sources.capture import Capture, Connect
from effvit_edge.sources.direct import DirectSource
from effvit_edge.sources.file import FileSource
from effvit_edge.sources.gstreamer import REMEDY, GstCapture, has_bindings
from effvit_edge.sources.jetson import is_jetson
from effvit_edge.sources.listing import pictures_of, source_name
from effvit_edge.sources.live import BUFFER, LivePolicy, LiveSource
from effvit_edge.sources.network import NetworkCapture
from effvit_edge.sources.opencv import (
    check_device,
    has_gstreamer,
    open_camera,
    open_file,
    open_pipeline,
)
from effvit_edge.sources.pictures import DEFAULT_FPS, PicturesCapture
from effvit_edge.sources.redact import redacted
from effvit_edge.sources.synthetic import SyntheticCapture
from effvit_edge.sources.uri import SourceUri, parse_uri

_BACKENDS = {
    "file": ("pyav", "opencv", "gstreamer"),
    "v4l2": ("opencv", "gstreamer"),
    "rtsp": ("pyav", "gstreamer"),
    "http": ("pyav", "gstreamer"),
}


@dataclass(frozen=True)
class Machine:
    """What this machine has to decode with; tests give another."""

    jetson: bool
    taker: pipelines.Taker | None
    """What takes frames from GStreamer; None where nothing does."""

    @classmethod
    def this(cls) -> Machine:
        """The one that this runs on. Loads OpenCV, and GStreamer where it is installed."""
        taker: pipelines.Taker | None = None
        if has_bindings():
            taker = "gi"
        elif has_gstreamer():
            taker = "opencv"
        return cls(is_jetson(), taker)

    def target(self) -> pipelines.Target:
        """For whom pipelines are written.

        Raises:
            EnvironmentFault: nothing here takes frames from GStreamer.
        """
        if self.taker is None:
            raise EnvironmentFault(f"This source needs GStreamer, which is not here. {REMEDY}")
        return pipelines.Target(self.taker, self.jetson)


def open_source(
    uri: str,
    name: str | None = None,
    *,
    buffer: int | None = None,
    clock: Clock | None = None,
    machine: Machine | None = None,
) -> Source:
    """Open one source.

    A live source is returned at once and connects in a thread of its own; what is wrong with it is
    raised by its first ``read``, but for what can be seen without asking it.

    Args:
        uri: see :mod:`effvit_edge.sources.uri`.
        name: each record's ``source``; ``uri`` without secrets when not given.
        buffer: how many of the newest frames a live source keeps, where ``uri`` does not say.
        clock: stamps the arrivals and measures the decoding.
        machine: what there is to decode with; found out when not given.

    Raises:
        InputError: the source is missing, cannot be used, or of a kind that is not known.
        EnvironmentFault: a library, device or permission is missing.
    """
    parsed = parse_uri(uri)
    name = source_name(parsed) if name is None else redacted(name)
    opening = _Opening(parsed, name, buffer, clock or MonotonicClock(), machine)
    return _OPENERS[parsed.kind](opening)


class _Opening:
    """One source on its way: what was asked, and what there is to do it with."""

    def __init__(
        self, uri: SourceUri, name: str, buffer: int | None, clock: Clock, machine: Machine | None
    ) -> None:
        self.uri, self.name, self.clock = uri, name, clock
        self._buffer, self._machine = buffer, machine

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            self._machine = Machine.this()
        return self._machine

    @property
    def backend(self) -> str | None:
        """What the user asked for, if that suits."""
        asked, known = self.uri.options.backend, _BACKENDS[self.uri.kind]
        if asked is not None and asked not in known:
            raise InputError(
                f"A source of the kind {self.uri.kind} is not decoded by {asked}. "
                f"Give backend= one of: {', '.join(known)}."
            )
        return asked

    @property
    def has_hardware(self) -> bool:
        """Whether hardware can decode; on other machines GStreamer is not even looked for."""
        jetson = is_jetson() if self._machine is None else self._machine.jetson
        return jetson and self.machine.taker is not None

    def live(self, connect: Connect, planned_backend: str) -> Source:
        options = self.uri.options
        buffer = options.buffer or self._buffer or BUFFER
        policy = LivePolicy(buffer, options.gap, options.reconnect)
        return LiveSource(
            self.name,
            connect,
            policy,
            planned_backend=planned_backend,
            clean=self.uri.clean,
            clock=self.clock,
        )

    def direct(self, connect: Connect) -> Source:
        return DirectSource(self.name, connect, self.clock)

    def pipeline(self, text: str, *, endless: bool) -> Connect:
        """What opens a pipeline of GStreamer by whatever takes its frames."""
        if self.machine.taker == "gi":
            return lambda losses: GstCapture(
                text,
                self.uri.shown,
                losses,
                endless=endless,
                # A pipeline of the user's may have a picture now and then.
                timeout_seconds=None if self.uri.kind == "gst" else self.uri.options.timeout,
                clock=self.clock,
            )
        return lambda losses: open_pipeline(
            text, redacted(text), losses, endless=endless, clock=self.clock
        )

    def live_pipeline(self, text: str, *, endless: bool = True) -> Source:
        return self.live(self.pipeline(text, endless=endless), f"GStreamer: {redacted(text)}")


def _file(opening: _Opening) -> Source:
    path = Path(opening.uri.target)
    check_file(path)
    if opening.backend == "opencv":
        return opening.direct(lambda losses: open_file(path, losses, opening.clock))
    if opening.backend == "gstreamer":
        text = pipelines.file_pipeline(str(path), opening.machine.target())
        return opening.direct(opening.pipeline(text, endless=False))
    return FileSource(path, opening.name, opening.clock)


def _pictures(opening: _Opening) -> Source:
    paths = pictures_of(opening.uri)
    fps = opening.uri.options.fps or DEFAULT_FPS
    return opening.direct(lambda losses: PicturesCapture(paths, fps, losses, opening.clock))


def _v4l2(opening: _Opening) -> Source:
    device, options = opening.uri.target, opening.uri.options
    check_device(device)
    if opening.backend == "gstreamer":
        target = opening.machine.target()
        return opening.live_pipeline(pipelines.v4l2_pipeline(device, options, target))
    connect = partial(open_camera, device, options, clock=opening.clock)
    return opening.live(connect, "V4L2 through OpenCV")


def _csi(opening: _Opening) -> Source:
    if not opening.machine.jetson:
        raise EnvironmentFault(
            "csi:// is the camera connector of a Jetson, and this machine is none. Cameras on USB "
            "are v4l2:///dev/video0, other pipelines gst:"
        )
    target = opening.machine.target()
    sensor = int(opening.uri.target)
    return opening.live_pipeline(pipelines.csi_pipeline(sensor, opening.uri.options, target))


def _rtsp(opening: _Opening) -> Source:
    if opening.backend == "gstreamer" or (opening.backend is None and opening.has_hardware):
        uri, target = opening.uri, opening.machine.target()
        return opening.live_pipeline(pipelines.rtsp_pipeline(uri.target, uri.options, target))
    return opening.live(_network(opening, endless=True), "PyAV, software")


def _http(opening: _Opening) -> Source:
    uri = opening.uri
    live = uri.is_live
    if opening.backend == "gstreamer":
        target = opening.machine.target()
        text = pipelines.http_pipeline(uri.target, uri.options, target, live=live)
        if live:
            return opening.live_pipeline(text)
        return opening.direct(opening.pipeline(text, endless=False))
    connect = _network(opening, endless=live)
    return opening.live(connect, "PyAV, software") if live else opening.direct(connect)


def _network(opening: _Opening, *, endless: bool) -> Connect:
    def connect(losses: Losses) -> Capture:
        return NetworkCapture(opening.uri, losses, endless=endless, clock=opening.clock)

    return connect


def _gst(opening: _Opening) -> Source:
    text = pipelines.given_pipeline(opening.uri.target, opening.machine.target())
    return opening.live_pipeline(text, endless=False)


def _synthetic(opening: _Opening) -> Source:
    options = opening.uri.options

    def connect(losses: Losses) -> Capture:
        return SyntheticCapture(options, opening.clock)

    live = opening.uri.is_live
    return opening.live(connect, "rendered motion") if live else opening.direct(connect)


_OPENERS: dict[str, Callable[[_Opening], Source]] = {
    "file": _file,
    "folder": _pictures,
    "glob": _pictures,
    "v4l2": _v4l2,
    "csi": _csi,
    "rtsp": _rtsp,
    "http": _http,
    "gst": _gst,
    "synthetic": _synthetic,
}
