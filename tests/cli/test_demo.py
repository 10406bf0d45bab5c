from __future__ import annotations

import json
from pathlib import Path

import pytest

from effvit_edge.cli import demo
from effvit_edge.cli.main import main
from effvit_edge.core.motion import LABELS
from tests.tiny_models import tiny_card, write_model
from tests.videos import decoded, stated_times

FRAMES_PER_SEGMENT = 6


@pytest.fixture
def short_film(monkeypatch: pytest.MonkeyPatch) -> None:
    """A film of a fifth of a second for each motion."""
    monkeypatch.setattr(demo, "_SEGMENT_SECONDS", FRAMES_PER_SEGMENT / 30)
    monkeypatch.setattr(demo, "_SETTLE_SECONDS", 0.1)


@pytest.mark.usefixtures("short_film")
def test_demo_leaves_film_truth_labels_and_figures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model.onnx", tiny_card("stream", 15, LABELS))
    output = tmp_path / "demo"
    assert main(["demo", "--output", str(output), "--model", str(model), "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert sorted(path.name for path in output.iterdir()) == [
        "film.mp4",
        "labelled.mp4",
        "labels.jsonl",
        "truth.jsonl",
    ]
    truth = [json.loads(line) for line in (output / "truth.jsonl").read_text().splitlines()]
    records = [json.loads(line) for line in (output / "labels.jsonl").read_text().splitlines()]
    assert len(truth) == len(LABELS) * FRAMES_PER_SEGMENT
    assert {shown["label"] for shown in truth} == set(LABELS)
    assert [shown["time_s"] for shown in truth] == pytest.approx(
        stated_times(output / "film.mp4"), abs=1e-5
    )
    with decoded(output / "labelled.mp4") as (stream, frames):
        assert (stream.width, stream.height, len(frames)) == (480, 360, len(truth))
    settled = [
        record["label"] == truth[record["frame"]]["label"]
        for record in records
        if record["frame"] % FRAMES_PER_SEGMENT >= 3
    ]
    assert figures["settled"] == {"right": sum(settled), "total": len(settled)}
    assert figures["ends"]["total"] == len(LABELS)


@pytest.mark.usefixtures("short_film")
def test_demo_tells_the_accuracy_and_what_to_do_next(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model.onnx", tiny_card("stream", 15, LABELS))
    assert main(["demo", "-o", str(tmp_path / "demo"), "-m", str(model)]) == 0
    out, err = capfd.readouterr()
    assert err.splitlines()[1:] == ["Rendering the film, then labelling it"]
    for label in (*LABELS, "all"):
        assert f"\n  {label} " in out
    assert str(tmp_path / "demo" / "labelled.mp4") in out
    assert "effvit-edge label VIDEO.mp4" in out


def test_a_model_of_something_else_is_refused_before_anything_is_rendered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model.onnx", tiny_card("stream"))
    assert main(["demo", "--output", str(tmp_path / "demo"), "--model", str(model)]) == 2
    assert "dark, light, reddish" in capfd.readouterr().err
    assert not (tmp_path / "demo").exists()
