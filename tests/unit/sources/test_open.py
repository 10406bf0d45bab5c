from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.sources import End, MemorySource, SourceError, list_sources, open_source
from tests.videos import grey_frames, write_video


def test_a_folder_is_its_videos_sorted_with_those_inside_its_folders(tmp_path: Path) -> None:
    names = ["b.mp4", "a.MKV", "inner/c.webm", "notes.txt", ".hidden.mp4", "a.labelled.mp4"]
    for name in [*names, "x.labelled/b.mp4"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    refs = list_sources(str(tmp_path))
    assert [ref.name for ref in refs] == ["a.MKV", "b.mp4", "inner/c.webm"]
    assert [Path(ref.uri) for ref in refs] == [tmp_path / ref.name for ref in refs]


def test_the_folder_of_a_training_run_is_no_footage(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "last").mkdir(parents=True)
    (run / "last" / "card.json").write_text("{}")
    (run / "curves.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds a trained network.*export .*run -o"):
        list_sources(str(run))


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"folder without videos.*\.mp4"):
        list_sources(str(tmp_path))


@pytest.mark.parametrize(
    ("uri", "name"), [("0", "camera0"), ("/dev/video3", "camera3"), ("clip.mp4", "clip.mp4")]
)
def test_one_source_is_itself(uri: str, name: str) -> None:
    (ref,) = list_sources(uri)
    assert (ref.uri, ref.name) == (uri, name)


def test_names(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(1))
    with open_source(str(path)) as source:
        assert source.name == str(path)
    with open_source(str(path), "inner/a.mp4") as source:
        assert source.name == "inner/a.mp4"


def test_a_number_is_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentFault, match="no camera 98"):
        open_source("98")
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", grey_frames(1)).rename("98")
    with open_source("98") as source:
        assert source.name == "98"


def test_an_unknown_kind_is_refused_without_its_password() -> None:
    with pytest.raises(InputError, match="kind 'ftp:' are not known") as caught:
        open_source("ftp://user:secret@camera/1")
    assert "secret" not in str(caught.value)


def test_memory_keeps_frame_end_and_error_apart() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    with MemorySource([(0.5, image), SourceError("gone")]) as source:
        frame = source.read()
        assert not isinstance(frame, End)
        assert (frame.index, frame.pts_seconds, frame.image is image) == (0, 0.5, True)
        with pytest.raises(SourceError, match="gone"):
            source.read()
        assert source.read() == End()
