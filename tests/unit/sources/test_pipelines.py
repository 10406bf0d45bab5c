"""Pipelines as text, for machines that are not here, and how a source finds out what is."""

from __future__ import annotations

from pathlib import Path

import pytest

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.sources import open_source
from effvit_edge.sources.jetson import is_jetson
from effvit_edge.sources.open import Machine
from effvit_edge.sources.options import Options
from effvit_edge.sources.pipelines import (
    Target,
    csi_pipeline,
    file_pipeline,
    given_pipeline,
    http_pipeline,
    quoted,
    rtsp_pipeline,
    v4l2_pipeline,
)
from tests.device_trees import tree

JETSON_CV, JETSON_GI = Target("opencv", jetson=True), Target("gi", jetson=True)
PC_CV, PC_GI = Target("opencv", jetson=False), Target("gi", jetson=False)
NEWEST = "appsink sync=false drop=true max-buffers=4"
EVERY = "appsink sync=false drop=false max-buffers=4"
NV_CV = "nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR"


def test_a_camera_on_the_connector() -> None:
    options = Options(width=1920, height=1080, fps=60, flip=2)
    assert csi_pipeline(1, options, JETSON_GI) == (
        "nvarguscamerasrc sensor-id=1 ! "
        "video/x-raw(memory:NVMM),width=1920,height=1080,format=NV12,framerate=60/1 ! "
        f"nvvidconv flip-method=2 ! video/x-raw,format=RGBA ! {NEWEST}"
    )
    assert csi_pipeline(0, Options(), JETSON_CV) == (
        "nvarguscamerasrc sensor-id=0 ! "
        "video/x-raw(memory:NVMM),width=1280,height=720,format=NV12,framerate=30/1 ! "
        f"{NV_CV} ! {NEWEST}"
    )


@pytest.mark.parametrize(
    ("target", "codec", "middle"),
    [
        (JETSON_GI, None, "decodebin ! nvvidconv ! video/x-raw,format=RGBA"),
        (
            JETSON_GI,
            "h265",
            "rtph265depay ! h265parse ! nvv4l2decoder ! nvvidconv ! video/x-raw,format=RGBA",
        ),
        (JETSON_CV, "h264", f"rtph264depay ! h264parse ! nvv4l2decoder ! {NV_CV}"),
        (PC_CV, None, "decodebin ! videoconvert ! video/x-raw,format=BGR"),
        (
            PC_GI,
            "h264",
            "rtph264depay ! h264parse ! decodebin ! videoconvert ! video/x-raw,format=RGB",
        ),
    ],
)
def test_a_network_camera(target: Target, codec: str | None, middle: str) -> None:
    options = Options(codec=codec, transport="udp", timeout=2.5)  # type: ignore[arg-type]
    assert rtsp_pipeline("rtsp://me:a%22b@cam:554/1?x=1", options, target) == (
        'rtspsrc location="rtsp://cam:554/1?x=1" user-id="me" user-pw="a\\"b" latency=100 '
        "drop-on-latency=true protocols=udp timeout=2500000 tcp-timeout=2500000 ! "
        f"{middle} ! {NEWEST}"
    )


def test_a_camera_on_usb() -> None:
    options = Options(width=1280, height=720, fps=29.97, format="MJPG")
    assert v4l2_pipeline("/dev/video0", options, JETSON_GI) == (
        'v4l2src device="/dev/video0" ! '
        "image/jpeg,width=1280,height=720,framerate=30000/1001 ! nvv4l2decoder mjpeg=1 ! "
        f"nvvidconv ! video/x-raw,format=RGBA ! {NEWEST}"
    )
    assert v4l2_pipeline("/dev/video0", options, PC_GI).count("jpegdec") == 1
    assert v4l2_pipeline("/dev/video2", Options(), PC_CV) == (
        'v4l2src device="/dev/video2" ! video/x-raw ! '
        f"videoconvert ! video/x-raw,format=BGR ! {NEWEST}"
    )


def test_files_and_servers() -> None:
    assert file_pipeline('a "b".mp4', PC_GI) == (
        'filesrc location="a \\"b\\".mp4" ! decodebin ! videoconvert ! video/x-raw,format=RGB ! '
        f"videoflip video-direction=auto ! {EVERY}"
    )
    assert http_pipeline("https://h/a.mp4", Options(), PC_CV, live=False) == (
        'souphttpsrc location="https://h/a.mp4" timeout=10 ! decodebin ! '
        f"videoconvert ! video/x-raw,format=BGR ! {EVERY}"
    )


def test_a_pipeline_of_the_users_gets_an_end_where_it_has_none() -> None:
    ended = f"a ! b ! videoconvert ! video/x-raw,format=RGB ! {NEWEST}"
    assert given_pipeline("a ! b", PC_GI) == given_pipeline("a ! b ! ", PC_GI) == ended
    assert given_pipeline("a ! appsink name=x", PC_GI) == "a ! appsink name=x"


def test_values_are_quoted() -> None:
    assert quoted('a\\b"c d') == '"a\\\\b\\"c d"'


@pytest.mark.parametrize(
    ("files", "jetson"),
    [
        ({}, False),
        ({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3"}, True),
        ({"proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0"}, True),
        ({"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}, False),
    ],
)
def test_a_jetson_is_known_by_its_files(
    tmp_path: Path, files: dict[str, str], jetson: bool
) -> None:
    assert is_jetson(tree(tmp_path, files)) == jetson


def test_without_gstreamer_the_remedy_is_told() -> None:
    nothing = Machine(jetson=True, taker=None)
    for uri in ("csi://0", "gst: videotestsrc", "rtsp://h/1?backend=gstreamer"):
        with pytest.raises(EnvironmentFault, match=r"apt install python3-gi .* python3-opencv"):
            open_source(uri, machine=nothing)
    with open_source("rtsp://127.0.0.1:9/1", machine=nothing) as source:
        assert source.health.backend.startswith("PyAV")


def test_the_connector_is_a_jetsons_only() -> None:
    with pytest.raises(EnvironmentFault, match="camera connector of a Jetson, and this machine"):
        open_source("csi://0", machine=Machine(jetson=False, taker="gi"))


def test_a_backend_that_does_not_suit_is_refused() -> None:
    with pytest.raises(InputError, match="not decoded by opencv"):
        open_source("rtsp://h/1?backend=opencv")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("csi://0", "GStreamer: nvarguscamerasrc sensor-id=0"),
        ("rtsp://me:Zq7@127.0.0.1:9/1?codec=h264", "user-pw=*** latency=100"),
    ],
)
def test_on_a_jetson_the_pipeline_is_in_health(uri: str, words: str) -> None:
    """By OpenCV, which has no GStreamer here: what was meant to run is told all the same."""
    with open_source(uri, machine=Machine(jetson=True, taker="opencv")) as source:
        with pytest.raises(EnvironmentFault, match="does not start this pipeline"):
            source.read(60)
        assert words in source.health.backend
        assert "Zq7" not in str(source.health)
