from __future__ import annotations

import gc
import itertools
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from effvit_edge.core.clock import FakeClock
from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.video import Losses, VideoReader
from effvit_edge.core.video.reader import tag_seconds
from effvit_edge.core.video.upright import upright
from effvit_edge.data.footage import open_footage
from effvit_edge.data.segments import Segment, VideoFiles
from effvit_edge.sources import End, Frame, SourceError, open_source
from effvit_edge.sources.file import FileSource
from tests.videos import grey_frames, read_all, write_bad_inputs, write_video


def test_frames_come_in_order_with_their_colours_and_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(10))
    frames = read_all(FileSource(path))
    assert [time for time, _ in frames] == pytest.approx([i / 25 for i in range(10)])
    for index, (_, image) in enumerate(frames):
        assert (image.shape, image.dtype) == ((64, 96, 3), np.uint8)
        np.testing.assert_allclose(image.astype(float), 16 * index, atol=3)


def test_colours_are_rgb(tmp_path: Path) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    ((_, image),) = read_all(FileSource(write_video(tmp_path / "a.mp4", [red])))
    np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), [200, 0, 0], atol=6)


def test_variable_rate_and_a_late_start_are_kept(tmp_path: Path) -> None:
    times = [8.333, 8.366, 8.5, 9.1, 9.12, 9.9]
    path = write_video(tmp_path / "a.mp4", grey_frames(6), times)
    assert [time for time, _ in read_all(FileSource(path))] == pytest.approx(times)


def test_the_end_is_told_again_and_again(tmp_path: Path) -> None:
    with FileSource(write_video(tmp_path / "a.mp4", grey_frames(1))) as source:
        assert isinstance(source.read(), Frame)
        assert source.read() == source.read() == End()
    assert source.read() == End()


def test_a_picture_is_converted_when_it_is_looked_at_and_the_time_counted(tmp_path: Path) -> None:
    clock = FakeClock()
    path = write_video(tmp_path / "a.mp4", grey_frames(1))
    with FileSource(path, clock=clock) as source:
        frame = source.read()
        assert isinstance(frame, Frame)
        frame._load = lambda: (clock.advance(0.005), np.zeros((1, 1, 3), np.uint8))[1]
        assert frame.decode_ms == frame.grab_ms == 0
        first = frame.image
        assert frame.image is first
        assert frame.decode_ms == pytest.approx(5)


def test_a_change_of_size_is_followed(tmp_path: Path) -> None:
    joined = tmp_path / "joined.ts"
    for name, hw in (("a.ts", (64, 96)), ("b.ts", (96, 64))):
        part = write_video(tmp_path / name, grey_frames(6, hw))
        with joined.open("ab") as file:
            file.write(part.read_bytes())
    frames = read_all(FileSource(joined))
    assert [image.shape[:2] for _, image in frames] == [(64, 96)] * 6 + [(96, 64)] * 6
    assert all(later > earlier for (earlier, _), (later, _) in itertools.pairwise(frames))


def test_a_file_cut_in_the_middle_gives_what_it_has_and_counts_the_rest(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", noise(100), codec="mpeg4")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = FileSource(cut)
    frames = read_all(source)
    assert 20 < len(frames) < 80
    assert len(frames) + source.losses.frames == pytest.approx(100, abs=1)
    assert "lost" in str(source.losses)


def noise(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(count)]


def test_a_whole_file_has_no_losses(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")):
        source = FileSource(write_video(tmp_path / name, grey_frames(40), codec=codec))
        assert len(read_all(source)) == 40
        assert not source.losses


class Breaking:
    """The packets of a file on a disk that fails after some of them."""

    def __init__(self, packets: Iterator[object], whole: int) -> None:
        self._packets = itertools.islice(packets, whole)

    def __iter__(self) -> Breaking:
        return self

    def __next__(self) -> object:
        try:
            return next(self._packets)
        except StopIteration:
            raise av.error.OSError(5, "Input/output error") from None


def break_after(monkeypatch: pytest.MonkeyPatch, packets: int) -> None:
    """Let every file that is opened fail after so many packets."""
    real = VideoReader.__init__

    def start(self: VideoReader, path: Path, *, threads: bool = True) -> None:
        real(self, path, threads=threads)
        self._packets = Breaking(self._packets, packets)  # type: ignore[assignment]

    monkeypatch.setattr(VideoReader, "__init__", start)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_disk_that_fails_on_the_way_costs_the_rest_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = write_video(tmp_path / name, grey_frames(80))
    break_after(monkeypatch, 10)
    with FileSource(path) as source:
        times = [source.read().pts_seconds for _ in range(10)]  # type: ignore[union-attr]
        with pytest.raises(SourceError, match=r"70 frames lost \(reading stopped: Input/output"):
            source.read()
        assert source.read() == End()
    assert times == pytest.approx([i / 25 for i in range(10)])
    assert source.losses.frames == 70
    training = open_footage(Segment("a", path, (0,)), VideoFiles())
    assert len(list(training.at_rate(25.0))) == 10
    assert training.losses.frames == 70


def test_a_loss_of_unknown_size_is_a_loss() -> None:
    losses = Losses()
    assert (bool(losses), str(losses)) == (False, "nothing lost")
    losses.add(0, "it broke")
    assert (bool(losses), str(losses)) == (True, "an unknown number of frames lost (it broke)")


def test_a_disk_that_fails_at_once_leaves_nothing_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(4))
    break_after(monkeypatch, 0)
    with FileSource(path) as source, pytest.raises(InputError, match="gives no frame: reading"):
        source.read()


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("00:00:03.200000000", 3.2),
        ("01:02:03", 3723.0),
        *((tag, None) for tag in ("3.2", "a:b:c", "1:2:3:4", "", "::", "nan:0:0", "00:00:inf")),
    ],
)
def test_a_duration_that_is_none_is_ignored(tag: str, seconds: float | None) -> None:
    assert tag_seconds(tag) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("matrix", list(itertools.product((1, -1), (1, -1), (False, True))))
def test_display_matrices_against_their_definition(matrix: tuple[int, int, bool]) -> None:
    """A pixel at (x, y) is shown at (a x + c y, b x + d y), but for where the origin is."""
    first, second, turned = matrix
    a, b, c, d = (0, first, second, 0) if turned else (first, 0, 0, second)
    height, width = 2, 3
    image = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    places = {
        (a * x + c * y, b * x + d * y): image[y, x] for y in range(height) for x in range(width)
    }
    left, top = min(x for x, _ in places), min(y for _, y in places)
    shown = upright(image, (a << 16, b << 16, c << 16, d << 16))
    assert shown.shape == ((width, height, 3) if turned else (height, width, 3))
    for (x, y), pixel in places.items():
        np.testing.assert_array_equal(shown[y - top, x - left], pixel)


BAD = {
    "missing": "There is no file",
    "empty": r"is empty \(0 bytes\)",
    "truncated": "is cut short: its index",
    "text": "is a text file, not a video",
    "noise": "cannot be opened as a video",
    "no frame": "without a single frame",
    "sound": "has no video in it, only audio",
    "encrypted": "is encrypted",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    path = write_bad_inputs(tmp_path)[kind]
    with pytest.raises(InputError, match=BAD[kind]) as caught:
        read_all(open_source(str(path)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_permission_is_an_environment_fault(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(1))
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        with pytest.raises(EnvironmentFault, match="may not be read"):
            FileSource(path)
    else:
        pytest.skip("this user may read everything")


def test_names_that_look_like_protocols_are_files(tmp_path: Path) -> None:
    odd = tmp_path / "http:clip,100%.mp4"
    shutil.copy(write_video(tmp_path / "a.mp4", grey_frames(2)), odd)
    assert len(read_all(open_source(str(odd)))) == 2


def test_a_playlist_does_not_reach_out(tmp_path: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(InputError):
        read_all(open_source(str(playlist)))


def test_frames_are_freed_at_once_and_not_by_the_garbage_collector(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(20))
    gc.collect()
    gc.disable()
    try:
        with FileSource(path) as source:
            while isinstance(frame := source.read(), Frame):
                assert frame.image.size
        del frame, source
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 20


@pytest.mark.parametrize("seed", range(12))
def test_damaged_files_end_in_frames_or_one_of_our_errors(tmp_path: Path, seed: int) -> None:
    whole = write_video(tmp_path / "a.mp4", noise(8)).read_bytes()
    rng = np.random.default_rng(seed)
    damaged = np.frombuffer(whole, np.uint8).copy()
    places = rng.integers(32, len(damaged), int(rng.integers(1, 40)))
    damaged[places] = rng.integers(0, 256, len(places))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged.tobytes())
    try:
        frames = read_all(FileSource(path))
    except EdgeError as error:
        assert "\n" not in str(error)
    else:
        assert all(math.isfinite(time) and image.dtype == np.uint8 for time, image in frames)
