"""Sets whose lists cannot be had here, written in the published format at the published size."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import ChunkFolders, Segment, SegmentList, VideoFiles
from effvit_edge.data.sets import Part, drop_missing, find_set, list_sets, open_part


def part(name: str, folder: Path, which: Part = "eval", **options: Any) -> SegmentList:
    return open_part(name, folder, folder, which, options=options)


@pytest.fixture
def hmdb(tmp_path: Path) -> Path:
    """As published: 51 classes, 6,766 videos, 70 of a class for training and 30 for testing."""
    for split in (1, 2, 3):
        for number in range(51):
            label = f"class_{number:02d}"
            count = 133 if number < 34 else 132
            flags = [1] * 70 + [2] * 30 + [0] * (count - 100)
            shifted = flags[split * 5 :] + flags[: split * 5]
            lines = [
                f"(Film)_no.{i}_{label}_f_cm_np1.avi {flag} " for i, flag in enumerate(shifted)
            ]
            (tmp_path / f"{label}_test_split{split}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("split", [1, 2, 3])
def test_hmdb51(hmdb: Path, split: int) -> None:
    train = part("hmdb51", hmdb, "train", split=split)
    held = part("hmdb51", hmdb, "eval", split=split)
    assert [len(found.segments) for found in (train, held)] == [3570, 1530]
    assert len(train.groups[0].labels) == 51 and train.groups == held.groups
    assert not {s.name for s in train.segments} & {s.name for s in held.segments}
    # The flag before the blank that ends a line in the published files.
    first = (hmdb / f"class_00_test_split{split}.txt").read_text().splitlines()
    expected = [line.split()[0] for line in first if line.split()[1] == "2"]
    assert [s.path for s in held.segments[:30]] == [hmdb / "class_00" / name for name in expected]


def test_hmdb51_refuses_other_flags(hmdb: Path) -> None:
    (hmdb / "class_07_test_split1.txt").write_text("a.avi 1\nb.avi 3\n")
    with pytest.raises(InputError, match=r"class_07_test_split1\.txt, line 2: expected 'NAME"):
        part("hmdb51", hmdb)
    with pytest.raises(InputError, match=r"has no files CLASS_test_split1\.txt"):
        part("hmdb51", hmdb.parent)


def test_ssv2_training(tmp_path: Path) -> None:
    templates = {f"Moving [something] to place {number}": number for number in range(174)}
    entries = [
        {
            "id": str(number + 1),
            "label": "moving a cup",
            "template": f"Moving [something] to place {number % 174}",
            "placeholders": ["a cup"],
        }
        for number in range(168_913)
    ]
    (tmp_path / "train.json").write_text(json.dumps(entries))
    (tmp_path / "labels.json").write_text(
        json.dumps({k.replace("[something]", "something"): str(v) for k, v in templates.items()})
    )
    found = part("ssv2", tmp_path, "train", suffix=".mp4")
    assert len(found.segments) == 168_913 and len(found.groups[0].labels) == 174
    assert found.directional
    assert found.segments[175] == Segment("176", tmp_path / "176.mp4", (1,))


@pytest.fixture
def dives(tmp_path: Path) -> Path:
    vocab = [["Back", f"{number}som", "NoTwis", "PIKE"] for number in range(48)]
    (tmp_path / "Diving48_vocab.json").write_text(json.dumps(vocab))
    for kind, count in (("train", 15_027), ("test", 1_970)):
        entries = [
            {"vid_name": f"{kind}_{n:05d}", "label": n % 48, "start_frame": 0, "end_frame": 100}
            for n in range(count)
        ]
        (tmp_path / f"Diving48_V2_{kind}.json").write_text(json.dumps(entries))
    return tmp_path


def test_diving48(dives: Path) -> None:
    train, held = part("diving48", dives, "train"), part("diving48", dives, "eval")
    assert [len(found.segments) for found in (train, held)] == [15_027, 1_970]
    assert train.groups[0].labels[2] == "Back+2som+NoTwis+PIKE" and not train.directional
    assert held.segments[49] == Segment("test_00049", dives / "test_00049.mp4", (1,))


def test_diving48_labels_are_those_of_the_real_list(test_data: Path, tmp_path: Path) -> None:
    labels = (test_data / "annotations" / "diving48" / "label_map.txt").read_text().splitlines()
    vocab = [label.split("+") for label in labels]
    (tmp_path / "Diving48_vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "Diving48_V2_test.json").write_text('[{"vid_name": "a_00000", "label": 47}]')
    found = part("diving48", tmp_path)
    assert list(found.groups[0].labels) == labels and found.segments[0].targets == (47,)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[{"vid_name": "a", "label": 48}]', "object 1: class 48 is out of range; "),
        ('[{"vid_name": "a", "label": 1}, {"label": 1}]', "object 2: 'vid_name' is not text"),
        ('[{"vid_name": "a", "label": "1"}]', "object 1: 'label' is not a whole number"),
        ('[{"vid_name": "a", "label": 1}, {"vid_name": "a", "label": 2}]', "is already object 1"),
        ('[{"vid_name": "a",\n "label": }]', "line 2: not JSON"),
        ("{}", "does not hold a list of objects"),
    ],
)
def test_json_that_cannot_be_used(dives: Path, content: str, sentence: str) -> None:
    (dives / "Diving48_V2_test.json").write_text(content)
    with pytest.raises(InputError) as caught:
        part("diving48", dives)
    assert sentence in str(caught.value)


def test_msrdaily(tmp_path: Path) -> None:
    train, held = part("msrdaily", tmp_path, "train"), part("msrdaily", tmp_path, "eval")
    assert len(train.segments) == len(held.segments) == 160
    assert len(train.groups[0].labels) == 16
    names = {segment.path.name for segment in train.segments + held.segments}
    assert len(names) == 320 and {"a01_s01_e01_rgb.avi", "a16_s10_e02_rgb.avi"} <= names
    assert {segment.name[5:7] for segment in held.segments} == {"02", "04", "06", "08", "10"}
    [sitting] = [s for s in train.segments if s.name == "a16_s09_e02"]
    assert train.groups[0].labels[sitting.targets[0]] == "sit down"
    other = part("msrdaily", tmp_path, "train", train_subjects=[1, 2, 3, 4, 5])
    assert {segment.name[5:7] for segment in other.segments} == {"01", "02", "03", "04", "05"}
    with pytest.raises(InputError, match="takes some of 1 to 10, and not all"):
        part("msrdaily", tmp_path, train_subjects=[11])


def kinetics(folder: Path, rows: list[tuple[str, str, int]], file: str = "val.csv") -> None:
    with (folder / file).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("label", "youtube_id", "time_start", "time_end", "split"))
        writer.writerows((label, name, start, start + 10, "val") for label, name, start in rows)


@pytest.mark.parametrize(
    ("classes", "clips"),
    [  # training clips by https://docs.voxel51.com/dataset_zoo: of 400 and 600 classes as CVDF
        # hosts them, of 700 as first published in 2020
        (400, 246_534),
        pytest.param(600, 427_549, marks=pytest.mark.slow),
        pytest.param(700, 542_352, marks=pytest.mark.slow),
    ],
)
def test_kinetics_training_list(tmp_path: Path, classes: int, clips: int) -> None:
    rows = [(f"label {n % classes:03d}", f"id{n:07d}xx", n % 300) for n in range(clips)]
    kinetics(tmp_path, rows, "train.csv")
    found = part("kinetics", tmp_path, "train", files="{label_}/{id}.mp4")
    assert len(found.segments) == clips and len(found.groups[0].labels) == classes
    number = classes + 1
    assert found.segments[number] == Segment(
        f"id{number:07d}xx_{number % 300:06d}_{number % 300 + 10:06d}",
        tmp_path / "label_001" / f"id{number:07d}xx.mp4",
        (1,),
    )


@pytest.mark.parametrize(
    "place",
    [
        "ride a bike/abc_000007_000017.mp4",
        "val/ride_a_bike/abc_000007_000017.mkv",
        "abc_000007_000017.mp4",
        "ride a bike/abc.webm",
        "abc.mp4",
    ],
)
def test_kinetics_finds_clips_as_they_are_named(tmp_path: Path, place: str) -> None:
    kinetics(tmp_path, [("ride a bike", "abc", 7)])
    for name in (place, "another/abc.mp4", "another/abc_000008_000018.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    [segment] = part("kinetics", tmp_path).segments
    if place == "abc.mp4":  # nothing tells it from the other
        assert segment.path.name == "abc.mp4"
    else:
        assert segment.path == tmp_path / place
    assert (segment.start_s, segment.end_s) == (0.0, None)


def test_kinetics_whole_videos_and_what_is_missing(tmp_path: Path) -> None:
    kinetics(tmp_path, [("run", "abc", 7), ("run", "xyz", 1)])
    (tmp_path / "abc.mp4").touch()
    found = part("kinetics", tmp_path, trimmed=False)
    assert [(s.start_s, s.end_s) for s in found.segments] == [(7.0, 17.0), (1.0, 11.0)]
    kept, sentences = drop_missing(found)
    assert kept.segments == found.segments[:1]
    lost = tmp_path / "run" / "xyz_000001_000011.mp4"
    assert sentences == (f"There is no file {lost}, which segment '{lost.stem}' needs.",)


def test_one_kinetics_file_tells_its_parts_by_a_column(tmp_path: Path) -> None:
    text = "label,youtube_id,time_start,time_end,split\nrun,a,0,10,train\nsit,b,0,10,val\n"
    (tmp_path / "all.csv").write_text(text)
    parts: tuple[tuple[Part, list[str]], ...] = (
        ("train", ["a_000000_000010"]),
        ("eval", ["b_000000_000010"]),
    )
    for which, names in parts:
        found = open_part("kinetics", tmp_path, Path("all.csv"), which, options={})
        assert [segment.name for segment in found.segments] == names
        assert found.groups[0].labels == ("run", "sit")


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ([("run", "a", 0), ("sit", "a", 0)], {}, "line 3: 'a_000000_000010' is already line 2"),
        ([("", "a", 0)], {}, "line 2: label or youtube_id is empty"),
        ([("run", "a", -3)], {}, "line 2: '-3' is not a time"),
        ([("run", "a", 0)], {"files": "{name}.mp4"}, "cannot be filled in"),
        ([("run", "a", 0)], {"labels": "two.txt"}, "'run' is not among the 2 classes of"),
        ([("run", "a", 0)], {"eval_list": "vall.csv"}, "There is no file"),
    ],
)
def test_kinetics_lists_that_cannot_be_used(
    tmp_path: Path, rows: list[tuple[str, str, int]], options: dict[str, Any], sentence: str
) -> None:
    kinetics(tmp_path, rows)
    (tmp_path / "two.txt").write_text("sit\nstand\n")
    with pytest.raises(InputError) as caught:
        part("kinetics", tmp_path, **options)
    assert sentence in str(caught.value)


def test_kinetics_does_not_guess_between_lists(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no file \*val\*\.csv; name the list"):
        part("kinetics", tmp_path)
    for name in ("k400_val.csv", "k600_val.csv"):
        kinetics(tmp_path, [("run", "a", 0)], name)
    with pytest.raises(InputError, match=r"2 files \*val\*\.csv: k400_val\.csv, k600_val\.csv"):
        part("kinetics", tmp_path)


@pytest.fixture
def kitchens(tmp_path: Path) -> Path:
    """Three segments of two videos."""
    (tmp_path / "EPIC_100_verb_classes.csv").write_text("id,key,instances,category\n0,take,x,y\n")
    (tmp_path / "EPIC_100_noun_classes.csv").write_text(
        "id,key,instances,category\n0,tap,x,y\n1,lid:pot,\"['lid', 'pot']\",y\n"
    )
    head = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    (tmp_path / "EPIC_100_train.csv").write_text(
        f"{head}P01_01_0,P01_01,00:00:01.00,00:00:02.50,0,1\n"
        "P01_01_1,P01_01,00:00:29.00,00:00:31.00,0,0\n"
    )
    (tmp_path / "EPIC_100_validation.csv").write_text(
        f"{head}P02_101_0,P02_101,00:00:01.00,00:00:02.00,0,0\n"
    )
    return tmp_path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    "place", ["P01/videos/P01_01.MP4", "P01/P01_01.MP4", "P01_01.mp4", "P01/videos/P01_01.mp4"]
)
def test_epic100_finds_whole_videos(kitchens: Path, place: str) -> None:
    path = touch(kitchens / place)
    found = part("epic100", kitchens, "train")
    assert found.storage == VideoFiles()
    assert [s.path for s in found.segments] == [path, path]
    assert found.groups[0].labels == ("take tap", "take lid:pot")
    assert [s.targets for s in found.segments] == [(1,), (0,)]


def test_epic100_finds_chunks_and_reports_those_that_are_missing(kitchens: Path) -> None:
    for start in (0, 30, 45):
        touch(kitchens / "P01" / "P01_01.MP4" / f"{start}.MP4")
    found = part("epic100", kitchens, "train")
    assert found.storage == ChunkFolders(15.0, ".MP4")
    kept, sentences = drop_missing(found)
    assert [segment.name for segment in kept.segments] == ["P01_01_0"]
    lost = kitchens / "P01" / "P01_01.MP4" / "15.MP4"
    assert sentences == (f"There is no file {lost}, which segment 'P01_01_1' needs.",)


def test_a_segment_may_end_after_the_last_chunk(kitchens: Path) -> None:
    for start in (0, 15):
        touch(kitchens / "P01" / "P01_01.MP4" / f"{start}.MP4")
    found = part("epic100", kitchens, "train")
    assert drop_missing(found) == (found, ())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("00:00:02.00,0,0", "00:00:00.50,0,0", "line 2: the segment ends at 0.5, but begins at 1"),
        ("00:00:02.00,0,0", "two,0,0", "line 2: 'two' is not a time"),
        ("00:00:02.00,0,0", "00:00:02.00,1,0", "line 2: class 1 is out of range"),
        ("00:00:02.00,0,0", "00:00:02.00,0,many", "noun_class 'many' is not a whole number"),
        ("verb_class", "verb", "has no column 'verb_class'"),
    ],
)
def test_epic100_rows_that_cannot_be_used(
    kitchens: Path, old: str, new: str, sentence: str
) -> None:
    path = kitchens / "EPIC_100_validation.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError) as caught:
        part("epic100", kitchens)
    assert sentence in str(caught.value) and "EPIC_100_validation.csv" in str(caught.value)


def test_epic100_names_the_list_that_is_missing(kitchens: Path) -> None:
    (kitchens / "EPIC_100_train.csv").unlink()
    with pytest.raises(InputError, match=r"EPIC_100_train\.csv; it is had from https://github"):
        part("epic100", kitchens)
    assert len(part("epic100", kitchens, heads=["verb", "noun"]).segments) == 1
    with pytest.raises(InputError, match="each at most once"):
        part("epic100", kitchens, heads=["verb", "verb"])


def test_epic100_keys_must_not_hold_spaces(kitchens: Path) -> None:
    (kitchens / "EPIC_100_verb_classes.csv").write_text("id,key\n0,turn on\n")
    with pytest.raises(InputError, match="'turn on' is no name without spaces"):
        part("epic100", kitchens)


def test_a_root_that_is_the_folder_of_the_lists(kitchens: Path) -> None:
    with pytest.raises(InputError, match="Nothing of what the list names is there"):
        drop_missing(part("epic100", kitchens))


def test_a_missing_video_is_reported_once_with_what_it_costs(kitchens: Path) -> None:
    text = (kitchens / "EPIC_100_train.csv").read_text()
    extra = "P02_101_9,P02_101,00:00:01.00,00:00:02.00,0,0\n"
    (kitchens / "EPIC_100_train.csv").write_text(text + extra)
    touch(kitchens / "P02" / "videos" / "P02_101.MP4")
    kept, sentences = drop_missing(part("epic100", kitchens, "train"))
    assert [segment.name for segment in kept.segments] == ["P02_101_9"]
    lost = kitchens / "P01" / "videos" / "P01_01.MP4"
    assert sentences == (f"There is no file {lost}, which 2 segments need.",)


def test_ucf101_lists_must_agree_with_their_folders(tmp_path: Path) -> None:
    (tmp_path / "classInd.txt").write_text("1 Archery\n2 Biking\n")
    (tmp_path / "trainlist01.txt").write_text("Archery/v_a.avi 1\nBiking/v_b.avi 1\n")
    with pytest.raises(InputError, match=r"line 2: Biking/v_b.avi has class 1, its folder 2"):
        part("ucf101", tmp_path, "train")
    (tmp_path / "testlist01.txt").write_text("Bikin/v_b.avi\n")
    with pytest.raises(InputError, match=r"'Bikin' is not among the 2 .* mean 'Biking'\?"):
        part("ucf101", tmp_path)
    (tmp_path / "classInd.txt").write_text("1 Archery\n2 Archery\n")
    with pytest.raises(InputError, match=r"classInd\.txt names the class 'Archery' twice"):
        part("ucf101", tmp_path)
    (tmp_path / "classInd.txt").write_text("1 Archery\n3 Biking\n")
    with pytest.raises(InputError, match=r"classInd\.txt, line 2: expected '2 NAME'"):
        part("ucf101", tmp_path)


def test_jester_lists_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "jester-v1-labels.csv").write_text("Thumb Up\nThumb Down\n")
    path = tmp_path / "jester-v1-validation.csv"
    for content, sentence in (
        ("1;Thumb Up\n2;Thumb Upp\n", "line 2: 'Thumb Upp' is not among"),
        ("1;Thumb Up\n1;Thumb Down\n", "line 2: '1' is already line 1"),
        ("1,Thumb Up\n", "line 1: expected 2 cells, got 1"),
    ):
        path.write_text(content)
        with pytest.raises(InputError) as caught:
            part("jester", tmp_path)
        assert sentence in str(caught.value)


def test_unknown_sets_and_options_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no set 'ucf11'\. Did you mean 'ucf101'\?"):
        part("ucf11", tmp_path)
    with pytest.raises(InputError, match=r"data\.options\.spilt: .* Did you mean 'split'\?"):
        part("ucf101", tmp_path, spilt=1)
    with pytest.raises(InputError, match=r"data\.options\.split: expected one of 1, 2, 3, got 4"):
        part("ucf101", tmp_path, split=4)


def test_a_missing_folder_of_lists_says_where_they_are_had(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds classInd\.txt.* had from https://www\.crcv"):
        open_part("ucf101", tmp_path, Path("lists"), "eval", options={})


@pytest.mark.parametrize("name", list_sets())
def test_every_set_has_a_card(name: str) -> None:
    card = find_set(name)
    assert card.name == name and card.summary
    assert card.options() == card.options()


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from effvit_edge.data.sets import find_set, list_sets\n"
        "print(len([find_set(name) for name in list_sets()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(list_sets()))]
