"""Network cameras against GStreamer's RTSP server: pictures, losing contact, refusals, leaks."""

from __future__ import annotations

import gc
import itertools
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.video import Losses
from effvit_edge.sources import Frame, Source, open_source, parse_uri
from effvit_edge.sources.network import NetworkCapture
from tests.rtsp import BARS, FPS, HEIGHT, WIDTH, RtspCamera, rtsp_camera

SECONDS = 60  # a test that waits so long has failed
USER, PASSWORD = "admin", "Zq7:e@i/m"
LOGIN = "admin:Zq7%3Ae%40i%2Fm"
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspCamera]:
    with rtsp_camera() as started:
        yield started


@pytest.fixture(scope="module")
def locked_camera() -> Iterator[RtspCamera]:
    with rtsp_camera(USER, PASSWORD) as started:
        yield started


def read(source: Source, count: int) -> list[Frame]:
    frames = [source.read(SECONDS) for _ in range(count)]
    assert all(isinstance(frame, Frame) for frame in frames)
    return frames  # type: ignore[return-value]


def wait_for_state(source: Source, state: str) -> list[Frame]:
    """Read on until the source is in a state."""
    frames: list[Frame] = []
    until = time.monotonic() + SECONDS
    while source.health.state != state:
        outcome = source.read(0.05)
        if isinstance(outcome, Frame):
            frames.append(outcome)
        assert time.monotonic() < until, f"never {state}: {source.health}"
    return frames


def read_until_segment(source: Source, segment: int) -> list[Frame]:
    """Read on until frames of a segment, or of a later one, have come."""
    frames: list[Frame] = []
    until = time.monotonic() + SECONDS
    while not frames or frames[-1].segment < segment:
        outcome = source.read(0.5)
        if isinstance(outcome, Frame):
            frames.append(outcome)
        assert time.monotonic() < until, f"no segment {segment}: {source.health}"
    return frames


def assert_bars(image: np.ndarray) -> None:
    assert image.shape == (HEIGHT, WIDTH, 3)
    middles = [round((index + 0.5) * WIDTH / 7) for index in range(len(BARS))]
    shown = image[HEIGHT // 4, middles].astype(int)
    # The bars have three quarters of full strength in some standards, hence what is told apart.
    np.testing.assert_array_equal(shown > 96, np.array(BARS) > 96)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_pictures_come_at_the_cameras_rate(camera: RtspCamera, transport: str) -> None:
    with open_source(camera.url(options=f"?transport={transport}&buffer=256")) as source:
        frames = read(source, 40)
        assert (source.is_live, source.nominal_fps) == (True, FPS)
        assert source.health.backend.endswith(f"software, over {transport}")
        assert_bars(frames[-1].image)
    # The server of a busy machine may leave frames out; what comes has its place all the same.
    steps = np.diff([frame.pts_seconds for frame in frames][1:]) * FPS
    np.testing.assert_allclose(steps, np.round(steps), atol=0.06)
    assert (np.round(steps).min(), np.median(np.round(steps))) == (1, 1)
    assert {frame.segment for frame in frames} == {0}
    arrivals = [frame.arrival_seconds for frame in frames]
    assert arrivals == sorted(arrivals)


def test_after_a_restart_frames_go_on_in_another_segment() -> None:
    with rtsp_camera() as camera, open_source(camera.url(options="?buffer=256")) as source:
        frames = read(source, 5)
        camera.kill()
        frames += wait_for_state(source, "reconnecting")
        camera.start()
        frames += read_until_segment(source, 1)
        frames += read(source, 20)
        health = source.health
    assert (health.state, health.reconnects) == ("playing", frames[-1].segment)
    assert health.last_error is not None
    times = [frame.pts_seconds for frame in frames]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert [frame.index for frame in frames[-20:]] == list(
        range(frames[-20].index, frames[-20].index + 20)
    )
    before, after = next(
        pair for pair in itertools.pairwise(frames) if pair[0].segment != pair[1].segment
    )
    gone = after.arrival_seconds - before.arrival_seconds
    assert after.pts_seconds - before.pts_seconds == pytest.approx(gone, abs=1e-3)


def test_a_camera_that_stays_silent_counts_as_lost() -> None:
    with rtsp_camera() as camera, open_source(camera.url(options="?timeout=2")) as source:
        read(source, 3)
        camera.hold()
        wait_for_state(source, "reconnecting")
        assert "sent nothing for 2 s" in str(source.health.last_error)
        camera.go_on()
        assert read_until_segment(source, 1)


def test_a_password_is_used_and_not_shown(locked_camera: RtspCamera) -> None:
    with open_source(locked_camera.url(login=LOGIN)) as source:
        assert_bars(read(source, 3)[-1].image)
        assert source.name == f"rtsp://***@127.0.0.1:{locked_camera.port}/test"
        assert "Zq7" not in source.name + str(source.health) + threading.current_thread().name


REFUSED = {
    "wrong password": ("test", "admin:Zq7wrong", InputError, "does not accept this user"),
    "no password": ("test", "", InputError, "does not accept this user"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_passwords_are_refused_without_showing_them(
    locked_camera: RtspCamera, case: str
) -> None:
    path, login, kind, told = REFUSED[case]
    assert_refused(locked_camera.url(path, login), kind, told)


@pytest.mark.parametrize(
    ("path", "told"),
    [("none", "The server has nothing at rtsp://"), ("sound", "has no video in it")],
)
def test_a_path_without_video_is_refused(camera: RtspCamera, path: str, told: str) -> None:
    assert_refused(camera.url(path, "admin:Zq7x"), InputError, told)


def test_a_server_that_cannot_be_reached_is_an_environment_fault() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        url = f"rtsp://admin:Zq7x@127.0.0.1:{port}/1?timeout=0.5"
        assert_refused(url, EnvironmentFault, "refuses the connection")
        silent.listen()
        assert_refused(url, EnvironmentFault, "did not answer within 0.5 s")
        assert_refused(url.replace("rtsp:", "http:"), EnvironmentFault, "did not answer within")
    unknown = "rtsp://admin:Zq7x@no-such-host.invalid/1"
    assert_refused(unknown, EnvironmentFault, "The host of .* is not known")


def assert_refused(url: str, kind: type[EdgeError], told: str) -> None:
    with open_source(url) as source, pytest.raises(kind, match=told) as caught:
        source.read(SECONDS)
    assert "\n" not in str(caught.value)
    assert "Zq7" not in "".join(traceback.format_exception(caught.value))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as small a footprint as possible


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_connecting_again_and_again_leaks_nothing(camera: RtspCamera) -> None:
    uri = parse_uri(camera.url())
    resident, files, threads = [], [], []
    for _ in range(16):
        with NetworkCapture(uri, Losses(), endless=True) as capture:
            for _ in range(4):
                grabbed = capture.grab()
                assert grabbed is not None
                assert grabbed.load().size
        del grabbed
        gc.collect()
        resident.append(resident_bytes())
        files.append(open_files())
        threads.append(threading.active_count())
    assert len(set(files[4:])) == len(set(threads)) == 1
    assert max(resident[8:]) - max(resident[4:8]) < 4 * MEGABYTE


def test_losing_contact_again_and_again_leaves_no_thread_and_no_file() -> None:
    with rtsp_camera() as camera:
        files, threads = open_files(), threading.active_count()
        with open_source(camera.url()) as source:
            for segment in range(3):
                read_until_segment(source, segment)
                camera.kill()
                wait_for_state(source, "reconnecting")
                camera.start()
            read_until_segment(source, 3)
            worker = source._thread  # type: ignore[attr-defined]
        worker.join(SECONDS)
        assert not worker.is_alive()
        assert threading.active_count() == threads
        assert open_files() == files
