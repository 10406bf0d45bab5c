from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.card import LabelGroup, Preprocess
from effvit_edge.core.errors import InputError
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.failures import Failures
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sequences import VideoSequences
from effvit_edge.data.types import IGNORE, iterate
from tests.videos import grey_frames, write_video

SPEC = Preprocess(16, 16, "short_side", 1.0, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
LABELS = (LabelGroup("label", ("a", "b")),)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> SegmentList:
    """Two grey videos, 12 frames at 25 a second: 0, 16, 32, …"""
    root = tmp_path_factory.mktemp("sequences")
    paths = [write_video(root / f"{label}.mp4", grey_frames(12)) for label in "ab"]
    segments = (Segment(path.name, path, (target,)) for target, path in enumerate(paths))
    return SegmentList(LABELS, tuple(segments))


def make_sequences(segments: SegmentList, **changes: Any) -> VideoSequences:
    return VideoSequences(segments, **with_spec(segments, changes))


def with_spec(segments: SegmentList, changes: dict[str, Any]) -> dict[str, Any]:
    """The arguments of clips or sequences, with what belongs to their specification put there."""
    given = {"fps": 25.0, "frames": 4, **changes}
    names = ("fps", "frames", "sampling", "lead_s")
    spec = ClipSpec(SPEC, **{name: given.pop(name) for name in names if name in given})
    share = given.pop("max_failed_share", 1.0)
    missing = given.pop("missing", ())
    total = len(segments.segments) + len(missing)
    return {**given, "spec": spec, "failed": Failures(total, share, missing, len(missing))}


def greys(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 16) for frame in frames]


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_a_stream_is_the_whole_segment_as_the_device_sees_it(
    listed: SegmentList, cache_bytes: int
) -> None:
    sequences = make_sequences(listed, cache_bytes=cache_bytes)
    items = list(iterate(sequences))
    assert len(items) == len(sequences) == 2
    assert [item.name for item in items] == ["a.mp4", "b.mp4"]
    assert greys(items[0].frames) == list(range(12))
    assert items[1].targets.tolist() == [[1]] * 12
    (slow,) = (
        item.frames for item in iterate(make_sequences(listed, fps=5.0)) if item.name[0] < "b"
    )
    assert greys(slow) == [0, 5, 10]


def test_lead_in_comes_first_without_a_label(listed: SegmentList) -> None:
    part = replace(listed, segments=(replace(listed.segments[1], start_s=0.2, end_s=0.32),))
    item = make_sequences(part, lead_s=0.08)[0]
    assert item is not None
    assert greys(item.frames) == [3, 4, 5, 6, 7]
    assert item.targets[:, 0].tolist() == [IGNORE, IGNORE, 1, 1, 1]
    item = make_sequences(part, lead_s=9.0)[0]
    assert item is not None and greys(item.frames) == list(range(8))


def test_clips_are_spread_over_the_segment(listed: SegmentList) -> None:
    item = make_sequences(listed, views=(3, 1))[1]
    assert item is not None and item.frames.shape == (3, 4, 16, 16, 3)
    assert [greys(view) for view in item.frames] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert item.targets.tolist() == [[1]]
    short = make_sequences(listed, views=(3, 1), frames=14)[0]
    assert short is not None
    assert [greys(view) for view in short.frames] == [[*range(12), 11, 11]]


def test_uniform_views_are_offset_within_the_parts(listed: SegmentList) -> None:
    """Parts of 0.16 s, that is 4 frames: one view takes their middles, two the quarters."""
    uniform: dict[str, Any] = {"sampling": "uniform", "frames": 3, "fps": 1.0}
    middle = make_sequences(listed, **uniform)[0]
    assert middle is not None and [greys(view) for view in middle.frames] == [[2, 6, 10]]
    both = make_sequences(listed, views=(2, 1), **uniform)[0]
    assert both is not None
    assert [greys(view) for view in both.frames] == [[1, 5, 9], [3, 7, 11]]


@pytest.mark.parametrize("hw", [(32, 96), (96, 32)])
def test_three_crops_lie_along_the_longer_side(tmp_path: Path, hw: tuple[int, int]) -> None:
    """A picture of three squares: each crop shows one of them."""
    axis = 1 if hw[1] > hw[0] else 0
    squares = [np.full((32, 32, 3), grey, np.uint8) for grey in (16, 96, 224)]
    picture = np.concatenate(squares, axis=axis)
    path = write_video(tmp_path / "a.mkv", [picture] * 4, codec="ffv1")
    segments = SegmentList(LABELS, (Segment("a", path, (0,)),))
    for sampling in ("rate", "uniform"):
        item = make_sequences(segments, views=(1, 3), sampling=sampling)[0]
        assert item is not None and item.frames.shape == (3, 4, 16, 16, 3)
        assert [round(float(v.mean()), -1) for v in item.frames] == pytest.approx(
            [20, 100, 220], abs=1
        )
        middle = make_sequences(segments, views=(1, 1), sampling=sampling)[0]
        assert middle is not None and np.array_equal(middle.frames[0], item.frames[1])
    whole = preprocess_frame(picture, SPEC)
    assert np.abs(whole.astype(int) - item.frames[1, 0]).max() <= 3


def test_views_that_there_are_not(listed: SegmentList) -> None:
    for views in ((0, 1), (1, 2), (1, 0)):
        with pytest.raises(InputError, match="one crop or three"):
            make_sequences(listed, views=views)
    with pytest.raises(InputError, match="every crop shows the whole frame"):
        spec = ClipSpec(replace(SPEC, resize="squash"), fps=1.0, frames=4)
        VideoSequences(listed, spec, views=(1, 3))


def test_what_cannot_be_read_is_left_out_up_to_a_share(listed: SegmentList, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_text("no film")
    bad = Segment("x.mp4", tmp_path / "x.mp4", (0,))
    segments = replace(listed, segments=(*listed.segments, bad))
    for cache_bytes in (0, 10**9):
        sequences = make_sequences(segments, cache_bytes=cache_bytes, max_failed_share=0.4)
        assert [item.name for item in iterate(sequences)] == ["a.mp4", "b.mp4"]
        assert len(list(iterate(sequences))) == 2 and len(sequences.failures) == 1
        with pytest.raises(InputError, match="1 of 3 segments are missing or cannot be decoded"):
            list(iterate(make_sequences(segments, cache_bytes=cache_bytes, max_failed_share=0.3)))


def test_the_budget_is_what_training_leaves(listed: SegmentList) -> None:
    one = 12 * 16 * 16 * 3
    assert make_sequences(listed, cache_bytes=2 * one - 1).kept_bytes == one
    assert make_sequences(listed, cache_bytes=2 * one).kept_bytes == 2 * one


def make_folder(root: Path) -> None:
    for label in "ab":
        (root / label).mkdir()
        for number in range(2):
            write_video(root / label / f"{number}.mp4", grey_frames(3))


def test_evaluation_data_needs_no_torch(tmp_path: Path) -> None:
    make_folder(tmp_path)
    code = """
import sys
for name in ("torch", "torchvision", "yaml"):
    sys.modules[name] = None
from pathlib import Path
from effvit_edge.core.card import Preprocess
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.sequences import VideoSequences
from effvit_edge.data.sets import open_part
from effvit_edge.data.types import iterate
spec = Preprocess(16, 16, "short_side", 1.0, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
listed = open_part("folder", Path(sys.argv[1]), None, "eval", options={})
sequences = VideoSequences(listed, ClipSpec(spec, fps=25.0, frames=2))
assert len(list(iterate(sequences))) == 4
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
