"""Streams and files from the network, decoded in software by PyAV."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from effvit_edge.core.clock import Clock, MonotonicClock
from effvit_edge.core.closing import Closing
from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.optional import require
from effvit_edge.core.video import Losses, RgbConverter
from effvit_edge.sources.base import SourceError
from effvit_edge.sources.capture import Grabbed
from effvit_edge.sources.uri import SourceUri

_PROTOCOLS = "http,https,httpproxy,tls,tcp,udp,rtp,rtsp,rtsps,crypto,data"
_UNTIMED = frozenset(("mpjpeg", "mjpeg", "h264", "hevc", "image2pipe", "jpeg_pipe"))
"""Formats without times, whose frames FFmpeg counts at 25 a second, whatever the camera does."""
_DEFAULT_PORTS = {"rtsp": 554, "rtspt": 554, "rtsps": 322, "http": 80, "https": 443}


class NetworkCapture(Closing):
    """One connection to an address.

    Args:
        uri: of the kind ``rtsp`` or ``http``.
        losses: counts the packets that do not decode.
        endless: whether its end is a fault.
        clock: stamps the frames.

    Raises:
        InputError: the server refuses the user, has no such path, or sends no video.
        EnvironmentFault: PyAV is not installed, or the server cannot be reached.
    """

    expected_frames: int | None = None

    def __init__(
        self, uri: SourceUri, losses: Losses, *, endless: bool, clock: Clock | None = None
    ) -> None:
        self._av = require("av", "video")
        self._uri, self._losses, self._endless = uri, losses, endless
        self._clock = clock or MonotonicClock()
        self._converter = RgbConverter()
        self._container = self._open()
        try:
            self._stream = self._video()
        except EdgeError:
            self._container.close()
            raise
        # Threads that decode whole frames side by side would hold back as many of them.
        self._stream.thread_type = "SLICE" if endless else "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.nominal_fps = float(rate) if rate else None
        self.backend = f"PyAV {self._av.__version__}, software{_transport(uri)}"
        self._untimed = endless and self._container.format.name in _UNTIMED
        self._packets = self._container.demux(self._stream)
        self._decoded: deque[Any] = deque()
        self._decode_ms = 0.0

    def grab(self) -> Grabbed | None:
        """See ``Capture.grab``."""
        while not self._decoded:
            packet = self._next_packet()
            if packet is None:
                if self._endless:
                    raise SourceError(f"{self._uri.shown} has ended: the server closed it.")
                return None
            self._decode(packet)
        decoded = self._decoded.popleft()
        self._losses.damaged += bool(decoded.is_corrupt)
        untimed = self._untimed or decoded.pts is None
        pts = None if untimed else float(decoded.pts * decoded.time_base)
        milliseconds, self._decode_ms = self._decode_ms, 0.0
        return Grabbed(
            pts, self._clock.now(), milliseconds, lambda: self._converter.convert(decoded)
        )

    def close(self) -> None:
        """See ``Capture.close``."""
        self._decoded.clear()
        self._packets = iter(())
        self._container.close()

    def _next_packet(self) -> Any:
        try:
            return next(self._packets, None)
        except self._av.FFmpegError as error:
            raise SourceError(_broken(self._uri, error)) from None

    def _decode(self, packet: Any) -> None:
        started = self._clock.now()
        try:
            self._decoded.extend(self._stream.decode(packet))
        except self._av.FFmpegError as error:
            self._losses.add(1, f"a packet does not decode: {error.strerror}")
        self._decode_ms += (self._clock.now() - started) * 1000

    def _open(self) -> Any:
        options = {"protocol_whitelist": _PROTOCOLS}
        if self._uri.kind == "rtsp":
            # A tenth of a second: what is looked through beforehand comes late, all at once.
            options |= {
                "rtsp_transport": self._uri.options.transport,
                "analyzeduration": "100000",
            }
        started = self._clock.now()
        try:
            return self._av.open(
                self._uri.target,
                options=options,
                metadata_errors="ignore",
                timeout=self._uri.options.timeout,
            )
        except self._av.FFmpegError as error:
            # Not "from error": its own text has the address, with the password, in it.
            waited = self._clock.now() - started
            raise _refused(self._uri, error, waited) from None

    def _video(self) -> Any:
        streams = self._container.streams.video
        if not streams:
            raise InputError(f"{self._uri.shown} has no video in it.")
        if streams[0].codec_context is None:
            raise InputError(f"{self._uri.shown} uses a codec that this FFmpeg cannot decode.")
        return streams[0]


def _transport(uri: SourceUri) -> str:
    return f", over {uri.options.transport}" if uri.kind == "rtsp" else ""


def _refused(uri: SourceUri, error: Any, waited_seconds: float) -> EdgeError:
    """Why an address did not open, in a sentence."""
    shown, kind = uri.shown, type(error).__name__
    # FFmpeg calls it invalid data where an RTSP server accepts the connection and is silent.
    if kind == "ExitError" or waited_seconds >= uri.options.timeout:
        return EnvironmentFault(
            f"{shown} did not answer within {uri.options.timeout:g} s. Is it reachable from here? "
            "timeout=SECONDS waits longer."
        )
    if kind == "HTTPUnauthorizedError":
        return InputError(
            f"{shown} does not accept this user and password. Give them as "
            f"{uri.kind}://USER:PASSWORD@HOST/…, with special characters as %XX."
        )
    if kind == "HTTPForbiddenError":
        return InputError(f"{shown} is forbidden to this user.")
    if kind == "HTTPNotFoundError":
        return InputError(f"The server has nothing at {shown}. Check the path.")
    if kind == "InvalidDataError":
        return InputError(f"{shown} sends nothing that FFmpeg knows as video.")
    if isinstance(error, ConnectionRefusedError):
        return EnvironmentFault(
            f"{shown} refuses the connection. Is the server on, and is it this port?"
        )
    return EnvironmentFault(_unreachable(uri) or f"{shown} does not open: {_reason(uri, error)}.")


def _unreachable(uri: SourceUri) -> str | None:
    """What FFmpeg calls an input or output error: a host that nobody knows."""
    parts = urlsplit(uri.target)
    try:
        socket.getaddrinfo(parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme))
    except (OSError, UnicodeError):
        return (
            f"The host of {uri.shown} is not known. Check its name and the network, and write "
            "special characters of a password as %XX."
        )
    return None


def _broken(uri: SourceUri, error: Any) -> str:
    if type(error).__name__ == "ExitError":
        return f"{uri.shown} sent nothing for {uri.options.timeout:g} s."
    return f"{uri.shown} broke off: {_reason(uri, error)}."


def _reason(uri: SourceUri, error: Any) -> str:
    return uri.clean(error.strerror or type(error).__name__)
