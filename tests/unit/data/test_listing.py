from __future__ import annotations

from pathlib import Path

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.listing import hold_out, list_csv, list_folder, open_split, passes

ROWS = """path,label,split,fold
a/1.mp4,run,train,0
a/2.mp4,run,test,1
b/1.mp4,walk,train,1
b/2.mp4,walk,test,0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4", "b/notes.txt", ".hidden/x.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "clips.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def split(root: Path, train: tuple[str, ...], held: tuple[str, ...]) -> tuple[set[str], set[str]]:
    parts = open_split(
        root, "clips.csv", train_filters=train, eval_filters=held, eval_share=0.5, seed=0
    )
    assert parts[0].labels == parts[1].labels == ("run", "walk")
    train_names, held_names = (
        {video.path.relative_to(root).as_posix() for video in part.videos} for part in parts
    )
    return train_names, held_names


def test_subfolders_are_classes_in_alphabetical_order(root: Path) -> None:
    found = list_folder(root)
    assert found.labels == ("a", "b")
    assert [(video.path.name, video.label) for video in found.videos] == [
        ("1.mp4", 0),
        ("2.mp4", 0),
        ("1.mp4", 1),
        ("2.mp4", 1),
    ]


def test_a_class_without_videos_is_refused(root: Path) -> None:
    (root / "c").mkdir()
    with pytest.raises(InputError, match=r"Class folder .*c has no videos"):
        list_folder(root)
    with pytest.raises(InputError, match="has no subfolders"):
        list_folder(root / "c")
    with pytest.raises(InputError, match="There is no folder"):
        list_folder(root / "d")


def test_filters_split_a_csv(root: Path) -> None:
    train, held = split(root, ("split=train",), ("split=test",))
    assert train == {"a/1.mp4", "b/1.mp4"} and held == {"a/2.mp4", "b/2.mp4"}
    train, held = split(root, ("fold!=0", "split=test"), ("fold=0",))
    assert train == {"a/2.mp4"} and held == {"a/1.mp4", "b/2.mp4"}


def test_without_filters_a_share_of_each_class_is_held_out(root: Path) -> None:
    train, held = split(root, (), ())
    assert not train & held
    assert {name[0] for name in train} == {name[0] for name in held} == {"a", "b"}
    everything = list_folder(root)
    assert hold_out(everything, 0.5, seed=1) == hold_out(everything, 0.5, seed=1)


@pytest.mark.parametrize(
    ("train", "held", "sentence"),
    [
        (("split=train",), (), "Give both"),
        (("split=train",), ("fold=0",), "1 videos, such as"),
        (("split=validation",), ("fold=0",), "no row passes"),
        (("splitt=train",), ("fold=0",), "no column 'splitt', only path, label, split, fold"),
        (("train",), ("fold=0",), "neither column=value nor column!=value"),
    ],
)
def test_splits_that_cannot_be_meant(
    root: Path, train: tuple[str, ...], held: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        split(root, train, held)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no column 'path'"),
        (b"path,class\na/1.mp4,run\n", "no column 'label'; its columns are path, class"),
        (b"path,label\n", "has no rows"),
        (b"path,label\na/1.mp4,run\na/2.mp4,\n", "line 3: path or label is empty"),
        (b"path,label\na/1.mp4\n", "line 2: expected 2 cells"),
        (b"path,label\na/1.mp4,run,more\n", "line 2: expected 2 cells"),
        (b"path,label\na/9.mp4,run\n", "line 2: there is no file"),
        ("path,label\na/1.mp4,übung\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_by_line(
    root: Path, content: bytes, sentence: str
) -> None:
    (root / "bad.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        list_csv(root / "bad.csv", root)
    assert sentence in str(caught.value)
    assert "bad.csv" in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_column(root: Path) -> None:
    (root / "bom.csv").write_bytes(b"\xef\xbb\xbfpath,label\r\na/1.mp4,run\r\n")
    assert list_csv(root / "bom.csv", root).labels == ("run",)


def test_a_class_with_one_video_cannot_be_held_out(root: Path) -> None:
    (root / "a" / "2.mp4").unlink()
    with pytest.raises(InputError, match="Class 'a' has one video"):
        hold_out(list_folder(root), 0.2, seed=0)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [(["x=1"], True), (["x!=1"], False), (["x = 1"], True), (["x=1", "y=b"], False), ([], True)],
)
def test_filters(filters: list[str], expected: bool) -> None:
    assert passes({"x": "1", "y": "a"}, filters, Path("f.csv")) is expected
