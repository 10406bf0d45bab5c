"""The options that a source's URI may carry, in one table.

They follow a question mark, ``NAME=VALUE`` joined by ``&``:

=================  ==============================  ============================================
option             of                              meaning
=================  ==============================  ============================================
backend=NAME       file, v4l2, rtsp, http          what decodes instead of the usual: ``pyav`` (all
                                                   but v4l2), ``opencv`` (file, v4l2) or
                                                   ``gstreamer`` (all)
codec=NAME         rtsp                            ``h264`` or ``h265``, for GStreamer, which finds
                                                   out by itself otherwise
buffer=N           everything live                 keep so many of the newest frames; 2
gap=SECONDS        everything live                 frames further apart start the model's window
                                                   anew; 1, or four frames where that is more
reconnect=0        v4l2, csi, rtsp, http           end with an error where contact is lost,
                                                   instead of trying again for good
timeout=SECONDS    rtsp, http                      how long to wait for an answer or a frame
                                                   before contact counts as lost; 10
transport=NAME     rtsp                            ``tcp``, which loses nothing, or ``udp``
live=0, live=1     http                            whether it goes on for good; 0 where the path
                                                   ends like a video file's, 1 otherwise
width=N, height=N  v4l2, csi                       pixels to ask the camera for
fps=X              v4l2, csi                       frames a second to ask the camera for
fps=X              folder or glob of pictures      frames a second that they are; 25
format=FOURCC      v4l2                            pixels to ask for, such as ``MJPG``, ``YUYV``
flip=N             csi                             0 to 7, as ``nvvidconv flip-method`` has it
size=N, size=WxH   synthetic                       pixels; 128
fps=X              synthetic                       frames a second; 30
seconds=X          synthetic                       how long; for good by default
seed=N             synthetic                       another film; 7
paced=1            synthetic                       live, at its own rate; 0 as fast as it is read
=================  ==============================  ============================================
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from effvit_edge.core.errors import InputError

Kind: TypeAlias = Literal[
    "file", "folder", "glob", "v4l2", "csi", "rtsp", "http", "gst", "synthetic"
]
Backend: TypeAlias = Literal["pyav", "opencv", "gstreamer"]

_LONGEST_BUFFER = 256
_LARGEST_SIDE = 16384


@dataclass(frozen=True)
class Options:
    """What a URI asks for beyond the source itself; None where it does not say."""

    backend: Backend | None = None
    buffer: int | None = None
    gap: float | None = None
    reconnect: bool = True
    timeout: float = 10.0
    codec: Literal["h264", "h265"] | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    live: bool | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    format: str | None = None
    flip: int | None = None
    size: tuple[int, int] = (128, 128)
    """Width and height."""
    seconds: float | None = None
    seed: int = 7
    paced: bool = False


def parse_options(kind: Kind, text: str) -> Options:
    """Options from what follows the question mark.

    Raises:
        InputError: one is unknown, not of this kind of source, given twice, or has no such value.
    """
    values: dict[str, Any] = {}
    for part in filter(None, text.split("&")):
        name, equals, value = part.partition("=")
        rule = _RULES.get(name)
        if rule is None or kind not in rule.kinds:
            raise _unknown(kind, name)
        if name in values:
            raise InputError(f"The option {name} is given twice. Give it once.")
        parsed = rule.parse(value) if equals else None
        if parsed is None:
            raise InputError(f"The option {name} takes {rule.takes}, and got '{value}'.")
        values[name] = parsed
    return dataclasses.replace(Options(), **values)


def option_names(kind: Kind) -> tuple[str, ...]:
    """The options that a kind of source has."""
    return tuple(name for name, rule in _RULES.items() if kind in rule.kinds)


def _unknown(kind: Kind, name: str) -> InputError:
    names = ", ".join(option_names(kind))
    known = f"It has: {names}." if names else "It has none."
    return InputError(f"A source of the kind {kind} has no option '{name}'. {known}")


@dataclass(frozen=True)
class _Rule:
    kinds: frozenset[str]
    takes: str
    parse: Callable[[str], Any]
    """The value; None where it is none."""


def _number(low: float, high: float) -> Callable[[str], float | None]:
    def parse(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and low <= value <= high else None

    return parse


def _integer(low: int, high: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        return int(text) if re.fullmatch(r"\d{1,9}", text) and low <= int(text) <= high else None

    return parse


def _one_of(values: Mapping[str, Any]) -> Callable[[str], Any]:
    return lambda text: values.get(text.lower())


def _size(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.lower())
    if not match:
        return None
    width, height = int(match[1]), int(match[2] or match[1])
    return (width, height) if 16 <= min(width, height) <= max(width, height) <= 4096 else None


def _fourcc(text: str) -> str | None:
    return text if re.fullmatch(r"[A-Za-z0-9]{4}", text) else None


def _named(*names: str) -> Callable[[str], Any]:
    return _one_of({name: name for name in names})


_SWITCH = _one_of({"0": False, "1": True})
_CAMERAS = frozenset(("v4l2", "csi"))
_NETWORK = frozenset(("rtsp", "http"))
_FPS_KINDS = _CAMERAS | {"folder", "glob", "synthetic"}

_RULES = {
    "backend": _Rule(
        frozenset(("file", "folder", "glob", "v4l2")) | _NETWORK,
        "pyav, opencv or gstreamer",
        _named("pyav", "opencv", "gstreamer"),
    ),
    "buffer": _Rule(
        _CAMERAS | _NETWORK | {"synthetic"},
        f"1 to {_LONGEST_BUFFER} frames",
        _integer(1, _LONGEST_BUFFER),
    ),
    "gap": _Rule(_CAMERAS | _NETWORK | {"synthetic"}, "0.01 to 3600 seconds", _number(0.01, 3600)),
    "reconnect": _Rule(_CAMERAS | _NETWORK, "0 or 1", _SWITCH),
    "timeout": _Rule(_NETWORK, "0.1 to 3600 seconds", _number(0.1, 3600)),
    "codec": _Rule(frozenset(("rtsp",)), "h264 or h265", _named("h264", "h265")),
    "transport": _Rule(frozenset(("rtsp",)), "tcp or udp", _named("tcp", "udp")),
    "live": _Rule(frozenset(("http",)), "0 or 1", _SWITCH),
    "width": _Rule(_CAMERAS, "a number of pixels", _integer(1, _LARGEST_SIDE)),
    "height": _Rule(_CAMERAS, "a number of pixels", _integer(1, _LARGEST_SIDE)),
    "fps": _Rule(_FPS_KINDS, "0.1 to 1000 frames a second", _number(0.1, 1000)),
    "format": _Rule(frozenset(("v4l2",)), "four letters such as MJPG", _fourcc),
    "flip": _Rule(frozenset(("csi",)), "0 to 7", _integer(0, 7)),
    "size": _Rule(frozenset(("synthetic",)), "N or WxH, 16 to 4096 pixels", _size),
    "seconds": _Rule(frozenset(("synthetic",)), "a number of seconds", _number(0.001, 1e9)),
    "seed": _Rule(frozenset(("synthetic",)), "a whole number", _integer(0, 10**9 - 1)),
    "paced": _Rule(frozenset(("synthetic",)), "0 or 1", _SWITCH),
}
