from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.core.video import VideoReader
from effvit_edge.data.footage import open_footage
from effvit_edge.data.prepare.layout import Entry, Form
from effvit_edge.data.prepare.manifest import ListedSet, Manifest
from effvit_edge.data.prepare.run import prepare_set
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets import open_part, open_split
from tests.numbered import number_of, write_numbered

REPOSITORY = Path(__file__).resolve().parents[4]
UNEVEN = np.cumsum([0.02, 0.05, 0.04, 0.031, 0.09] * 12).tolist()
RATES = (5.0, 7.5, 10.0, 12.5, 15.0, 25.0, 60.0)


class Watched:
    """Counts, and may end the process at a given segment."""

    def __init__(self, kill_at: int = -1) -> None:
        self.total = self.done_before = 0
        self.entries: list[Entry] = []
        self._kill_at = kill_at

    def begin(self, total: int, done: int) -> None:
        self.total, self.done_before = total, done

    def prepared(self, entry: Entry) -> None:
        self.entries.append(entry)
        if len(self.entries) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos at steady rates and at an uneven one, and a list with segments of them."""
    root = tmp_path_factory.mktemp("videos")
    write_numbered(root / "steady.mp4", 75, fps=25)
    write_numbered(root / "ntsc.mp4", 60, times=[i * 1001 / 30000 for i in range(60)])
    write_numbered(root / "uneven.mp4", 60, times=UNEVEN)
    write_numbered(root / "other.mp4", 60, times=UNEVEN)
    write_numbered(root / "large.mp4", 20, fps=10, hw=(300, 400))
    rows = [
        "path,label,start,end,part",
        "steady.mp4,up,0.5,2.5,train",
        "steady.mp4,down,1.013,2.0,train",
        "ntsc.mp4,up,,,train",
        "uneven.mp4,down,0.3,2.2,train",
        "other.mp4,up,,,eval",
        "large.mp4,down,,,eval",
    ]
    (root / "list.csv").write_text("\n".join(rows) + "\n")
    return root


def listed(videos: Path) -> ListedSet:
    return ListedSet("csv", str(videos), "list.csv", train=("part=train",), eval=("part=eval",))


def prepare(
    videos: Path,
    folder: Path,
    form: Form | None = None,
    source: ListedSet | None = None,
    workers: int = 1,
    watcher: Watched | None = None,
) -> Manifest:
    return prepare_set(
        source or listed(videos),
        form or Form(short_side=48, lead_s=0.4),
        folder,
        workers=workers,
        max_failed_share=0.2,
        watcher=watcher or Watched(),
        shard_bytes=150_000,
    )


@pytest.fixture(scope="module")
def prepared(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "clips"
    manifest = prepare(videos, folder)
    assert manifest.complete and not manifest.failures
    return folder


def parts_of(videos: Path, prepared: Path) -> list[tuple[SegmentList, SegmentList]]:
    """Training and evaluation, from the videos and prepared."""
    source = listed(videos)
    originals = open_split(
        source.set,
        videos,
        Path("list.csv"),
        options={},
        train_filters=source.train,
        eval_filters=source.eval,
        eval_share=0.2,
        seed=0,
    )
    found = open_split(
        "prepared",
        prepared,
        None,
        options={},
        train_filters=(),
        eval_filters=(),
        eval_share=0.2,
        seed=0,
    )
    return list(zip(originals, found, strict=True))


def test_the_list_is_the_same_as_of_the_videos(videos: Path, prepared: Path) -> None:
    for original, found in parts_of(videos, prepared):
        assert found.groups == original.groups
        assert [s.name for s in found.segments] == [s.name for s in original.segments]
        assert [s.targets for s in found.segments] == [s.targets for s in original.segments]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("from_s", [0.0, -0.4, 0.77])
def test_a_rate_picks_the_same_frames_as_from_the_video(
    videos: Path, prepared: Path, fps: float, from_s: float
) -> None:
    for original, found in parts_of(videos, prepared):
        for before, after in zip(original.segments, found.segments, strict=True):
            begin = max(from_s, -before.start_s, -0.4)
            expected = open_footage(before, original.storage).at_rate(fps, begin)
            actual = open_footage(after, found.storage).at_rate(fps, begin)
            assert [(t, number_of(f)) for t, f in actual] == [
                (t, number_of(f)) for t, f in expected
            ]


def test_times_pick_the_same_frames_as_from_the_video(videos: Path, prepared: Path) -> None:
    rng = np.random.default_rng(0)
    for original, found in parts_of(videos, prepared):
        for before, after in zip(original.segments, found.segments, strict=True):
            source = open_footage(before, original.storage)
            shards = open_footage(after, found.storage)
            assert shards.duration_s() == source.duration_s()
            assert shards.lead_s() == min(0.4, source.lead_s())
            times = np.sort(rng.uniform(-shards.lead_s(), source.duration_s() + 0.5, 40)).tolist()
            assert numbers_at(shards.frames_at(times)) == numbers_at(source.frames_at(times))


def numbers_at(frames: object) -> list[int]:
    return [number_of(frame) for frame in frames]  # type: ignore[attr-defined]


def test_pictures_are_scaled_down_and_never_up(prepared: Path) -> None:
    held = open_part("prepared", prepared, None, "eval", options={})
    shapes = {
        segment.name: next(open_footage(segment, held.storage).at_rate(10))[1].shape
        for segment in held.segments
    }
    assert set(shapes.values()) == {(48, 72, 3), (48, 64, 3)}


def test_the_difference_is_the_compression_s_alone(test_data: Path, tmp_path: Path) -> None:
    (tmp_path / "set" / "again").mkdir(parents=True)
    for copy in ("1.mkv", "2.mkv"):
        shutil.copy(test_data / "asl20" / "again.mkv", tmp_path / "set" / "again" / copy)
    source = ListedSet("folder", str(tmp_path / "set"), eval_share=0.5)
    prepare(tmp_path, tmp_path / "out", Form(short_side=480), source)
    found = open_part("prepared", tmp_path / "out", None, "train", options={})
    for segment in found.segments:
        actual = [frame for _, frame in open_footage(segment, found.storage).at_rate(1e6)]
        with VideoReader(tmp_path / "set" / segment.name) as reader:
            for frame in actual:
                picture = reader.read()
                assert picture is not None
                assert np.abs(frame.astype(int) - picture.to_rgb()).mean() < 2.5
            assert reader.read() is None


def test_max_fps_keeps_fewer_frames_of_the_faster_videos(videos: Path, tmp_path: Path) -> None:
    watched = Watched()
    prepare(videos, tmp_path / "clips", Form(short_side=48, max_fps=12.5), watcher=watched)
    frames = {entry.name.split()[0]: entry.frames for entry in watched.entries}
    assert frames["large.mp4"] == 20  # at 10 frames a second
    held = open_part("prepared", tmp_path / "clips", None, "eval", options={})
    train = open_part("prepared", tmp_path / "clips", None, "train", options={})
    ntsc = next(s for s in train.segments if s.name.startswith("ntsc"))
    times = [time_s for time_s, _ in open_footage(ntsc, train.storage).at_rate(1000)]
    assert len(times) == 25 and np.diff(times).min() > 0.06
    assert len(held.segments) == 2


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


KILLED = """
import sys
from pathlib import Path
from tests.unit.data.prepare.test_run import Watched, prepare
if __name__ == "__main__":
    videos, folder, workers, kill_at = sys.argv[1:]
    prepare(Path(videos), Path(folder), workers=int(workers), watcher=Watched(int(kill_at)))
"""


@pytest.mark.parametrize(("workers", "kill_at"), [(1, 1), (1, 4), (2, 3), (1, 6)])
def test_killed_at_any_segment_the_same_command_ends_with_the_same_bytes(
    videos: Path, prepared: Path, tmp_path: Path, workers: int, kill_at: int
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    folder = tmp_path / "clips"
    done = subprocess.run(
        [sys.executable, str(script), str(videos), str(folder), str(workers), str(kill_at)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,  # which ends when the workers have ended too
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="not prepared to its end"):
        open_part("prepared", folder, None, "train", options={})
    watched = Watched()
    prepare(videos, folder, watcher=watched)
    assert (watched.total, watched.done_before) == (6, kill_at)
    assert len(watched.entries) == 6 - kill_at
    assert files(folder) == files(prepared)


def test_several_workers_give_the_same_bytes_as_one(
    videos: Path, prepared: Path, tmp_path: Path
) -> None:
    prepare(videos, tmp_path / "clips", workers=2)
    assert files(tmp_path / "clips") == files(prepared)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"form": Form(short_side=40, lead_s=0.4)}, "with short_side 48, and this is 40"),
        ({"form": Form(short_side=48)}, "with lead_s 0.4, and this is 0.0"),
    ],
)
def test_a_folder_prepared_otherwise_is_left_alone(
    videos: Path, prepared: Path, change: dict[str, Form], sentence: str
) -> None:
    before = files(prepared)
    with pytest.raises(InputError, match=sentence):
        prepare(videos, prepared, **change)
    assert files(prepared) == before


def test_another_list_is_refused(videos: Path, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "videos")
    folder = tmp_path / "clips"
    prepare(tmp_path / "videos", folder)
    path = tmp_path / "videos" / "list.csv"
    path.write_text(path.read_text().replace("1.013,2.0", "1.013,2.1"))
    with pytest.raises(InputError, match="list of segments is another than"):
        prepare(tmp_path / "videos", folder)


def test_a_video_that_changed_is_named(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "videos")
    folder = tmp_path / "clips"
    prepare(tmp_path / "videos", folder)
    write_numbered(tmp_path / "videos" / "ntsc.mp4", 30)
    with pytest.raises(InputError, match=r"ntsc\.mp4 has changed since it was prepared"):
        prepare(tmp_path / "videos", folder)


def test_videos_that_moved_are_still_the_same(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "videos")
    prepare(tmp_path / "videos", tmp_path / "clips")
    (tmp_path / "videos").rename(tmp_path / "moved")
    watched = Watched()
    prepare(tmp_path / "moved", tmp_path / "clips", watcher=watched)
    assert (watched.done_before, watched.entries) == (6, [])


def test_a_rotation_is_baked_in(test_data: Path, tmp_path: Path) -> None:
    odd = test_data / "odd_videos"
    listed = json.loads((odd / "expected.json").read_text())
    turned = [each["f"] for each in listed if each.get("rot") in (90, -90)]
    assert len(turned) > 1
    for part in ("train", "val"):
        (tmp_path / "set" / part / "turned").mkdir(parents=True)
        for name in turned[:2]:
            shutil.copy(odd / name, tmp_path / "set" / part / "turned" / Path(name).name)
    source = ListedSet("folder", str(tmp_path / "set"), options={"train": "train", "eval": "val"})
    prepare(tmp_path, tmp_path / "clips", Form(short_side=64), source)
    found = open_part("prepared", tmp_path / "clips", None, "train", options={})
    assert len(found.segments) == 2
    for segment in found.segments:
        with VideoReader(tmp_path / "set" / segment.name) as reader:
            picture = reader.read()
        assert picture is not None
        upright = picture.to_rgb().shape[:2]
        frame = next(open_footage(segment, found.storage).at_rate(10))[1]
        assert (frame.shape[0] > frame.shape[1]) == (upright[0] > upright[1])
        assert min(frame.shape[:2]) == 64


def test_a_folder_with_other_files_is_refused(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files; give an empty or a new folder"):
        prepare(videos, tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt is a file; give a folder"):
        prepare(videos, tmp_path / "notes.txt")


def test_two_runs_do_not_write_into_one_folder(videos: Path, tmp_path: Path) -> None:
    class Second(Watched):
        def begin(self, total: int, done: int) -> None:
            with pytest.raises(EdgeError, match="Another process is preparing"):
                prepare(videos, tmp_path / "clips")
            super().begin(total, done)

    second = Second()
    prepare(videos, tmp_path / "clips", watcher=second)
    assert second.total == 6


def test_a_rotten_video_is_left_out_and_named(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "videos")
    (tmp_path / "videos" / "ntsc.mp4").write_bytes(b"\0" * 5000)
    manifest = prepare(tmp_path / "videos", tmp_path / "clips")
    assert [(failure.part, failure.name) for failure in manifest.failures] == [
        ("train", "ntsc.mp4")
    ]
    assert "ntsc.mp4 cannot be opened as a video" in manifest.failures[0].sentence
    assert manifest.train is not None and manifest.eval is not None
    assert (manifest.train.segments, manifest.train.failed, manifest.eval.segments) == (3, 1, 2)
    names = [
        segment.name
        for segment in open_part("prepared", tmp_path / "clips", None, "train", options={}).segments
    ]
    assert len(names) == 3 and "ntsc.mp4" not in names


def test_too_much_missing_is_told_before_the_work(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "videos")
    (tmp_path / "videos" / "steady.mp4").unlink()
    with pytest.raises(InputError, match=r"footage of 2 of 4 segments \(train\) is missing"):
        prepare(tmp_path / "videos", tmp_path / "clips")
    assert not (tmp_path / "clips").exists()


def test_what_is_prepared_is_not_prepared_again(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is prepared already"):
        prepare(tmp_path, tmp_path / "out", source=ListedSet("prepared", str(prepared)))


def test_pictures_play_as_a_film(prepared: Path, tmp_path: Path) -> None:
    with tarfile.open(prepared / "train-000000.tar") as archive:
        archive.extract("000000000.mjpeg", tmp_path, filter="data")
    with VideoReader(tmp_path / "000000000.mjpeg") as reader:
        shown = []
        while (picture := reader.read()) is not None:
            shown.append(number_of(picture.to_rgb()))
    assert shown == list(range(2, 63))


def first_segment(prepared: Path) -> tuple[Segment, SegmentList]:
    found = open_part("prepared", prepared, None, "train", options={})
    return found.segments[0], found


def test_a_shard_cut_short_is_named_with_its_segment(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "clips"))
    shard = folder / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:5000])
    segment, found = first_segment(folder)
    with pytest.raises(InputError, match=r"train-000000\.tar is cut short: segment steady\.mp4"):
        list(open_footage(segment, found.storage).at_rate(25))


def test_a_changed_byte_is_named_with_its_shard_and_segment(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "clips"))
    shard = folder / "train-000000.tar"
    content = bytearray(shard.read_bytes())
    content[30_000] ^= 1
    shard.write_bytes(content)
    segment, found = first_segment(folder)
    with pytest.raises(InputError, match=r"0\.tar is damaged at segment steady.*frame \d+ is not"):
        list(open_footage(segment, found.storage).at_rate(25))
    shard.unlink()
    with pytest.raises(InputError, match=r"segment steady.*No such file"):
        list(open_footage(segment, found.storage).at_rate(25))


def test_an_index_of_another_run_is_refused(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "clips"))
    shutil.copy(folder / "eval.jsonl", folder / "train.jsonl")
    with pytest.raises(InputError, match=r"train\.jsonl is not the index that"):
        open_part("prepared", folder, None, "train", options={})
