"""Pipelines that really run, in GStreamer's own bindings."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.video import Losses
from effvit_edge.sources import End, Frame, open_source
from effvit_edge.sources.gstreamer import GstCapture
from effvit_edge.sources.open import Machine
from tests.gstreamer import gstreamer  # noqa: F401 - a fixture
from tests.rtsp import RtspCamera, rtsp_camera
from tests.unit.sources.test_rtsp import (
    LOGIN,
    PASSWORD,
    USER,
    assert_bars,
    assert_refused,
    read,
    read_until_segment,
    wait_for_state,
)
from tests.videos import grey_frames, read_all, write_video

pytestmark = pytest.mark.usefixtures("gstreamer")
SINK = "appsink name=frames sync=false"
BARS = "videotestsrc pattern=smpte num-buffers=4 ! video/x-raw,width=162,height=120,framerate=10/1"


@pytest.fixture(scope="module")
def locked_camera() -> Iterator[RtspCamera]:
    with rtsp_camera(USER, PASSWORD) as started:
        yield started


@pytest.mark.parametrize("layout", ["RGB", "BGR", "RGBA", "RGBx", "BGRA", "BGRx"])
def test_pictures_of_every_layout_are_rgb_with_their_own_times(layout: str) -> None:
    pipeline = f"{BARS} ! videoconvert ! video/x-raw,format={layout} ! {SINK}"
    with GstCapture(pipeline, "bars", Losses(), endless=False) as capture:
        grabbed = [capture.grab() for _ in range(5)]
        assert capture.grab() is None
    assert grabbed[4] is None
    shown = [frame for frame in grabbed if frame is not None]
    assert [frame.pts_seconds for frame in shown] == pytest.approx([0, 0.1, 0.2, 0.3])
    image = shown[0].load()
    assert (image.shape, image.dtype) == ((120, 162, 3), np.uint8)
    # White, yellow, cyan: in an order that no swap of colours keeps.
    np.testing.assert_array_equal(image[30, [10, 34, 57]] > 96, [[1, 1, 1], [1, 1, 0], [0, 1, 1]])


def test_a_pipeline_of_the_users_gets_its_end_and_is_shown() -> None:
    with (
        open_source(f"gst: {BARS}?", buffer=8)
        if False
        else open_source(f"gst: {BARS}", buffer=8) as source
    ):
        frames = read(source, 4)
        assert source.read(20) == End()
        assert source.health.state == "ended"
        assert source.health.backend.startswith("GStreamer 1.")
        assert source.health.backend.endswith("max-buffers=4")
    assert [frame.pts_seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])


BAD = {
    "gst: videotestsrc ! nosuchelement": (EnvironmentFault, 'no element "nosuchelement"'),
    "gst: videotestsrc colour=red": (InputError, 'no property "colour"'),
    "gst: videotestsrc ! (": (InputError, "cannot read the pipeline"),
    "gst: v4l2src device=/dev/video97": (InputError, "Cannot identify device '/dev/video97'"),
    "gst: filesrc location=/none.mp4 ! decodebin": (InputError, "Check that it is there"),
    "gst: videotestsrc ! appsink caps=video/x-raw,format=I420": (InputError, "pictures are I420"),
    "gst: audiotestsrc num-buffers=9": (InputError, "could not link"),
}


@pytest.mark.parametrize("uri", BAD)
def test_what_does_not_run_is_told_in_a_sentence(uri: str) -> None:
    kind, told = BAD[uri]
    with open_source(uri) as source, pytest.raises(kind, match=told) as caught:
        source.read(30)
    assert "\n" not in str(caught.value)


def test_a_pipeline_without_an_end_for_us_is_refused() -> None:
    with pytest.raises(InputError, match="no appsink"):
        GstCapture("videotestsrc ! fakesink", "it", Losses(), endless=False)


@pytest.mark.parametrize("codec", ["", "&codec=h264"])
def test_a_network_camera_through_gstreamer(locked_camera: RtspCamera, codec: str) -> None:
    url = locked_camera.url(login=LOGIN, options=f"?backend=gstreamer{codec}")
    with open_source(url) as source:
        frames = read(source, 10)
        assert_bars(frames[0].image)  # and not the grey before a keyframe
        health = source.health
    assert "user-pw=*** " in health.backend
    assert "Zq7" not in str(health)
    gaps = np.diff([frame.pts_seconds for frame in frames])
    assert gaps.min() > 0


def test_a_camera_restarted_goes_on_through_gstreamer() -> None:
    with rtsp_camera() as camera:
        before = threading.active_count()
        with open_source(camera.url(options="?backend=gstreamer")) as source:
            read(source, 3)
            camera.kill()
            wait_for_state(source, "reconnecting")
            camera.start()
            frames = read_until_segment(source, 1)
            assert source.health.reconnects == frames[-1].segment
            worker = source._thread  # type: ignore[attr-defined]
        worker.join(30)
        assert threading.active_count() == before
    assert np.diff([frame.pts_seconds for frame in frames]).min(initial=1) > 0


def test_refusals_through_gstreamer(locked_camera: RtspCamera) -> None:
    options = "?backend=gstreamer"
    assert_refused(
        locked_camera.url(login="admin:Zq7wrong", options=options),
        InputError,
        "Unauthorized. It does not accept this user and password",
    )
    assert_refused(locked_camera.url("none", LOGIN, options), InputError, "Not found")
    locked = f"rtsp://{LOGIN}@127.0.0.1:9/x{options}"
    assert_refused(locked, EnvironmentFault, "Is it on, free and reachable")


def test_on_a_jetson_gstreamer_decodes_network_cameras() -> None:
    machine = Machine(jetson=True, taker="gi")
    with open_source("rtsp://admin:Zq7x@127.0.0.1:9/1", machine=machine) as source:
        with pytest.raises(EdgeError) as caught:
            source.read(30)
        assert "nvvidconv" in source.health.backend
        assert "Zq7" not in str(source.health) + str(caught.value)
    # This machine has no such element, which is what it says.
    assert 'no element "nvvidconv"' in str(caught.value)


def test_a_file_through_gstreamer_loses_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a file \"with\" 'quotes'.mp4", grey_frames(40))
    frames = read_all(open_source(f"{path}?backend=gstreamer"))
    assert [time for time, _ in frames] == pytest.approx([i / 25 for i in range(40)])
    for index, (_, image) in enumerate(frames):
        np.testing.assert_allclose(image.astype(float), 16 * index % 256, atol=4)


def test_files_are_shown_upright(test_data: Path) -> None:
    folder = test_data / "odd_videos"
    entries = json.loads((folder / "expected.json").read_text())
    turned = [entry for entry in entries if entry.get("rot")]
    assert len(turned) >= 4
    for entry in turned:
        frames = read_all(open_source(f"{folder / entry['f']}?backend=gstreamer"))
        sides = (entry["h"], entry["w"]) if entry["rot"] % 180 == 0 else (entry["w"], entry["h"])
        assert len(frames) == entry["n"]
        assert {image.shape for _, image in frames} == {(*sides, 3)}
        upright = read_all(open_source(str(folder / entry["f"])))
        difference = np.abs(frames[0][1].astype(float) - upright[0][1]).mean()
        assert difference < 4, entry["f"]


def test_closing_does_not_wait_for_the_next_picture() -> None:
    with open_source("gst: videotestsrc is-live=true ! video/x-raw,framerate=1/100") as source:
        assert isinstance(source.read(30), Frame)
        worker = source._thread  # type: ignore[attr-defined]
    worker.join(30)
    assert not worker.is_alive()


def test_nothing_of_gstreamer_stays_open() -> None:
    counts = []
    for _ in range(6):
        with open_source(f"gst: {BARS}") as source:
            read(source, 1)
            worker = source._thread  # type: ignore[attr-defined]
        worker.join(30)
        counts.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    assert len(set(counts[2:])) == 1
    assert re.fullmatch(r"GStreamer 1\.\d+\.\d+: .*", source.health.backend)
