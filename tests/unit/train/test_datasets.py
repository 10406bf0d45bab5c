from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import SegmentList
from effvit_edge.data.types import iterate
from effvit_edge.train import datasets
from effvit_edge.train.datasets import build_data, data_notes
from tests.unit.train.recipes import tiny_recipe
from tests.videos import write_video


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of three videos of 8 frames, whose left half is dark."""
    root = tmp_path_factory.mktemp("videos")
    picture = np.zeros((48, 48, 3), np.uint8)
    picture[:, 24:] = 200
    for label in ("a", "b"):
        (root / label).mkdir()
        for number in range(3):
            write_video(root / label / f"{number}.mp4", [picture] * 8, fps=10)
    return root


def make_recipe(root: Path, tmp_path: Path, **sections: dict[str, Any]) -> Any:
    data = {"kind": "videos", "root": str(root), **sections.pop("data", {})}
    return tiny_recipe(tmp_path, data=data, **sections)


def test_causal_networks_are_asked_frame_by_frame(root: Path, tmp_path: Path) -> None:
    clips, sequences = build_data(make_recipe(root, tmp_path))
    assert clips[0][0].shape == (6, 32, 32, 3) and clips.epoch_clips == 4
    assert [item.frames.shape for item in iterate(sequences)] == [(8, 32, 32, 3)] * 2


def test_centred_networks_are_shown_views(root: Path, tmp_path: Path) -> None:
    recipe = make_recipe(
        root,
        tmp_path,
        model={"causal": False, "num_frames": 4},
        input={"frames": 4, "sampling": "uniform"},
        eval={"clips": 2, "crops": 3},
    )
    _, sequences = build_data(recipe)
    assert [item.frames.shape for item in iterate(sequences)] == [(6, 4, 32, 32, 3)] * 2


def test_an_image_preset_takes_single_frames(root: Path, tmp_path: Path) -> None:
    recipe = make_recipe(root, tmp_path, model={"preset": "efficientvit_b0"}, input={"frames": 1})
    recipe = replace(recipe, model=replace(recipe.model, causal=False))
    clips, sequences = build_data(recipe)
    frames, targets = clips[0]
    assert frames.shape == (1, 32, 32, 3) and targets.shape == (1, 1)
    assert next(iterate(sequences)).frames.shape == (8, 32, 32, 3)
    assert not data_notes(recipe, clips)


@pytest.mark.parametrize(
    ("directional", "flip", "mirrored"),
    [(False, None, True), (True, None, False), (True, 0.5, True), (False, 0.0, False)],
)
def test_sets_where_direction_is_the_label_are_not_mirrored(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    directional: bool,
    flip: float | None,
    mirrored: bool,
) -> None:
    def open_split(*args: Any, **keywords: Any) -> tuple[SegmentList, ...]:
        parts = original(*args, **keywords)
        return tuple(replace(part, directional=directional) for part in parts)

    original = datasets.open_split
    monkeypatch.setattr(datasets, "open_split", open_split)
    augment = {"scale": [1.0, 1.0], "aspect": [1.0, 1.0], "color": 0.0, "flip": flip}
    clips, _ = build_data(make_recipe(root, tmp_path, augment=augment))
    dark_left = {bool(clips[n][0][..., :10, :].mean() < 100) for n in range(24)}
    assert dark_left == ({True, False} if mirrored else {True})


def test_missing_files_count_as_failed(root: Path, tmp_path: Path) -> None:
    """Of the five rows for training, one names a file that is not there."""
    rows = [f"{path.relative_to(root)},{path.parent.name},train" for path in root.rglob("*.mp4")]
    rows = [*rows[:4], "a/gone.mp4,a,train", *(row.replace("train", "test") for row in rows[4:])]
    lines = "path,label,split\n" + "\n".join(rows) + "\n"
    (root / "gone.csv").write_text(lines, encoding="utf-8")
    data = {
        "set": "csv",
        "annotations": "gone.csv",
        "train": ["split=train"],
        "eval": ["split=test"],
    }
    clips, _ = build_data(make_recipe(root, tmp_path, data={**data, "max_failed_share": 0.2}))
    assert clips.epoch_clips == 4 and "gone.mp4" in clips.failures[0]
    with pytest.raises(InputError, match=r"1 of 5 segments are missing .* allows 10%"):
        build_data(make_recipe(root, tmp_path, data=data))


def test_every_segment_of_a_missing_file_counts(root: Path, tmp_path: Path) -> None:
    """Two segments of six are in a file that is not there: a third, though one file of five."""
    there = [str(path.relative_to(root)) for path in sorted(root.rglob("*.mp4"))[:4]]
    rows = ["path,label,split,start,end", "gone.mp4,a,train,0,1", "gone.mp4,a,train,1,2"]
    for path in there:
        rows += [f"{path},{path[0]},train,0,1", f"{path},{path[0]},test,1,2"]
    (root / "segments.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = {
        "set": "csv",
        "annotations": "segments.csv",
        "train": ["split=train"],
        "eval": ["split=test"],
    }
    with pytest.raises(InputError, match=r"2 of 6 segments are missing .* allows 30%"):
        build_data(make_recipe(root, tmp_path, data={**data, "max_failed_share": 0.3}))


def test_notes(root: Path, tmp_path: Path) -> None:
    recipe = make_recipe(root, tmp_path, model={"num_frames": 2}, input={"frames": 6})
    clips, _ = build_data(recipe)
    assert data_notes(recipe, clips) == []
    steady = make_recipe(root, tmp_path, model={"num_frames": 4}, input={"frames": 8})
    clips, _ = build_data(steady)
    (note,) = data_notes(steady, clips)
    assert note.startswith("input.frames is 8, less than 3 windows of model.num_frames, 4")


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_clips_longer_than_every_video_are_refused(
    root: Path, tmp_path: Path, cache_gb: float
) -> None:
    data = {"cache_gb": cache_gb}
    with pytest.raises(
        InputError,
        match=r"input\.frames is 9, and the longest of 4 training videos, ./..mp4, has 8 at "
        r"input\.fps, 10\. Lower input\.frames to 8, or raise",
    ):
        build_data(make_recipe(root, tmp_path, input={"frames": 9}, data=data))
    uniform = {"frames": 9, "sampling": "uniform"}
    model = {"causal": False, "num_frames": 9}
    clips, _ = build_data(make_recipe(root, tmp_path, input=uniform, model=model))
    assert clips[0][0].shape[0] == 9


def test_videos_shorter_than_a_clip_are_counted(root: Path, tmp_path: Path) -> None:
    """Those of class c have three frames."""
    for label in "ab":
        (tmp_path / label).symlink_to(root / label)
    (tmp_path / "c").mkdir()
    for number in range(3):
        write_video(tmp_path / "c" / f"{number}.mp4", [np.zeros((48, 48, 3), np.uint8)] * 3, fps=10)
    recipe = make_recipe(tmp_path, tmp_path / "run", input={"frames": 6})
    clips, _ = build_data(recipe)
    (note,) = data_notes(recipe, clips)
    assert re.match(r"2 of 6 training videos, such as c/..mp4 with 3, have fewer than input", note)


def test_a_single_class_is_noted(root: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").symlink_to(root / "a")
    recipe = make_recipe(tmp_path / "one", tmp_path)
    clips, _ = build_data(recipe)
    assert data_notes(recipe, clips)[0].startswith("Every clip has the label 'a', the only one")
