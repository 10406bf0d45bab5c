from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from effvit_edge.cli.main import main
from tests.numbered import write_numbered

MODELS = Path(__file__).resolve().parents[2] / "models"
SMALL = (
    "model.num_frames=2",
    "model.options={head_widths: [16, 16]}",
    "input={height: 32, width: 32, fps: 10, frames: 6}",
    "optim={lr: 0.003, batch_size: 2, steps: 2}",
    "speed.workers=0",
    "eval.every=0",
    "output.tensorboard=false",
)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two classes of three videos."""
    root = tmp_path / "my clips"
    for label in ("dark", "light"):
        for number in range(3):
            write_numbered(root / label / f"{number}.mp4", 12 + number, fps=10)
    return root


def run(clips: Path, *arguments: str, recipe: str = "folder.yaml") -> int:
    sets = [part for each in (f"data.root={clips}", *SMALL) for part in ("--set", each)]
    return main(["prepare", str(MODELS / recipe), *sets, *arguments])


def test_prepare_then_train_by_the_command_that_it_prints(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "prepared clips"
    assert run(clips, "--output", str(folder), "--workers", "1", "--json") == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert output.err == ""
    assert (report["train"]["segments"], report["eval"]["segments"]) == (4, 2)
    assert report["form"]["short_side"] == 46  # 1.43 times 32
    shutil.rmtree(clips)
    program, *arguments = shlex.split(report["next"])
    assert program == "effvit-edge"
    result = tmp_path / "run"
    assert main([*arguments, "--output", str(result), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["steps"], figures["sequences"]) == (2, 2)


def test_a_recipe_that_shows_more_than_was_kept_is_refused(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert run(clips, "--output", str(folder), "--max-fps", "10", "--json") == 0
    following = json.loads(capsys.readouterr().out)["next"]
    for change, sentence in (
        ("input.height=64", "a short side (pixels) of 46, and the recipe needs 64"),
        ("input.fps=12", "a rate (frames a second) of 10, and the recipe needs 12"),
        ("input.lead_s=1", "a lead (seconds) of 0, and the recipe needs 1"),
    ):
        arguments = [*shlex.split(following)[1:], "--set", change]
        assert main([*arguments, "--output", str(tmp_path / "run")]) == 2
        assert sentence in capsys.readouterr().err


def test_given_again_it_has_nothing_to_do(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert run(clips, "--output", str(folder), "--workers", "1") == 0
    first = capsys.readouterr().out
    assert first.startswith("train: 4 segments of 5 s together, 5")
    assert "Next: effvit-edge train " in first
    assert run(clips, "--output", str(folder), "--workers", "1") == 0
    assert capsys.readouterr().out == first


def test_what_could_not_be_prepared_is_told_and_ends_with_1(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "dark" / "0.mp4").write_bytes(b"\0" * 3000)
    assert run(clips, "--output", str(tmp_path / "out"), "--workers", "1") == 1
    told = capsys.readouterr().err
    assert told.startswith("left out: dark/0.mp4 (")
    assert "0.mp4 cannot be opened as a video" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give --output"),
        (("--output", "x", "--full"), "--full is for --check"),
        (("--output", "x", "--root", "y"), "--root belongs to --dataset"),
        (("--check", "--output", "x"), "--output is for preparing"),
        (("--check", "--dataset", "folder"), "--set belongs to a recipe"),
        (("--output", "x", "--short-side", "20"), "--short-side 20 is less than the recipe shows"),
        (("--output", "x", "--max-fps", "5"), "--max-fps 5 is less than the recipe shows, 10"),
    ],
)
def test_what_does_not_go_together_is_refused(
    clips: Path,
    arguments: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(clips, *arguments) == 2
    assert sentence in capsys.readouterr().err


def test_without_a_recipe_or_a_set_it_says_what_to_give(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prepare"]) == 2
    assert "Give a recipe" in capsys.readouterr().err
    assert main(["prepare", "--check", "--dataset", "folder"]) == 2
    assert "Give --root" in capsys.readouterr().err
    assert main(["prepare", str(MODELS / "demo.yaml"), "--output", "x"]) == 2
    assert "renders its data while training" in capsys.readouterr().err


def test_check_by_recipe_and_by_name(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(clips, "--check", "--workers", "1") == 0
    by_recipe = capsys.readouterr().out
    assert main(["prepare", "--check", "--dataset", "folder", "--root", str(clips)]) == 0
    assert capsys.readouterr().out == by_recipe
    assert by_recipe.endswith("folder: sound; beginnings and ends were decoded.\n")
    assert run(clips, "--check", "--full", "--workers", "1", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["parts"]["all"]["classes"] == {"label": {"dark": 3, "light": 3}}
    assert (report["sound"], report["full"]) == (True, True)


def test_check_of_a_set_that_is_not_sound_ends_with_1(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "dark" / "0.mp4").write_bytes(b"\0" * 3000)
    assert run(clips, "--check", "--workers", "1") == 1
    told = capsys.readouterr().out
    assert "1 unreadable" in told and "folder: not sound" in told
