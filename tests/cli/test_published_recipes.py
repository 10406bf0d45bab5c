"""The recipes for EPIC-KITCHENS-100 run from list to evaluation, on a set of two small videos.

Everything of a recipe that decides what is computed stays as it is (sampling, mixing, precision,
optimiser, evaluation); sizes, lengths and the start are small.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.cli.main import main
from tests.videos import write_video

MODELS = Path(__file__).resolve().parents[2] / "models"
SMALL = [
    "model.init=null",
    "model.options.head_widths=[16, 16]",
    "input.height=32",
    "input.width=32",
    "optim.epochs=1",
    "optim.warmup_epochs=0",
    "optim.batch_size=4",
    "optim.accumulate=2",
    "eval.every_epochs=0",
    "speed.workers=0",
    "speed.device=cpu",
]
HEADER = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class"
SEGMENTS = ["00:00:00.10,00:00:03.40,0,1", "00:00:01.00,00:00:03.90,1,0"]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of four seconds in the published arrangement, each with two actions."""
    root = tmp_path_factory.mktemp("epic")
    lists = root / "epic-kitchens-100-annotations"
    lists.mkdir()
    for kind, names in (("verb", ("take", "put")), ("noun", ("plate", "pan"))):
        rows = [f"{number},{name}" for number, name in enumerate(names)]
        (lists / f"EPIC_100_{kind}_classes.csv").write_text(
            "\n".join(["id,key", *rows]) + "\n", "utf-8"
        )
    for part, video in (("train", "P01_01"), ("validation", "P02_01")):
        rows = [f"{video}_{i},{video},{segment}" for i, segment in enumerate(SEGMENTS)]
        (lists / f"EPIC_100_{part}.csv").write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
        folder = root / video.partition("_")[0] / "videos"
        folder.mkdir(parents=True)
        frames = [np.full((48, 64, 3), 20 + t, np.uint8) for t in range(120)]
        write_video(folder / f"{video}.MP4", frames, fps=30)
    return root


@pytest.mark.parametrize("recipe", ["b0_224", "b0_stream", "frames_b1_288"])
def test_a_recipe_runs_from_the_list_to_the_figures(
    recipe: str, kitchen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(MODELS / "epic100" / f"{recipe}.yaml"), "--output", str(tmp_path)]
    for override in (f"data.root={kitchen}", *SMALL):
        command += ["--set", override]
    assert main([*command, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 1
    assert figures["sequences"] == 2
    evaluation = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    assert evaluation["labels"] == ["take pan", "put plate"]  # in the order of "0:1" and "1:0"
    assert {"verb", "noun"} == evaluation["marginal"].keys()
