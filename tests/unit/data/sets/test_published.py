"""The published lists at their real size, counted again here by other means."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.data.segments import FrameFolders, SegmentList
from effvit_edge.data.sets import Part, open_part, open_split


@pytest.fixture(scope="module")
def lists(test_data: Path) -> Path:
    return test_data / "annotations"


def part(name: str, lists: Path, which: Part, **options: Any) -> SegmentList:
    return open_part(name, lists, lists, which, options=options)


def share(segments: SegmentList, group: int) -> tuple[str, float]:
    """The commonest label of a group and how much of the list has it."""
    counts = Counter(segment.targets[group] for segment in segments.segments)
    [(number, count)] = counts.most_common(1)
    return segments.groups[group].labels[number], count / len(segments.segments)


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


EPIC = {"train_list": "EPIC_100_train_reduced.csv", "heads": ["action", "verb", "noun"]}


def test_epic100_validation(lists: Path) -> None:
    folder = lists / "epic100"
    found = open_part("epic100", lists, folder, "eval", options=EPIC)
    assert len(found.segments) == 9668
    assert {group.name: len(group.labels) for group in found.groups} == {
        "action": 3806,
        "verb": 97,
        "noun": 300,
    }
    # What always answering the commonest class gives, as published with the lists.
    assert [round(share(found, group)[1], 3) for group in (1, 2, 0)] == [0.2, 0.044, 0.023]
    assert [share(found, group)[0] for group in (1, 2)] == ["take", "plate"]
    expected = rows(folder / "EPIC_100_validation.csv")
    for segment, row in zip(found.segments[::97], expected[::97], strict=True):
        assert segment.name == row["narration_id"]
        assert segment.targets[1:] == (int(row["verb_class"]), int(row["noun_class"]))
        hours, minutes, seconds = (float(x) for x in row["stop_timestamp"].split(":"))
        assert segment.end_s == pytest.approx(hours * 3600 + minutes * 60 + seconds)
        assert segment.path.name == f"{row['video_id']}.MP4"


def test_epic100_actions_are_numbered_by_their_text(lists: Path) -> None:
    folder = lists / "epic100"
    found = open_part("epic100", lists, folder, "train", options=EPIC)
    assert len(found.segments) == 67217
    both = rows(folder / "EPIC_100_train_reduced.csv") + rows(folder / "EPIC_100_validation.csv")
    order = sorted({f"{row['verb_class']}:{row['noun_class']}" for row in both})
    assert order[:3] == ["0:0", "0:1", "0:10"]
    verbs, nouns = (
        {row["id"]: row["key"] for row in rows(folder / f"EPIC_100_{kind}_classes.csv")}
        for kind in ("verb", "noun")
    )
    assert found.groups[0].labels == tuple(
        f"{verbs[verb]} {nouns[noun]}" for verb, noun in (text.split(":") for text in order)
    )
    for segment, row in zip(found.segments[::1009], both[:67217:1009], strict=True):
        assert order[segment.targets[0]] == f"{row['verb_class']}:{row['noun_class']}"


def test_epic100_frame_numbers_and_timestamps_agree(lists: Path, tmp_path: Path) -> None:
    folder = lists / "epic100"
    timed = open_part("epic100", lists, folder, "eval", options={"heads": ["verb"]})
    for name in ("EPIC_100_verb_classes.csv", "EPIC_100_noun_classes.csv"):
        (tmp_path / name).symlink_to(folder / name)
    columns = ("narration_id", "video_id", "start_frame", "stop_frame", "verb_class", "noun_class")
    with (tmp_path / "EPIC_100_validation.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows(folder / "EPIC_100_validation.csv"))
    counted = open_part("epic100", lists, tmp_path, "eval", options={"heads": ["verb"]})
    for by_time, by_frame in zip(timed.segments, counted.segments, strict=True):
        assert abs(by_time.start_s - by_frame.start_s) < 0.021
        assert abs((by_time.end_s or 0) - (by_frame.end_s or 0)) < 0.021


@pytest.mark.parametrize(("classes", "count"), [(400, 19906), (600, 30000)])
def test_kinetics_validation(lists: Path, classes: int, count: int) -> None:
    folder = lists / "kinetics"
    found = open_part(
        "kinetics",
        lists,
        folder,
        "eval",
        options={
            "eval_list": f"kinetics-{classes}_val.csv",
            "labels": f"label_map_k{classes}.txt",
            "files": "{label}/{id}_{start:06d}_{end:06d}.mp4",
        },
    )
    expected = rows(folder / f"kinetics-{classes}_val.csv")
    assert len(found.segments) == len(expected) == count
    labels = found.groups[0].labels
    assert len(labels) == classes
    assert [labels[s.targets[0]] for s in found.segments] == [row["label"] for row in expected]
    first = expected[0]
    stem = f"{first['youtube_id']}_{int(first['time_start']):06d}_{int(first['time_end']):06d}"
    assert found.segments[0].path == lists / first["label"] / f"{stem}.mp4"


def test_kinetics_labels_without_a_file_are_in_alphabetical_order(lists: Path) -> None:
    folder = lists / "kinetics"
    found = open_part("kinetics", lists, folder / "kinetics-400_val.csv", "eval", options={})
    expected = (folder / "label_map_k400.txt").read_text().splitlines()
    assert list(found.groups[0].labels) == expected


def test_ssv2_validation(lists: Path) -> None:
    folder = lists / "sthv2"
    found = open_part("ssv2", lists, folder, "eval", options={})
    expected = json.loads((folder / "something-something-v2-validation.json").read_text())
    assert len(found.segments) == len(expected) == 24777
    assert found.directional
    labels = found.groups[0].labels
    assert list(labels) == (folder / "label_map.txt").read_text().splitlines()
    for segment, entry in zip(found.segments[::499], expected[::499], strict=True):
        assert segment.path == lists / f"{entry['id']}.webm"
        template = entry["template"].replace("[something]", "something")
        assert (
            labels[segment.targets[0]].lower() == template.replace("[", "").replace("]", "").lower()
        )


@pytest.mark.parametrize(
    ("split", "train", "held"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)]
)
def test_ucf101(lists: Path, split: int, train: int, held: int) -> None:
    parts = open_split(
        "ucf101",
        lists,
        Path("ucf101"),
        options={"split": split},
        train_filters=(),
        eval_filters=(),
        eval_share=0.2,
        seed=0,
    )
    assert [len(found.segments) for found in parts] == [train, held]
    assert train + held == 13320
    for found in parts:
        labels = found.groups[0].labels
        assert len(labels) == 101 and (labels[0], labels[-1]) == ("ApplyEyeMakeup", "YoYo")
        assert all(s.name.startswith(f"{labels[s.targets[0]]}/v_") for s in found.segments)


@pytest.mark.parametrize(
    ("which", "file", "count"),
    [("train", "jester-v1-train.csv", 118562), ("eval", "jester-v1-validation.csv", 14787)],
)
def test_jester(lists: Path, which: Part, file: str, count: int) -> None:
    found = open_part("jester", lists, lists / "jester", which, options={})
    lines = (lists / "jester" / file).read_text().split("\n")[:count]
    labels = found.groups[0].labels
    assert len(found.segments) == count and len(labels) == 27
    assert found.directional and found.storage == FrameFolders("{:05d}.jpg", 1, 12.0)
    assert [f"{s.name};{labels[s.targets[0]]}" for s in found.segments] == lines


def test_frames_of_a_real_index(test_data: Path) -> None:
    root = test_data / "rawframes" / "raivokoot_demo" / "demo_dataset"
    found = open_part("frames", root, Path("annotations.txt"), "eval", options={"fps": 10.0})
    assert found.storage == FrameFolders("img_{:05d}.jpg", 1, 10.0)
    assert found.groups[0].labels == ("0", "1")
    assert [s.targets for s in found.segments] == [(0,), (0,), (1,), (1,)]
    for segment in found.segments:
        pictures = len(list(segment.path.glob("img_*.jpg")))
        assert (segment.start_s, segment.end_s) == (0.0, pictures / 10)


def test_frames_with_several_labels(test_data: Path) -> None:
    folder = test_data / "rawframes" / "raivokoot_demo"
    found = open_part(
        "frames",
        folder / "demo_dataset",
        folder / "demo_dataset_multilabel" / "annotations.txt",
        "eval",
        options={"multi_label": True},
    )
    assert found.multi_label and not found.groups[0].exclusive
    assert [s.targets for s in found.segments] == [(0, 2, 4), (0, 1, 3), (1, 1, 2), (1, 3, 3)]


def test_yoga6_folds(test_data: Path) -> None:
    train, held = open_split(
        "csv",
        test_data / "yoga6",
        Path("clips.csv"),
        options={},
        train_filters=("fold!=0",),
        eval_filters=("fold=0",),
        eval_share=0.2,
        seed=0,
    )
    expected = rows(test_data / "yoga6" / "clips.csv")
    assert len(held.segments) == sum(row["fold"] == "0" for row in expected)
    assert len(train.segments) + len(held.segments) == len(expected) == 97
