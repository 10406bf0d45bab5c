"""Lists of one's own: class folders, CSV files, text lists and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets import drop_missing, hold_out, open_part, open_split
from effvit_edge.data.sets.csv_rows import passes

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


def folder(root: Path, **options: Any) -> SegmentList:
    return open_part("folder", root, None, "eval", options=options)


def listed(root: Path, text: str, name: str = "csv", **options: Any) -> SegmentList:
    (root / "list.txt").write_text(text, encoding="utf-8")
    return open_part(name, root, Path("list.txt"), "eval", options=options)


def names(segments: SegmentList) -> set[str]:
    return {segment.name for segment in segments.segments}


def split(root: Path, train: tuple[str, ...], held: tuple[str, ...]) -> tuple[set[str], set[str]]:
    parts = open_split(
        "csv",
        root,
        Path("clips.csv"),
        options={},
        train_filters=train,
        eval_filters=held,
        eval_share=0.5,
        seed=0,
    )
    assert parts[0].groups == parts[1].groups
    assert parts[0].groups[0].labels == ("run", "walk")
    return names(parts[0]), names(parts[1])


def test_subfolders_are_classes_in_alphabetical_order(root: Path) -> None:
    found = folder(root)
    assert found.groups[0].labels == ("a", "b")
    assert [(s.name, s.path, s.targets) for s in found.segments] == [
        (name, root / name, (number,))
        for name, number in (("a/1.mp4", 0), ("a/2.mp4", 0), ("b/1.mp4", 1), ("b/2.mp4", 1))
    ]
    assert not found.directional
    assert folder(root, directional=True).directional


def test_a_class_without_videos_is_refused(root: Path) -> None:
    (root / "c").mkdir()
    with pytest.raises(InputError, match=r"Class folder .*c has no videos"):
        folder(root)
    with pytest.raises(InputError, match="has no subfolders"):
        folder(root / "c")
    with pytest.raises(InputError, match="There is no folder"):
        folder(root / "d")


def test_folders_of_two_parts(root: Path) -> None:
    for part in ("train", "val"):
        for label in "xy":
            (root / "parts" / part / label).mkdir(parents=True)
            (root / "parts" / part / label / "1.mp4").touch()
    options = {"train": "train", "eval": "val"}
    train, held = open_split(
        "folder",
        root / "parts",
        None,
        options=options,
        train_filters=(),
        eval_filters=(),
        eval_share=0.2,
        seed=0,
    )
    assert names(train) == {"train/x/1.mp4", "train/y/1.mp4"}
    assert names(held) == {"val/x/1.mp4", "val/y/1.mp4"}
    (root / "parts" / "val" / "z").mkdir()
    with pytest.raises(InputError, match="Class folder 'z' is in only one of"):
        folder(root / "parts", **options)
    with pytest.raises(InputError, match=r"both data\.options\.train and"):
        folder(root / "parts", train="train")


def test_folders_take_no_list(root: Path) -> None:
    with pytest.raises(InputError, match=r"for a list say data\.set: csv"):
        open_part("folder", root, Path("clips.csv"), "eval", options={})


def test_filters_split_a_csv(root: Path) -> None:
    train, held = split(root, ("split=train",), ("split=test",))
    assert train == {"a/1.mp4", "b/1.mp4"} and held == {"a/2.mp4", "b/2.mp4"}
    train, held = split(root, ("fold!=0", "split=test"), ("fold=0",))
    assert train == {"a/2.mp4"} and held == {"a/1.mp4", "b/2.mp4"}


def test_without_filters_a_share_of_each_class_is_held_out(root: Path) -> None:
    train, held = split(root, (), ())
    assert not train & held
    assert {name[0] for name in train} == {name[0] for name in held} == {"a", "b"}
    everything = folder(root)
    assert hold_out(everything, 0.5, seed=1) == hold_out(everything, 0.5, seed=1)


def test_segments_of_one_video_are_held_out_together(root: Path) -> None:
    text = "path,label,start,end\n" + "".join(
        f"{video}.mp4,{label},{start},{start + 1}\n"
        for label in "xy"
        for video in (f"{label}1", f"{label}2", f"{label}3")
        for start in range(4)
    )
    train, held = hold_out(listed(root, text), 0.34, seed=0)
    videos = [{segment.path for segment in part.segments} for part in (train, held)]
    assert not videos[0] & videos[1]
    assert [len(part.segments) for part in (train, held)] == [16, 8]


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


def test_other_sets_take_no_filters(root: Path) -> None:
    with pytest.raises(InputError, match="the set 'folder' takes none"):
        open_part("folder", root, None, "eval", options={}, filters=("a=b",))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"path,class\na/1.mp4,run\n", "no column 'label'; its columns are path, class"),
        (b"path,label\n", "has no rows"),
        (b"path,label\na/1.mp4,run\na/2.mp4,\n", "line 3: path or label is empty"),
        (b"path,label\n,run\n", "line 2: path or label is empty"),
        (b"path,label\na/1.mp4\n", "line 2: expected 2 cells"),
        (b"path,label\na/1.mp4,run,more\n", "line 2: expected 2 cells"),
        (b"path,label\na/1.mp4,run\n\na/1.mp4,walk\n", "line 4: 'a/1.mp4' is already line 2"),
        (b"path,label,start\na/1.mp4,run,soon\n", "line 2: 'soon' is not a time"),
        (b"path,label,start,end\na/1.mp4,run,3,2\n", "line 2: the segment ends at 2, but begins"),
        (b'path,label\n"a/1.mp4,run\n', "not CSV"),
        ("path,label\na/1.mp4,übung\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_by_line(
    root: Path, content: bytes, sentence: str
) -> None:
    (root / "bad.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_part("csv", root, Path("bad.csv"), "eval", options={})
    assert sentence in str(caught.value)
    assert "bad.csv" in str(caught.value)


def test_a_list_that_is_not_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"or a folder that holds train\.csv and val\.csv"):
        open_part("csv", root, None, "eval", options={})


def test_a_byte_order_mark_is_no_part_of_the_first_column(root: Path) -> None:
    (root / "bom.csv").write_bytes(b"\xef\xbb\xbfpath,label\r\na/1.mp4,run\r\n")
    found = open_part("csv", root, Path("bom.csv"), "eval", options={})
    assert found.groups[0].labels == ("run",)


def test_a_csv_of_segments(root: Path) -> None:
    found = listed(root, "path,label,start,end\na.mp4,x,1.5,00:01:02.5\na.mp4,y,70,\nb.mp4,x,,\n")
    assert found.segments == (
        Segment("a.mp4 from 1.5 s", root / "a.mp4", (0,), 1.5, 62.5),
        Segment("a.mp4 from 70 s", root / "a.mp4", (1,), 70.0, None),
        Segment("b.mp4", root / "b.mp4", (0,)),
    )


def test_a_csv_with_several_labels(root: Path) -> None:
    found = listed(root, "path,label\na.mp4,run;jump\nb.mp4,\nc.mp4,sit\n", separator=";")
    assert found.multi_label and found.groups[0].labels == ("jump", "run", "sit")
    assert [segment.targets for segment in found.segments] == [(1, 0), (), (2,)]
    train, held = hold_out(found, 0.3, seed=0)
    assert [len(part.segments) for part in (train, held)] == [2, 1]


def test_a_class_with_one_video_cannot_be_held_out(root: Path) -> None:
    (root / "a" / "2.mp4").unlink()
    with pytest.raises(InputError, match="Class 'a' has one video"):
        hold_out(folder(root), 0.2, seed=0)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [(["x=1"], True), (["x!=1"], False), (["x = 1"], True), (["x=1", "y=b"], False), ([], True)],
)
def test_filters(filters: list[str], expected: bool) -> None:
    assert passes(["1", "a"], ["x", "y"], filters, Path("f.csv")) is expected


def test_a_list_of_numbers(root: Path) -> None:
    found = listed(root, "# made by hand\na b.mp4 10\nc.mp4 2\n", "list")
    assert found.groups[0].labels == tuple(str(number) for number in range(11))
    assert [(s.name, s.targets) for s in found.segments] == [("a b.mp4", (10,)), ("c.mp4", (2,))]


def test_a_list_of_names_and_times(root: Path) -> None:
    found = listed(root, "a.mp4 1 2.5 walk\na.mp4 3 4 run\n", "list", columns="start end label")
    assert found.groups[0].labels == ("run", "walk")
    assert [(s.start_s, s.end_s, s.targets) for s in found.segments] == [
        (1.0, 2.5, (1,)),
        (3.0, 4.0, (0,)),
    ]


def test_counts_of_frames_and_other_separators(root: Path) -> None:
    found = listed(root, "a b.mp4, 300, 0\n", "list", columns="frames label", separator=",")
    assert found.segments == (Segment("a b.mp4", root / "a b.mp4", (0,)),)


@pytest.mark.parametrize("names_file", ["walk\nrun fast\n", "0 walk\n1 run fast\n"])
def test_a_list_with_a_file_of_classes(root: Path, names_file: str) -> None:
    (root / "classes.txt").write_text(names_file)
    found = listed(root, "a.mp4 1\nb.mp4 walk\n", "list", labels="classes.txt")
    assert found.groups[0].labels == ("walk", "run fast")
    assert [segment.targets for segment in found.segments] == [(1,), (0,)]


def test_classes_may_be_numbered_from_one(root: Path) -> None:
    (root / "classes.txt").write_text("1 walk\n2 run\n")
    found = listed(root, "a.mp4 1\nb.mp4 2\n", "list", labels="classes.txt")
    assert [segment.targets for segment in found.segments] == [(0,), (1,)]


def test_train_and_val_lists_share_their_classes(root: Path) -> None:
    (root / "train.txt").write_text("a.mp4 walk\nb.mp4 run\n")
    (root / "val.txt").write_text("c.mp4 walk\n")
    train, held = open_split(
        "list",
        root,
        None,
        options={},
        train_filters=(),
        eval_filters=(),
        eval_share=0.5,
        seed=0,
    )
    assert train.groups == held.groups and train.groups[0].labels == ("run", "walk")
    assert names(train) == {"a.mp4", "b.mp4"} and held.segments[0].targets == (1,)


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a.mp4\n", {}, "line 1: expected 'path label', got 'a.mp4'"),
        ("a.mp4 1 0\n", {"columns": "start end label"}, "expected 'path start end label'"),
        ("a.mp4 x 2 0\n", {"columns": "start end label"}, "line 1: 'x' is not a time"),
        ("a.mp4 3 2 0\n", {"columns": "start end label"}, "the segment ends at 2, but begins at 3"),
        ("a.mp4 0\na.mp4 1\n", {}, "line 2: 'a.mp4' is already line 1"),
        ("a.mp4 3\n", {"labels": "classes.txt"}, "class 3 is out of range; "),
        ("a.mp4 rnu\n", {"labels": "classes.txt"}, "'rnu' is not among the 2 classes of "),
        ("a.mp4 rnu\n", {"labels": "classes.txt"}, "Did you mean 'run'?"),
        ("a.mp4 1\n", {"labels": "missing.txt"}, "There is no file"),
        ("a.mp4 1\n", {"labels": "gap.txt"}, "line 2: classes must be numbered one after another"),
        ("a.mp4 4000000000\n", {}, "class 4000000000 is out of range"),
        ("# nothing\n", {}, "has no rows"),
    ],
)
def test_lists_that_cannot_be_used(
    root: Path, text: str, options: dict[str, Any], sentence: str
) -> None:
    (root / "classes.txt").write_text("run\nwalk\n")
    (root / "gap.txt").write_text("0 run\n2 walk\n")
    with pytest.raises(InputError) as caught:
        listed(root, text, "list", **options)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a 0 5 1\n", {}, "line 1: frame 0 lies before the first, which is 1"),
        ("a 5 4 1\n", {}, "line 1: the segment ends at frame 4, but begins at 5"),
        ("a 1 2.5 1\n", {}, "line 1: frame '2.5' is not a whole number"),
        ("a 1 2 1\n", {"pattern": "img.jpg"}, "does not name a frame by its number"),
        ("a 1 2 1\n", {"pattern": "{name}.jpg"}, "does not name a frame by its number"),
        ("a 1 2 1\n", {"fps": 0.0}, "fps must be positive"),
    ],
)
def test_frames_that_cannot_be_used(
    root: Path, text: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        listed(root, text, "frames", **options)
    assert sentence in str(caught.value)


def test_frame_numbers_are_inclusive(root: Path) -> None:
    found = listed(root, "a 1 10 x\na 11 12 y\n", "frames", fps=10.0)
    assert [(s.start_s, s.end_s) for s in found.segments] == [(0.0, 1.0), (1.0, 1.2)]
    [whole] = listed(root, "a 10 x\n", "frames", columns="frames label", first=0).segments
    assert whole.start_s == 0.0 and whole.end_s == pytest.approx(1 / 3)


def test_pictures_that_a_list_names_and_that_are_not_there(root: Path) -> None:
    """Of five pictures the list names the first three, two more than there are, and a gap."""
    for number in (1, 2, 4, 5):
        (root / "a" / f"img_{number:05d}.jpg").touch()
    text = "a 1 5 x\na 4 7 x\na 3 4 y\ngone 1 2 y\na 5 7 x\n"
    kept, sentences = drop_missing(listed(root, text, "frames", fps=12.0))
    assert names(kept) == {"a 1 5"}
    assert sentences == (
        f"There is no file {root / 'a' / 'img_00007.jpg'}, which 2 segments need.",
        f"There is no file {root / 'a' / 'img_00003.jpg'}, which segment 'a 3 4' needs.",
        f"There is no folder {root / 'gone'}, which segment 'gone 1 2' needs.",
    )
    whole = listed(root, "a x\n", "frames", columns="label")
    assert drop_missing(whole) == (whole, ())


def test_pictures_by_another_name_are_told_with_the_option(root: Path) -> None:
    (root / "a" / "frame_1.jpg").touch()
    with pytest.raises(InputError, match=r"img_00001\.jpg, .* data\.options\.pattern the name"):
        drop_missing(listed(root, "a 1 1 x\n", "frames"))
