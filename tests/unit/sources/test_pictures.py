"""Folders and patterns: which sources they are, and pictures played in the order of their names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.sources import list_sources, open_source
from tests.videos import grey_frames, read_all, write_video


def write_pictures(folder: Path, names: list[str]) -> None:
    """Pictures of one colour each; the blue rises by 10 from name to name."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        bgr = np.full((6, 8, 3), (10 * index, 100, 200), np.uint8)
        assert cv2.imwrite(str(folder / name), bgr)


def blues(images: list[tuple[float, np.ndarray]]) -> list[int]:
    return [int(image[0, 0, 2]) for _, image in images]


def test_a_folder_of_pictures_is_one_source_at_the_rate_asked(tmp_path: Path) -> None:
    write_pictures(tmp_path / "walk", ["a1.png", "a2.png", "a10.png", "B1.png"])
    (tmp_path / "walk" / "notes.txt").touch()
    (tmp_path / "walk" / ".a3.png").touch()
    (ref,) = list_sources(f"{tmp_path / 'walk'}?fps=10")
    assert ref.name == str(tmp_path / "walk")
    with open_source(ref.uri, ref.name) as source:
        assert (source.nominal_fps, source.expected_frames, source.is_live) == (10.0, 4, False)
        shown = read_all(source)
    assert [time for time, _ in shown] == pytest.approx([0, 0.1, 0.2, 0.3])
    # Capitals before small letters, and numbers by their value.
    assert blues(shown) == [30, 0, 10, 20]
    np.testing.assert_array_equal(shown[1][1][0, 0], [200, 100, 0])
    assert source.health.backend.startswith("pictures through OpenCV")


def test_without_a_rate_they_are_25_a_second(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.bmp", "2.bmp"])
    assert [time for time, _ in read_all(open_source(str(tmp_path)))] == [0, 0.04]


def test_a_folder_of_folders_of_pictures_is_a_source_each(tmp_path: Path) -> None:
    for name in ("b", "a", "a/inner", ".hidden", "x.labelled"):
        write_pictures(tmp_path / name, ["1.png"])
    refs = list_sources(f"{tmp_path}?fps=5")
    assert [ref.name for ref in refs] == ["a", "a/inner", "b"]
    assert refs[0].uri == f"{tmp_path / 'a'}?fps=5"
    assert {ref.path for ref in refs} == {None}


def test_videos_come_before_pictures_and_know_their_files(tmp_path: Path) -> None:
    write_pictures(tmp_path / "frames", ["1.png"])
    (tmp_path / "clip.mp4").touch()
    (ref,) = list_sources(f"{tmp_path}?backend=opencv")
    assert (ref.uri, ref.path) == (f"{tmp_path / 'clip.mp4'}?backend=opencv", tmp_path / "clip.mp4")


def test_a_pattern_of_videos_is_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b1.mp4", "a/b2.MKV", "a/.b3.mp4", "b4.labelled.mp4", "b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [ref.name for ref in list_sources("b*")] == ["b1.mp4"]
    assert [ref.uri for ref in list_sources("**/b*?backend=pyav")] == [
        "a/b2.MKV?backend=pyav",
        "b1.mp4?backend=pyav",
    ]
    assert [ref.name for ref in list_sources("a/../b?.mp4")] == ["a/../b1.mp4"]


def test_a_pattern_of_pictures_is_one_source(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["rgb_1.png", "rgb_2.png", "flow_1.png"])
    (ref,) = list_sources(f"{tmp_path}/rgb_*.png?fps=50")
    assert ref.name == f"{tmp_path}/rgb_*.png"
    assert blues(read_all(open_source(ref.uri))) == [0, 10]


def test_a_pattern_over_several_folders_of_pictures_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", ["1.png"])
    write_pictures(tmp_path / "b", ["1.png"])
    with pytest.raises(InputError, match="pictures in 2 folders"):
        list_sources(f"{tmp_path}/*/*.png")
    with pytest.raises(InputError, match="No video and no picture matches"):
        list_sources(f"{tmp_path}/*.png")


def test_a_picture_that_does_not_decode_is_a_hole_in_time(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.png", "2.png", "3.png"])
    (tmp_path / "2.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path))
    assert [time for time, _ in read_all(source)] == [0, 0.08]
    assert str(source.losses) == "1 frame lost (2.png does not decode as a picture)"


def test_a_folder_without_a_picture_that_decodes_is_refused(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"")
    with (
        open_source(str(tmp_path)) as source,
        pytest.raises(InputError, match=r"None of the 2 pictures, .*1\.jpg the first, can be read"),
    ):
        source.read()


def test_real_frames_are_what_opencv_reads(test_data: Path) -> None:
    jpegs = sorted((test_data / "rawframes").rglob("img_*1.jpg"))
    folder = jpegs[0].parent
    files = sorted(folder.glob("*.jpg"))
    shown = read_all(open_source(f"{folder}/img_*.jpg"))
    named = [path for path in files if path.name.startswith("img_")]
    assert len(shown) == len(named) > 1
    expected = cv2.imread(str(named[-1]))[..., ::-1]
    np.testing.assert_array_equal(shown[-1][1], expected)


def test_a_video_among_options_is_opened_by_its_backend(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(5))
    for backend, words in (("pyav", "PyAV"), ("opencv", "FFmpeg through OpenCV")):
        with open_source(f"{path}?backend={backend}") as source:
            assert source.health.backend.startswith(words)
            assert len(read_all(source)) == 5
            assert source.health.state == "ended"
