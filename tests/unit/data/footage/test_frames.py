from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.footage import Footage, open_footage
from effvit_edge.data.segments import FrameFolders, Segment

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames 1 to 12 at 10 a second, red in RGB by their number; 7 is missing."""
    for number in range(1, 13):
        if number != 7:
            picture = np.zeros((16, 24, 3), np.uint8)
            picture[..., 2] = 16 * number  # OpenCV's order is blue, green, red
            cv2.imwrite(str(tmp_path / f"img_{number:05d}.jpg"), picture)
    (tmp_path / "flow_x_00001.jpg").touch()
    return tmp_path


def footage_of(folder: Path, start_s: float = 0.0, end_s: float | None = None) -> Footage:
    return open_footage(Segment("segment", folder, (0,), start_s, end_s), FrameFolders(fps=10.0))


def numbers(frames: list[np.ndarray]) -> list[int]:
    assert all(int(frame[..., 1:].max()) < 16 for frame in frames)
    return [round(float(frame[..., 0].mean()) / 16) for frame in frames]


def test_frames_have_times_by_their_numbers(folder: Path) -> None:
    footage = footage_of(folder, 0.2, 1.0)
    found = list(footage.at_rate(10.0))
    assert numbers([frame for _, frame in found]) == [3, 4, 5, 6, 8, 9, 10]
    assert [time for time, _ in found] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7])
    assert numbers([frame for _, frame in footage.at_rate(5.0, -0.2)]) == [1, 3, 5, 8, 9]
    assert str(footage.losses) == "1 frame lost (numbers are missing)"


def test_the_nearest_frame(folder: Path) -> None:
    found = list(footage_of(folder, 0.2).frames_at([-9.0, 0.0, 0.04, 0.06, 0.41, 9.0]))
    assert numbers(found) == [1, 3, 3, 4, 8, 12]
    assert footage_of(folder, 0.2).duration_s() == pytest.approx(1.0)


def test_real_frames(test_data: Path) -> None:
    frames = list(footage_of(test_data / "rawframes" / "mmaction2_imgs").at_rate(10.0))
    assert len(frames) == 10
    expected = cv2.imread(str(test_data / "rawframes" / "mmaction2_imgs" / "img_00004.jpg"))
    assert np.array_equal(frames[3][1], expected[..., ::-1])


def test_what_cannot_be_used_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "img_00003.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"img_00003\.jpg cannot be read as a picture"):
        list(footage_of(folder).at_rate(10.0))
    with pytest.raises(InputError, match="There is no folder of frames"):
        list(footage_of(folder / "gone").at_rate(10.0))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no frame such as img_00001\.jpg"):
        list(footage_of(tmp_path / "empty").at_rate(10.0))
