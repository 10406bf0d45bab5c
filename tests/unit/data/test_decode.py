from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.data.decode import read_frames
from effvit_edge.sources.file import FileSource
from tests.videos import read_all


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
    frames = read_frames(path, 1000.0)
    served = FileSource(path)
    pairs = zip(frames, read_all(served), strict=True)
    same = [np.array_equal(seen, shown) for seen, (_, shown) in pairs]
    # What a decoder makes up after a fault depends on its threads.
    assert all(same) or (lost == 1 and all(same[:28]))
    assert frames.losses.frames == served.losses.frames == lost
