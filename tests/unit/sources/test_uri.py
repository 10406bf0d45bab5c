from __future__ import annotations

import re
from pathlib import Path

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.sources import options as options_module
from effvit_edge.sources import parse_uri
from effvit_edge.sources.options import Options, option_names, parse_options

KINDS = ("file", "folder", "glob", "v4l2", "csi", "rtsp", "http", "gst", "synthetic")


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("clip.mp4", "file", "clip.mp4"),
        ("file:///a/clip.mp4", "file", "/a/clip.mp4"),
        ("a day/*.mp4", "glob", "a day/*.mp4"),
        ("clip?.mp4", "glob", "clip?.mp4"),
        ("0", "v4l2", "/dev/video0"),
        ("/dev/video3", "v4l2", "/dev/video3"),
        ("v4l2:///dev/video1", "v4l2", "/dev/video1"),
        ("v4l2://2", "v4l2", "/dev/video2"),
        ("v4l2:///dev/v4l/by-id/usb-x_1", "v4l2", "/dev/v4l/by-id/usb-x_1"),
        ("csi://0", "csi", "0"),
        ("rtsp://cam/1", "rtsp", "rtsp://cam/1"),
        ("RTSPS://me:pw@[::1]:322/1", "rtsp", "rtsps://me:pw@[::1]:322/1"),
        ("https://host/a.mp4", "http", "https://host/a.mp4"),
        ("gst: videotestsrc ! videoconvert", "gst", "videotestsrc ! videoconvert"),
        ("gst://videotestsrc", "gst", "videotestsrc"),
        (f"gst: {'identity ! ' * 400}", "gst", ("identity ! " * 400).strip()),
        ("synthetic://motion", "synthetic", "motion"),
    ],
)
def test_grammar(text: str, kind: str, target: str) -> None:
    parsed = parse_uri(text)
    assert (parsed.kind, parsed.target, parsed.options) == (kind, target, Options())


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("0?width=1280&height=720&fps=30&format=MJPG", "v4l2"),
        ("clip.mp4?backend=opencv", "file"),
        ("frames/*.png?fps=12.5", "glob"),
        ("csi://1?flip=2", "csi"),
        ("synthetic://motion?size=64x48&seconds=2&seed=3&paced=1", "synthetic"),
    ],
)
def test_options_follow_a_question_mark(text: str, options: str) -> None:
    parsed = parse_uri(text)
    assert parsed.kind == options
    assert parsed.options == parse_options(parsed.kind, text.rpartition("?")[2])
    assert parsed.options != Options()


def test_values_are_what_they_say() -> None:
    parsed = parse_uri("synthetic://motion?size=64x48&fps=12.5&paced=1&buffer=3").options
    assert (parsed.size, parsed.fps, parsed.paced, parsed.buffer) == ((64, 48), 12.5, True, 3)
    assert parse_uri("rtsp://h/?transport=UDP&reconnect=0").options.transport == "udp"


def test_a_server_keeps_its_own_query_and_we_take_ours() -> None:
    parsed = parse_uri("rtsp://cam:554/s?channel=1&transport=udp&subtype=00&%62uffer=9&timeout=3")
    assert parsed.target == "rtsp://cam:554/s?channel=1&subtype=00&%62uffer=9"
    assert (parsed.options.transport, parsed.options.timeout) == ("udp", 3.0)
    assert parsed.options.buffer is None


def test_what_is_there_by_its_whole_name_is_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("7", "clip?backend=opencv", "[a].mp4", "gst: x"):
        Path(name).touch()
        assert (parse_uri(name).kind, parse_uri(name).target) == ("file", name)
    Path("9").mkdir()
    assert parse_uri("9").kind == "folder"
    assert parse_uri("9?fps=5").options.fps == 5


BAD = {
    "": "is empty",
    "  ": "is empty",
    "a\nb": "one line of text",
    "file://": "is empty",
    "ftp://host/a": "kind 'ftp:' are not known",
    "v4l2://usb": "not a camera's device",
    "csi://left": "as in csi://0",
    "synthetic://noise": "no synthetic film 'noise'",
    "gst:  ": "pipeline is empty",
    "rtsp:///path": "names no host",
    "rtsp://host:camera/1": "not well formed",
    "rtsp://host:99999/1": "not well formed",
    "rtsp://ho st/1": "has a space in it",
    "0?width=wide": "takes a number of pixels, and got 'wide'",
    "0?width=0": "takes a number of pixels",
    "0?size=3": "kind v4l2 has no option 'size'. It has: backend, buffer",
    "clip.mp4?fps=3": "kind file has no option 'fps'",
    "csi://0?flip=8": "takes 0 to 7",
    "synthetic://motion?paced": "option paced takes 0 or 1, and got ''",
    "synthetic://motion?seed=1&seed=2": "given twice",
    "synthetic://motion?fps=nan": "takes 0.1 to 1000",
    "synthetic://motion?size=5": "16 to 4096 pixels",
    "rtsp://h/?transport=pigeon": "takes tcp or udp",
    "rtsp://h/?buffer=0": "takes 1 to 256 frames",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(BAD[text])) as caught:
        parse_uri(text)
    assert "\n" not in str(caught.value)


def test_the_table_has_every_option_and_no_other() -> None:
    table = options_module.__doc__ or ""
    documented = set(re.findall(r"^([a-z]+)=", table, re.MULTILINE)) | {"height"}
    assert documented == {name for kind in KINDS for name in option_names(kind)}
    assert documented == set(Options.__dataclass_fields__)


def test_the_documentation_has_every_option_and_no_other() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "sources.md").read_text("utf-8")
    table = text.partition("## Options")[2].partition("## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = set(re.findall(r"`([a-z]+)=", " ".join(rows)))
    assert documented == set(Options.__dataclass_fields__)


def test_a_uri_shows_no_password() -> None:
    parsed = parse_uri("rtsp://me:geheim@cam/1?token=abc123")
    assert str(parsed) == "rtsp rtsp://***@cam/1?token=***"
    assert "geheim" not in repr(parsed)
    assert parsed.clean("geheim is wrong for abc") == "*** is wrong for abc"


@pytest.mark.parametrize(
    ("text", "is_live"),
    [
        ("clip.mp4", False),
        ("0", True),
        ("rtsp://h/clip.mp4", True),
        ("gst: videotestsrc", True),
        ("https://h/clip.MP4?x=1", False),
        ("http://h/mjpg/video.mjpeg", True),
        ("http://h/stream", True),
        ("http://h/stream?live=0", False),
        ("http://h/clip.mp4?live=1", True),
        ("synthetic://motion", False),
        ("synthetic://motion?paced=1&seconds=9", True),
    ],
)
def test_what_goes_on_by_itself(text: str, is_live: bool) -> None:
    assert parse_uri(text).is_live == is_live
