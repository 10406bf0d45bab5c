"""Pipelines of GStreamer, as text.

On a Jetson, hardware decodes (``nvv4l2decoder``), turns the camera's raw pictures into colours
(``nvarguscamerasrc``), and brings them from its own memory to ordinary memory (``nvvidconv``). What
that hands over has four bytes a pixel; the fourth is dropped in the pipeline for OpenCV, which
takes three only, and for GStreamer's own bindings when a picture is looked at, so that frames that
nobody looks at cost nothing.

Names of elements and properties: NVIDIA, Jetson Linux Developer Guide, "Accelerated GStreamer".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from effvit_edge.sources.options import Options

Taker: TypeAlias = Literal["opencv", "gi"]
"""Who takes the frames at the end of the pipeline: OpenCV, or GStreamer's own bindings."""

_HELD_FRAMES = 4  # in the sink, should the thread that takes them be late
_CODECS = {"h264": "rtph264depay ! h264parse", "h265": "rtph265depay ! h265parse"}
_FORMATS = {"opencv": "BGR", "gi": "RGB"}
_JETSON_FORMATS = {"opencv": "BGRx", "gi": "RGBA"}


@dataclass(frozen=True)
class Target:
    """For whom a pipeline is written."""

    taker: Taker
    jetson: bool

    @property
    def to_memory(self) -> str:
        """From whatever decodes to pictures in ordinary memory."""
        if not self.jetson:
            return f"videoconvert ! video/x-raw,format={_FORMATS[self.taker]}"
        out = f"nvvidconv ! video/x-raw,format={_JETSON_FORMATS[self.taker]}"
        return out if self.taker == "gi" else f"{out} ! videoconvert ! video/x-raw,format=BGR"


def sink(*, live: bool) -> str:
    """The end that hands frames over: the newest of a camera, every one of a file."""
    # Without a name: OpenCV finds it by the one that GStreamer gives it.
    drop = "true" if live else "false"
    return f"appsink sync=false drop={drop} max-buffers={_HELD_FRAMES}"


def quoted(value: str) -> str:
    """A value as the text of a pipeline takes it, whatever is in it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def csi_pipeline(sensor: int, options: Options, target: Target) -> str:
    """A camera on the connector of a Jetson, through NVIDIA's image processor."""
    width, height, fps = options.width or 1280, options.height or 720, options.fps or 30
    caps = (
        f"video/x-raw(memory:NVMM),width={width},height={height},"
        f"format=NV12,framerate={_fraction(fps)}"
    )
    flip = "" if options.flip is None else f" flip-method={options.flip}"
    to_memory = target.to_memory.replace("nvvidconv", f"nvvidconv{flip}", 1)
    return f"nvarguscamerasrc sensor-id={sensor} ! {caps} ! {to_memory} ! {sink(live=True)}"


def rtsp_pipeline(url: str, options: Options, target: Target) -> str:
    """A network camera.

    Args:
        url: its address; user and password become properties, which no message shows.
        options: transport and timeout; the codec, or whatever GStreamer decodes.
        target: for whom.
    """
    micros = round(options.timeout * 1e6)
    source = (
        f"rtspsrc location={quoted(_without_user(url))}{_login(url)} latency=100 "
        f"drop-on-latency=true protocols={options.transport} "
        f"timeout={micros} tcp-timeout={micros}"
    )
    middle = "decodebin"  # takes the hardware's decoder where it is there
    if options.codec:
        middle = f"{_CODECS[options.codec]} ! {'nvv4l2decoder' if target.jetson else 'decodebin'}"
    return f"{source} ! {middle} ! {target.to_memory} ! {sink(live=True)}"


def http_pipeline(url: str, options: Options, target: Target, *, live: bool) -> str:
    """A stream or a file on a web server."""
    source = (
        f"souphttpsrc location={quoted(_without_user(url))}{_login(url)} "
        f"timeout={max(1, round(options.timeout))}"
    )
    return f"{source} ! decodebin ! {target.to_memory} ! {sink(live=live)}"


def file_pipeline(path: str, target: Target) -> str:
    """A video file, upright; on a Jetson ``decodebin`` takes the hardware's decoder."""
    source = f"filesrc location={quoted(path)} ! decodebin"
    upright = "videoflip video-direction=auto"
    return f"{source} ! {target.to_memory} ! {upright} ! {sink(live=False)}"


def v4l2_pipeline(device: str, options: Options, target: Target) -> str:
    """A camera on USB; its JPEG pictures go through the hardware's decoder on a Jetson."""
    kind = "image/jpeg" if options.format == "MJPG" else "video/x-raw"
    caps = [kind]
    caps += [f"width={options.width}"] if options.width else []
    caps += [f"height={options.height}"] if options.height else []
    caps += [f"framerate={_fraction(options.fps)}"] if options.fps else []
    steps = [f"v4l2src device={quoted(device)}", ",".join(caps)]
    if kind == "image/jpeg":
        steps.append("nvv4l2decoder mjpeg=1" if target.jetson else "jpegdec")
    return " ! ".join([*steps, target.to_memory, sink(live=True)])


def given_pipeline(text: str, target: Target) -> str:
    """A pipeline of the user's, with the end added where it has none."""
    if re.search(r"\bappsink\b", text):
        return text
    return f"{text.rstrip().rstrip('!').rstrip()} ! videoconvert ! " + (
        f"video/x-raw,format={_FORMATS[target.taker]} ! {sink(live=True)}"
    )


def _fraction(fps: float) -> str:
    return f"{fps:g}/1" if fps == int(fps) else f"{round(fps * 1001)}/1001"


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _login(url: str) -> str:
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return ""
    name, _, password = user.partition(":")
    return f" user-id={quoted(unquote(name))} user-pw={quoted(unquote(password))}"
