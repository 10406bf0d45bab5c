"""Footage found by seeking, held to decoding every file from its start and counting."""

from __future__ import annotations

import contextlib
import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effvit_edge.core.errors import InputError
from effvit_edge.core.sampling import RateSampler
from effvit_edge.core.video import BrokenOff, VideoReader
from effvit_edge.data.footage import Footage, open_footage
from effvit_edge.data.segments import Segment, VideoFiles
from effvit_edge.sources.file import FileSource
from tests.videos import grey_frames, read_all, write_video

END_S = 1e-5
TICK = Fraction(1, 1000)


def footage_of(path: Path, start_s: float = 0.0, end_s: float | None = None) -> Footage:
    return open_footage(Segment("segment", path, (0,), start_s, end_s), VideoFiles())


def decode_all(path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """The times, from the first frame, and the frames, coarse, of a whole file."""
    times, frames = [], []
    # What came before a file breaks off is all that there is.
    with VideoReader(path, threads=False) as reader, contextlib.suppress(BrokenOff):
        while (picture := reader.read()) is not None:
            times.append(picture.pts_seconds)
            frames.append(coarse(picture.to_rgb()))
    return np.array(times) - times[0], frames


def coarse(frame: np.ndarray) -> np.ndarray:
    return frame[::7, ::7].copy()


def check_nearest(path: Path, times: np.ndarray, frames: list[np.ndarray], seed: int) -> None:
    """Random segments and times of a file against the rule, written out."""
    rng = np.random.default_rng(seed)
    start_s, end_s = sorted(rng.uniform(0, times[-1] + 0.05, 2).tolist())
    wanted = np.sort(rng.uniform(-start_s - 0.1, 1.2 * (end_s - start_s), 8))
    there = np.flatnonzero(times < end_s - END_S)
    there = there if len(there) else np.array([0])
    found = list(footage_of(path, start_s, end_s).frames_at(wanted.tolist()))
    assert len(found) == len(wanted)
    for time, frame in zip(wanted, found, strict=True):
        gaps = np.abs(times[there] - min(start_s + time, end_s))
        nearest = there[gaps <= gaps.min() + END_S]  # two may be as near
        assert any(np.array_equal(coarse(frame), frames[i]) for i in nearest)


def listed() -> list[str]:
    """The names of odd videos that can be decoded, at collection time."""
    repository = Path(__file__).resolve().parents[4]
    folder = Path(os.environ.get("EFFVIT_TEST_DATA", repository.parent / "shared" / "data"))
    path = folder / "odd_videos" / "expected.json"
    entries = json.loads(path.read_text()) if path.is_file() else []
    return [entry["f"] for entry in entries if "err" not in entry]


ODD = listed()


def test_there_are_files_to_try(test_data: Path) -> None:
    assert len(ODD) > 70


@pytest.mark.parametrize("name", ODD)
def test_odd_videos_are_sought_right(test_data: Path, name: str) -> None:
    path = test_data / "odd_videos" / name
    times, frames = decode_all(path)
    for seed in range(2):
        check_nearest(path, times, frames, seed)


@pytest.mark.parametrize("set_name", ["yoga6", "basketball5", "asl20"])
def test_real_clips_are_sought_right(test_data: Path, set_name: str) -> None:
    files = sorted(p for p in (test_data / set_name).rglob("*") if p.suffix in (".mp4", ".mkv"))
    for path in files[:: max(1, len(files) // 4)]:
        times, frames = decode_all(path)
        check_nearest(path, times, frames, seed=0)


def write_coded(path: Path, times: list[float], **options: str) -> Path:
    """Greys 0, 4, 8, … shown at some times, by an encoder set as asked."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv444p"
        stream.codec_context.options = {"crf": "4", "sc_threshold": "0", **options}
        stream.time_base = stream.codec_context.time_base = TICK
        for index, time in enumerate(times):
            grey = np.full((32, 48, 3), 4 * index, np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts, picture.time_base = round(time / TICK), TICK
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def number_of(frame: np.ndarray) -> int:
    return round(float(frame.mean()) / 4)


@settings(max_examples=25)
@given(
    suffix=st.sampled_from([".mp4", ".mkv", ".mov", ".avi"]),
    options=st.fixed_dictionaries(
        {
            "bf": st.sampled_from(["0", "3"]),
            "g": st.sampled_from(["1", "5", "12", "250"]),
            "x264-params": st.sampled_from(["open-gop=0", "open-gop=1"]),
        }
    ),
    gaps=st.lists(st.sampled_from([0.02, 0.04, 0.04, 0.04, 0.2]), min_size=1, max_size=50),
    data=st.data(),
)
def test_any_coding_is_sought_right(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    options: dict[str, str],
    gaps: list[float],
    data: st.DataObject,
) -> None:
    """Files of any keyframe distance, with frames out of order and at a variable rate."""
    if suffix == ".avi":  # stores no times
        gaps, options = [0.04] * len(gaps), {**options, "bf": "0"}
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    path = write_coded(tmp_path_factory.mktemp("coded") / f"a{suffix}", times.tolist(), **options)
    start_s = data.draw(st.floats(0, float(times[-1])))
    length_s = data.draw(st.floats(0.01, float(times[-1])))
    wanted = sorted(data.draw(st.lists(st.floats(-0.5, 3), min_size=1, max_size=6)))
    there = np.flatnonzero(times < start_s + length_s - END_S)
    found = footage_of(path, start_s, start_s + length_s).frames_at(wanted)
    for time, frame in zip(wanted, found, strict=True):
        gaps_s = np.abs(times[there] - min(start_s + time, start_s + length_s))
        assert number_of(frame) in there[gaps_s <= gaps_s.min() + 2e-3]


def test_seeking_spares_what_lies_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_coded(tmp_path / "a.mp4", [i / 25 for i in range(60)], g="10", bf="0")
    decoded: list[float] = []
    read = VideoReader.read

    def counted(reader: VideoReader) -> object:
        picture = read(reader)
        if picture is not None:
            decoded.append(picture.pts_seconds)
        return picture

    monkeypatch.setattr(VideoReader, "read", counted)
    frames = list(footage_of(path).frames_at([0.1, 1.0, 2.0]))
    assert [number_of(frame) for frame in frames] == [2, 25, 50]
    assert len(decoded) < 25


def test_the_same_frame_is_the_same_object(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(5))
    first, again, other = footage_of(path).frames_at([0.0, 0.001, 0.05])
    assert first is again and other is not again


@pytest.mark.parametrize("from_s", [-0.3, 0.0, 0.5])
@pytest.mark.parametrize("fps", [4.0, 15.0, 100.0])
@pytest.mark.parametrize("name", ["vfr.mp4", "truncated_60pct.avi", "truncated_50pct.mkv"])
def test_frames_at_a_rate_are_those_of_live_labelling(
    test_data: Path, name: str, fps: float, from_s: float
) -> None:
    path = test_data / "odd_videos" / "made" / name
    times, frames = decode_all(path)
    start_s, end_s = 0.3, float(times[-1]) - 0.1
    sampler = RateSampler(fps)
    expected = [
        (time - start_s, frame)
        for time, frame in zip(times.tolist(), frames, strict=True)
        if start_s + from_s - END_S <= time < end_s - END_S and sampler.take(time)
    ]
    found = list(footage_of(path, start_s, end_s).at_rate(fps, from_s))
    assert [time for time, _ in found] == pytest.approx([time for time, _ in expected])
    for (_, frame), (_, same) in zip(found, expected, strict=True):
        assert np.array_equal(coarse(frame), same)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_turned_video_is_upright_as_opencv_shows_it(test_data: Path, angle: int) -> None:
    cv2 = pytest.importorskip("cv2")
    path = test_data / "odd_videos" / "decord" / f"video_{angle}.mov"
    (picture,) = footage_of(path).frames_at([0.0])
    found, expected = cv2.VideoCapture(str(path)).read()
    assert found and picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected[..., ::-1]).mean() < 3


def test_durations(tmp_path: Path, test_data: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(50))
    assert footage_of(path).duration_s() == pytest.approx(2.0)
    assert footage_of(path, 0.5).duration_s() == pytest.approx(1.5)
    assert footage_of(path, 0.5, 0.8).duration_s() == pytest.approx(0.3)
    assert footage_of(path, 0.5, 0.8).lead_s() == 0.5
    odd = test_data / "odd_videos"
    assert footage_of(odd / "again.mkv").duration_s() == pytest.approx(77 / 30, abs=0.02)
    assert footage_of(odd / "moviepy/no_duration.webm").duration_s() == pytest.approx(4.87, abs=0.1)


def test_a_segment_shorter_than_a_frame_has_the_one_shown(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(12), fps=10)
    (found,) = footage_of(path, 0.52, 0.58).at_rate(10.0)
    assert found[0] == pytest.approx(0.0) and round(float(found[1].mean()) / 16) == 5


@pytest.mark.parametrize("start_s", [5.0, 500.0])
def test_a_segment_after_the_end_is_refused(tmp_path: Path, start_s: float) -> None:
    footage = footage_of(write_video(tmp_path / "a.mp4", grey_frames(12)), start_s, start_s + 1)
    for read in (lambda: list(footage.at_rate(5.0)), lambda: list(footage.frames_at([0.0, 0.5]))):
        with pytest.raises(InputError, match=r"ends at 0\.4 s, before segment segment begins"):
            read()


def test_losses_are_those_of_the_file(test_data: Path) -> None:
    footage = footage_of(test_data / "odd_videos" / "decord" / "corrupted.mp4")
    assert len(list(footage.at_rate(1000.0))) == 49
    assert footage.losses.frames == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    footage = footage_of(tmp_path / "gone.mp4")  # opening costs nothing
    for read in (footage.duration_s, lambda: list(footage.at_rate(5.0))):
        with pytest.raises(InputError, match=r"There is no file .*gone\.mp4"):
            read()


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("decord/corrupted.mp4", 1),  # a packet on the way does not decode
        ("mmaction2/test.avi", 0),  # has no presentation times
        ("made/truncated_50pct.mkv", 44),
    ],
)
def test_training_sees_the_frames_that_serving_sees(test_data: Path, name: str, lost: int) -> None:
    path = test_data / "odd_videos" / name
    footage, served = footage_of(path), FileSource(path)
    pairs = zip(footage.at_rate(1000.0), read_all(served), strict=True)
    same = [np.array_equal(seen, shown) for (_, seen), (_, shown) in pairs]
    # What a decoder makes up after a fault depends on its threads.
    assert all(same) or (lost == 1 and all(same[:28]))
    assert footage.losses.frames == served.losses.frames == lost


@pytest.mark.parametrize("number", [24, 25])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_damage_where_a_seek_ends_is_as_damage_on_the_way(
    tmp_path: Path, number: int, share: float
) -> None:
    """The key frame gone to, 24, or the frame after it is not what it was."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    frames = [np.kron(coarse_frame, np.ones((8, 8, 1), np.uint8)) for coarse_frame in noise]
    path = write_video(tmp_path / "a.mp4", frames)  # a key frame every 12
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    damaged = packets[number]
    kept = damaged.size - round(share * (damaged.size - 8))
    content[damaged.pos + kept : damaged.pos + damaged.size] = b"\xff" * (damaged.size - kept)
    path.write_bytes(content)
    times, decoded = decode_all(path)
    assert len(decoded) < 40 or not np.array_equal(decoded[number], coarse(frames[number]))
    for moment in (0.93, 0.97, 1.01, 1.2):
        (found,) = footage_of(path).frames_at([moment])
        assert np.array_equal(coarse(found), decoded[int(np.abs(times - moment).argmin())])
