from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.footage import Footage, open_footage
from effvit_edge.data.segments import ChunkFolders, Segment
from tests.videos import write_video

FPS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Greys 0, 4, 8, … of 5 s at 10 a second, in chunks of 2 s that each begin at zero."""
    root = tmp_path_factory.mktemp("chunks") / "P01_01.MP4"
    root.mkdir()
    greys = [np.full((32, 48, 3), 4 * i, np.uint8) for i in range(5 * FPS)]
    for start in (0, 2, 4):
        cut = greys[start * FPS : (start + 2) * FPS]
        if start == 2:  # reaches into the next, as cutting at packets may
            cut += greys[40:42]
        write_video(root / f"{start}.MP4", cut, fps=FPS)
    (root / "cover.jpg").touch()
    return root


def footage_of(folder: Path, start_s: float, end_s: float | None) -> Footage:
    segment = Segment("P01_01_1", folder, (0,), start_s, end_s)
    return open_footage(segment, ChunkFolders(seconds=2.0))


def numbers(frames: list[np.ndarray]) -> list[int]:
    return [round(float(frame.mean()) / 4) for frame in frames]


def test_a_segment_spans_chunks(folder: Path) -> None:
    footage = footage_of(folder, 1.5, 4.5)
    found = list(footage.at_rate(FPS))
    assert numbers([frame for _, frame in found]) == list(range(15, 45))
    assert [time for time, _ in found] == pytest.approx([i / FPS for i in range(30)])
    lead = list(footage.at_rate(FPS, -1.0))
    assert numbers([frame for _, frame in lead]) == list(range(5, 45))
    assert lead[0][0] == pytest.approx(-1.0)


def test_frames_are_found_in_their_chunks(folder: Path) -> None:
    footage = footage_of(folder, 1.0, 4.6)
    assert numbers(list(footage.frames_at([-1.0, 0.0, 0.9, 1.0, 2.94, 3.0, 9.0]))) == [
        0, 10, 19, 20, 39, 40, 45,
    ]  # fmt: skip
    assert numbers(list(footage_of(folder, 4.0, None).frames_at([0.5]))) == [45]


def test_the_length_is_that_of_all_chunks(folder: Path) -> None:
    assert footage_of(folder, 0.0, None).duration_s() == pytest.approx(5.0)
    assert footage_of(folder, 1.5, 4.5).lead_s() == 1.5


def test_a_missing_chunk_is_told(folder: Path, tmp_path: Path) -> None:
    for name in ("0.MP4", "4.MP4"):
        (tmp_path / name).symlink_to(folder / name)
    footage = footage_of(tmp_path, 1.0, 4.5)
    found = list(footage.at_rate(FPS))
    assert numbers([frame for _, frame in found]) == [*range(10, 20), *range(40, 45)]
    assert "the chunk from 2 s is missing" in str(footage.losses)


def test_folders_without_chunks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no chunk such as 0\.MP4"):
        list(footage_of(tmp_path, 0.0, None).at_rate(FPS))
    with pytest.raises(InputError, match="There is no folder of chunks"):
        list(footage_of(tmp_path / "gone", 0.0, None).at_rate(FPS))
