from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.prepare.check import CheckReport, check_set
from effvit_edge.data.prepare.layout import Form
from effvit_edge.data.prepare.manifest import ListedSet
from effvit_edge.data.prepare.probe import Finding
from effvit_edge.data.prepare.run import prepare_set
from tests.numbered import write_numbered
from tests.unit.data.prepare.test_run import Watched


def untracked(findings: Iterator[Finding], total: int) -> Iterator[Finding]:
    return findings


def check(source: ListedSet, *, full: bool = False) -> CheckReport:
    return check_set(source, full=full, workers=1, track=untracked)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two classes, sound."""
    root = tmp_path / "videos"
    for number, (label, count, fps) in enumerate(
        [("up", 20, 25), ("up", 30, 25), ("down", 26, 10)]
    ):
        write_numbered(root / label / f"{number}.mp4", count, fps=fps)
    return root


def with_list(root: Path, *rows: str) -> ListedSet:
    (root / "list.csv").write_text("\n".join(["path,label,start,end,part", *rows]) + "\n")
    return ListedSet("csv", str(root), "list.csv", train=("part=train",), eval=("part=eval",))


def test_a_sound_set_is_counted(videos: Path) -> None:
    report = check(ListedSet("folder", str(videos)))
    assert report.sound and report.parts["all"].classes == {"label": {"down": 1, "up": 2}}
    assert (report.parts["all"].segments, report.parts["all"].videos) == (3, 3)
    assert report.sizes == {"96x64": 3}
    assert report.rates == {"25": 2, "10": 1}
    assert report.seconds == {"least": 0.8, "median": 1.2, "most": 2.6, "sum": 4.6}


def test_what_is_not_there_is_named(videos: Path) -> None:
    source = with_list(videos, "up/0.mp4,up,,,train", "gone.mp4,up,,,train", "up/1.mp4,up,,,eval")
    report = check(source)
    assert not report.sound
    assert [line.endswith("gone.mp4.") for line in report.missing] == [True]
    assert (report.parts["train"].segments, report.parts["train"].missing_segments) == (2, 1)


def test_everything_missing_is_a_report_too(videos: Path) -> None:
    source = with_list(videos, "a.mp4,up,,,train", "b.mp4,up,,,eval")
    assert len(check(source).missing) == 2


def test_unreadable_files_are_named_and_the_rest_goes_on(videos: Path) -> None:
    (videos / "up" / "rotten.mp4").write_bytes(b"\0" * 3000)
    (videos / "up" / "empty.mp4").touch()
    report = check(ListedSet("folder", str(videos)))
    assert not report.sound and len(report.unreadable) == 2
    assert sum(report.sizes.values()) == 3


def test_a_video_whose_middle_is_damaged_shows_when_all_is_decoded(
    test_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(test_data / "odd_videos" / "decord", tmp_path / "set" / "one")
    for path in (tmp_path / "set" / "one").iterdir():
        if path.name != "corrupted.mp4":
            path.unlink()
    source = ListedSet("folder", str(tmp_path / "set"))
    found = check(source, full=True)
    assert len(found.damaged) == 1 and "corrupted.mp4: " in found.damaged[0]


def test_the_same_bytes_twice_are_duplicates_and_over_the_parts_a_leak(videos: Path) -> None:
    shutil.copy(videos / "up" / "0.mp4", videos / "up" / "copy.mp4")
    report = check(ListedSet("folder", str(videos)))
    assert [[Path(path).name for path in same] for same in report.duplicates] == [
        ["0.mp4", "copy.mp4"]
    ]
    assert report.sound and not report.leaks
    source = with_list(videos, "up/0.mp4,up,,,train", "up/copy.mp4,up,,,eval")
    report = check(source)
    assert not report.sound
    assert "have the same bytes, and are both trained on and evaluated on" in report.leaks[0]


def test_a_stretch_in_both_parts_is_a_leak_and_another_stretch_is_told(videos: Path) -> None:
    source = with_list(
        videos,
        "up/0.mp4,up,0,0.5,train",
        "up/0.mp4,up,0.4,0.8,eval",
        "up/1.mp4,up,0,0.5,train",
        "up/1.mp4,up,0.5,1.0,eval",
    )
    report = check(source)
    assert len(report.leaks) == 1 and "0.mp4 is both trained on and evaluated on" in report.leaks[0]
    assert [Path(path).name for path in report.shared] == ["1.mp4"]


def test_a_single_frame_is_not_past_the_end(videos: Path) -> None:
    write_numbered(videos / "up" / "one.mp4", 1, fps=25)
    assert check(ListedSet("folder", str(videos))).sound


def test_segments_past_the_end_are_named(videos: Path) -> None:
    source = with_list(
        videos,
        "up/0.mp4,up,0.1,1.5,train",  # within a second of its end at 0.8: lists are not exact
        "up/1.mp4,up,0.1,9,train",
        "down/2.mp4,down,7,9,eval",
    )
    later, beyond = check(source).beyond
    assert "ends at 9.0 s, but " in later and later.endswith("1.mp4 is over at 1.2 s.")
    assert "begins at 7.0 s, but " in beyond and beyond.endswith("2.mp4 is over at 2.6 s.")


def test_a_filter_without_the_other_is_refused(videos: Path) -> None:
    with_list(videos, "up/0.mp4,up,,,train", "up/1.mp4,up,,,eval")
    source = ListedSet("csv", str(videos), "list.csv", train=("part=train",))
    with pytest.raises(InputError, match=r"Give both data\.train and data\.eval"):
        check(source)


def test_a_prepared_set_is_checked_by_its_hashes(videos: Path, tmp_path: Path) -> None:
    for label in ("up", "down"):
        write_numbered(videos / label / "more.mp4", 12 if label == "up" else 14)
    folder = tmp_path / "clips"
    prepare_set(
        ListedSet("folder", str(videos)),
        Form(short_side=32),
        folder,
        workers=1,
        max_failed_share=0.0,
        watcher=Watched(),
    )
    source = ListedSet("prepared", str(folder))
    report = check(source, full=True)
    assert report.sound
    # Five videos in two shards, scaled to a short side of 32 pixels.
    assert {part: (found.segments, found.videos) for part, found in report.parts.items()} == {
        "train": (3, 3),
        "eval": (2, 2),
    }
    assert report.sizes == {"48x32": 5} and sum(report.rates.values()) == 5
    assert report.seconds["sum"] == check(ListedSet("folder", str(videos))).seconds["sum"]
    shard = folder / "train-000000.tar"
    content = bytearray(shard.read_bytes())
    content[-3000] ^= 1
    shard.write_bytes(content)
    assert check(source).sound
    found = check(source, full=True)
    assert not found.sound and "does not have its SHA-256" in found.unreadable[0]
    shard.write_bytes(content[:-600])
    assert "bytes instead of" in check(source).unreadable[0]
