"""How sources are named: one grammar for files, folders, cameras, streams and test films.

========================================  ======================================================
``clip.mp4``                              a video file; ``file://`` may stand before it
``folder``                                its videos, and those of the folders in it; a folder of
                                          pictures is one source, in the order of their names
``*.mp4``, ``day?/**/*.jpg``              what matches; pictures in a folder are one source
``0``, ``/dev/video0``,                   a camera on USB or of the system (V4L2)
``v4l2:///dev/video0``
``csi://0``                               a camera on the camera connector of a Jetson
``rtsp://HOST/PATH``, ``rtsps://…``       a network camera
``http://HOST/PATH``, ``https://…``       a stream, or a video file on a server
``gst: ELEMENT ! ELEMENT``                a pipeline of GStreamer, as ``gst-launch-1.0`` takes it;
                                          the end that hands frames over is added
``synthetic://motion``                    a rendered film of known motion
========================================  ======================================================

Options follow a question mark, see :mod:`effvit_edge.sources.options`. What is not an option of
ours in the query of a network address is the server's and goes to it unchanged; one of the same
name does, too, with a letter written as ``%XX``. A file that exists by the whole name is that file.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from effvit_edge.core.errors import InputError
from effvit_edge.core.video import VIDEO_SUFFIXES
from effvit_edge.sources.options import Kind, Options, option_names, parse_options
from effvit_edge.sources.redact import redacted, scrubbed

__all__ = ["SourceUri", "parse_uri", "redacted"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//|\s)", re.IGNORECASE)
_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,4})")
_DEVICE = re.compile(r"/dev/[\w./:+-]+")
_OPTIONS = re.compile(r"\?((?:[a-z0-9]+=[^?&/]*)(?:&[a-z0-9]+=[^?&/]*)*)$")
_NETWORK: dict[str, Kind] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtspt": "rtsp",
    "http": "http",
    "https": "http",
}
_STREAM_SUFFIXES = frozenset((".h264", ".h265", ".hevc", ".mjpeg", ".ts"))  # on a server, endless
_KNOWN = "file, v4l2, csi, rtsp, rtsps, http, https, gst and synthetic"


@dataclass(frozen=True)
class SourceUri:
    """What a user named, taken apart. Neither its ``str`` nor its ``repr`` shows a password."""

    kind: Kind
    target: str = field(repr=False)
    """A path, a pattern, a device, the number of a sensor, a URL without our options, a pipeline,
    or the name of a scene; with the password in it."""
    options: Options = field(default_factory=Options)

    @property
    def is_live(self) -> bool:
        """Whether it goes on by itself, so that only the newest frames are worth having.

        Of what is on a web server, a path that ends like a video file's is one.
        """
        if self.kind == "http":
            suffix = PurePosixPath(urlsplit(self.target).path).suffix.lower()
            finite = suffix in VIDEO_SUFFIXES - _STREAM_SUFFIXES
            return not finite if self.options.live is None else self.options.live
        return self.options.paced or self.kind in ("v4l2", "csi", "rtsp", "gst")

    @property
    def shown(self) -> str:
        """The target for people to see."""
        return redacted(self.target)

    def clean(self, text: str) -> str:
        """What a library said about this source, without its secrets."""
        return scrubbed(text, _secrets(self.target) if self.kind in ("rtsp", "http") else ())

    def __str__(self) -> str:
        return f"{self.kind} {self.shown}"


def parse_uri(text: str) -> SourceUri:
    """Take apart what names a source.

    Raises:
        InputError: it is empty, of an unknown kind, not well formed, or has an unknown option.
    """
    if not text.strip():
        raise InputError("The name of the source is empty. Give a file, a folder, or a camera.")
    if "\x00" in text or "\n" in text:
        raise InputError("The name of a source is one line of text.")
    scheme = _SCHEME.match(text)
    if scheme and not _is_there(text):
        return _with_scheme(scheme[1].lower(), text[scheme.end(1) + 1 :].lstrip(), text)
    return _path(text)


def _with_scheme(scheme: str, rest: str, text: str) -> SourceUri:
    if scheme in _NETWORK:
        return _network(_NETWORK[scheme], f"{scheme}:{rest}")
    if scheme == "gst":
        return _pipeline(rest.removeprefix("//").strip())
    target, _, query = rest.removeprefix("//").partition("?")
    if scheme == "file":
        return _path(rest.removeprefix("//"))
    if scheme == "v4l2":
        return SourceUri("v4l2", _device(target), parse_options("v4l2", query))
    if scheme == "csi":
        if not re.fullmatch(r"\d{1,2}", target):
            raise InputError(f"A camera is csi:// and its number, as in csi://0, not '{target}'.")
        return SourceUri("csi", target, parse_options("csi", query))
    if scheme == "synthetic":
        if target != "motion":
            raise InputError(f"There is no synthetic film '{target}'. Give synthetic://motion.")
        return SourceUri("synthetic", target, parse_options("synthetic", query))
    raise InputError(
        f"Sources of the kind '{scheme}:' are not known. Known are {_KNOWN}, and paths."
    )


def _path(text: str) -> SourceUri:
    """A file, folder or pattern; its options are split off where no such file is there."""
    if not text:
        raise InputError("The name of the source is empty. Give a file, a folder, or a camera.")
    target, query = text, ""
    match = _OPTIONS.search(text)
    if match and not _is_there(text):
        target, query = text[: match.start()], match[1]
    camera = _CAMERA.fullmatch(target)
    if camera and not _is_there(target):
        return SourceUri("v4l2", f"/dev/video{camera[1]}", parse_options("v4l2", query))
    if _is_there(target) and Path(target).is_dir():
        return SourceUri("folder", target, parse_options("folder", query))
    if glob.has_magic(target) and not _is_there(target):
        return SourceUri("glob", target, parse_options("glob", query))
    return SourceUri("file", target, parse_options("file", query))


def _is_there(path: str) -> bool:
    """Whether there is such a file or folder; a text too long for a name is none."""
    try:
        return Path(path).is_file() or Path(path).is_dir()
    except OSError:
        return False


def _device(target: str) -> str:
    if target.isdigit():
        return f"/dev/video{int(target)}"
    if not _DEVICE.fullmatch(target):
        raise InputError(
            f"'{target}' is not a camera's device. Give one as v4l2:///dev/video0, or a number."
        )
    return target


def _pipeline(text: str) -> SourceUri:
    if not text:
        raise InputError("The pipeline is empty. Give one as in: gst: videotestsrc ! videoconvert")
    return SourceUri("gst", text)


def _network(kind: Kind, url: str) -> SourceUri:
    """A URL, with our options taken out of its query and the rest left as it is."""
    if re.search(r"\s", url):
        raise InputError("The address of a stream has a space in it. Write it as %20.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InputError(
            f"The address {redacted(url)} is not well formed. In a password, write : / ? # @ as "
            "%3A %2F %3F %23 %40, and after the host comes a port below 65536 or a path."
        ) from None
    if not host:
        raise InputError(f"The address {redacted(url)} names no host. Give one as {kind}://HOST/…")
    ours: list[str] = []
    theirs: list[str] = []
    for part in parts.query.split("&"):
        (ours if part.partition("=")[0] in option_names(kind) else theirs).append(part)
    target = parts._replace(query="&".join(theirs), fragment="").geturl()
    return SourceUri(kind, target, parse_options(kind, "&".join(ours)))


def _secrets(url: str) -> set[str]:
    """What a URL must not be seen with, as written and as meant: its password, or its token."""
    user, _, _ = urlsplit(url).netloc.rpartition("@")
    name, _, password = user.partition(":")
    return {form for form in (password or name, unquote(password or name)) if form}
