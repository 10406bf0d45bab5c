"""The demo model that the repository ships, held to what the README says of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.demo_model.__main__ import answers, score_clips, score_steady
from benchmarks.demo_model.footage import SPEEDS, load_pictures, sampled_window
from effvit_edge.cli.main import main
from effvit_edge.core.motion import LABELS
from effvit_edge.runtime import Session, open_session
from effvit_edge.train.recipe import load_recipe, parse_recipe

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "models" / "demo.onnx"
RESULTS = REPOSITORY / "benchmarks" / "results" / "demo-model"


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with open_session(str(MODEL), provider="cpu") as opened:
        yield opened


def test_it_is_the_only_model_and_small() -> None:
    assert [path.name for path in MODEL.parent.glob("*.onnx")] == ["demo.onnx"]
    assert MODEL.stat().st_size <= 12e6


def test_its_card_names_the_recipe_beside_it(session: Session) -> None:
    card = session.card
    assert card.mode == "stream"
    assert card.labels == LABELS
    assert card.network["causal"] is True
    recipe = load_recipe(MODEL.with_suffix(".yaml"))
    trained_by = card.provenance["recipe"]
    digest = hashlib.sha256(json.dumps(trained_by, sort_keys=True).encode()).hexdigest()
    assert card.provenance["recipe_hash"] == digest
    # Keys that came later have defaults that do what was done before they came.
    assert parse_recipe(trained_by).hash() == recipe.hash()  # type: ignore[arg-type]
    assert card.provenance["steps"] == recipe.optim.steps


def test_it_answers_as_the_network_it_was_exported_from(session: Session) -> None:
    with np.load(MODEL.parent / "demo.verify.npz", allow_pickle=False) as recorded:
        clips, expected = recorded["clips"], recorded["logits"]
    for clip, logits in zip(clips, expected, strict=True):
        state = session.init_state()
        for frame, wanted in zip(clip, logits, strict=True):
            found, state = session.step(frame, state)
            assert np.abs(found - wanted).max() <= 1e-4


@pytest.mark.parametrize("speed", SPEEDS)
def test_it_is_right_on_real_footage_after_48_frames(
    session: Session, test_data: Path, speed: float
) -> None:
    pictures = list(load_pictures(test_data, every=7))
    report = score_clips(session, pictures, speed)
    assert report.sequences >= 9 * 20
    assert report.score >= 0.97, report.to_dict()["errors"]


@pytest.mark.parametrize("speed", SPEEDS)
def test_it_stays_right_over_thirty_seconds(
    session: Session, test_data: Path, speed: float
) -> None:
    pictures = list(load_pictures(test_data, every=50))
    steady = score_steady(session, pictures, speed)
    assert steady["frames_right"] >= 0.97
    assert steady["right_in_last_second"] == 1.0


def test_its_answers_do_not_fade_ten_windows_in(session: Session) -> None:
    """A stream lives in the steady state, which short clips never reach."""
    metrics = session.card.provenance["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["long_sequences"] >= 100
    assert metrics["ten_windows_top1"] >= metrics["first_window_top1"] - 0.01


def test_mirrored_footage_mirrors_the_answer(session: Session, test_data: Path) -> None:
    """Whatever is in the picture, its mirror image moves the other way."""
    picture = next(iter(load_pictures(test_data)))
    size, fps = session.card.preprocess.height, session.card.fps
    mirror = {"left": "right", "right": "left", "clockwise": "counterclockwise", "up": "up"}
    for label, other in mirror.items():
        frames = sampled_window(picture, label, SPEEDS[1], 1.6, size, fps)
        flipped = np.ascontiguousarray(frames[:, :, ::-1])
        assert LABELS[answers(session, frames)[-1]] == label
        assert LABELS[answers(session, flipped)[-1]] == other


def test_a_network_without_a_past_cannot_tell_motion() -> None:
    """The recorded run of the per-frame network, trained the same way (models/motion_2d.yaml)."""
    recorded = json.loads((RESULTS / "motion_2d.json").read_text("utf-8"))
    for speed in SPEEDS:
        assert recorded[f"speed_{speed:g}"]["top1"] <= 0.20


def test_the_demo_is_right_about_its_film(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo"), "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)
    settled = figures["settled"]
    assert settled["right"] / settled["total"] >= 0.9
