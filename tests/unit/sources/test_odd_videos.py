"""Real files of every odd kind, held to what PyAV and OpenCV were seen to make of them.

The decoder's part is in ``expected.json``. Where this package does better, it says so here.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.sources import End, open_source

# The listing stopped at a packet that does not decode; the frames after it are used too.
BEYOND_THE_FAULT = {"decord/corrupted.mp4": 49}
# The file states more frames than can be decoded: what is missing of them.
LOST = {
    "decord/corrupted.mp4": 1,
    "made/bitflips.avi": 95,
    "made/truncated_50pct.mkv": 44,
    "made/truncated_60pct.avi": 71,
}


def listed() -> list[dict[str, Any]]:
    """The entries, at collection time, when there is no fixture yet; empty without the data."""
    repository = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("EFFVIT_TEST_DATA", repository.parent / "shared" / "data"))
    path = folder / "odd_videos" / "expected.json"
    entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return entries


ENTRIES = listed()


def test_there_are_files_to_try(test_data: Path) -> None:
    assert len(ENTRIES) == 79


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["f"] for entry in ENTRIES])
def test_odd_video(test_data: Path, entry: dict[str, Any]) -> None:
    path = test_data / "odd_videos" / entry["f"]
    if "err" in entry:
        with pytest.raises(InputError):
            open_source(str(path))
        return
    times, sizes = [], set()
    with open_source(str(path)) as source:
        while not isinstance(frame := source.read(), End):
            times.append(frame.pts_seconds)
            if frame.index % 40 == 0:
                sizes.add(frame.image.shape)
    assert len(times) == BEYOND_THE_FAULT.get(entry["f"], entry["n"])
    assert source.losses.frames == LOST.get(entry["f"], 0)
    sides = (entry["h"], entry["w"]) if entry["rot"] % 180 == 0 else (entry["w"], entry["h"])
    assert sizes == {(*sides, 3)}
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap > 0 for gap in gaps)
    if entry.get("monotonic") is not True:
        return  # no gaps in a single frame; times that are wrong in the file are not to be kept
    assert times[0] == pytest.approx(entry["t0"], abs=1e-3)
    assert min(gaps) == pytest.approx(entry["dt_min"], abs=1e-3)
    if entry["f"] not in BEYOND_THE_FAULT:
        assert max(gaps) == pytest.approx(entry["dt_max"], abs=1e-3)


@pytest.mark.parametrize(
    "name", ["mmaction2/test.avi", "mmaction2/S001C001P001R001A001_rgb.avi"], ids=str
)
def test_avi_without_presentation_times_is_even(test_data: Path, name: str) -> None:
    with open_source(str(test_data / "odd_videos" / name)) as source:
        times = []
        while not isinstance(frame := source.read(), End):
            times.append(frame.pts_seconds)
        fps = source.nominal_fps
    assert fps is not None
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([1 / fps] * len(gaps))


# What OpenCV makes of them where it is not what PyAV does: no AV1; packets that do not decode end
# the file, or cost more than themselves. Its estimate of what is missing.
WITHOUT_AV1 = {"torchcodec/av1_video.mkv", "torchcodec/testsrc2_av1_10bit.mp4"}
ESTIMATED_LOSSES = {
    "decord/corrupted.mp4": 22,
    "made/bitflips.avi": 95,
    "made/truncated_50pct.mkv": 47,
    "made/truncated_60pct.avi": 71,
}
# OpenCV 5 takes half a second to convert a small frame of these.
HDR = {
    "torchcodec/bt2020_10bit.mp4",
    "torchcodec/nasa_13013_hdr.mp4",
    "torchcodec/testsrc2_12bit_hdr.mp4",
    "torchcodec/testsrc2_hdr.mp4",
}
_LONG_PIXELS = 15_000_000


def through_opencv(entry: dict[str, Any]) -> Any:
    """An entry as a parameter, slow where it is long."""
    pixels = entry.get("n", 0) * entry.get("w", 0) * entry.get("h", 0)
    slow = entry["f"] in HDR or pixels > _LONG_PIXELS
    return pytest.param(entry, id=entry["f"], marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("entry", [through_opencv(entry) for entry in ENTRIES])
def test_odd_video_through_opencv(test_data: Path, entry: dict[str, Any]) -> None:
    path = test_data / "odd_videos" / entry["f"]
    if "err" in entry:
        with pytest.raises(InputError):
            open_source(f"{path}?backend=opencv")
        return
    times, sizes = [], set()
    with open_source(f"{path}?backend=opencv") as source:
        if entry["f"] in WITHOUT_AV1:
            with pytest.raises(InputError, match=r"OpenCV decodes no frame.*backend=pyav"):
                source.read()
            return
        while not isinstance(frame := source.read(), End):
            times.append(frame.pts_seconds)
            if frame.index % 40 == 0:
                sizes.add(frame.image.shape)
        fps = source.nominal_fps
    assert len(times) == entry["cv_n"] == entry["n"]
    assert source.losses.frames == ESTIMATED_LOSSES.get(entry["f"], 0)
    assert sizes == {(*entry["cv_hw"], 3)}
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap > 0 for gap in gaps)
    assert fps is not None
    if path.suffix == ".avi":
        assert gaps == pytest.approx([1 / fps] * len(gaps))
    elif gaps:
        assert times[0] == pytest.approx(entry["t0"], abs=1 / fps)
        assert min(gaps) == pytest.approx(entry["dt_min"], abs=1e-3)
        assert max(gaps) == pytest.approx(entry["dt_max"], abs=1e-3)
