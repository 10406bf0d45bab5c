from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import torch

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.data.clips import VideoClips
from effvit_edge.data.sequences import VideoSequences
from effvit_edge.train.checkpoint import load_model
from effvit_edge.train.datasets import build_data
from effvit_edge.train.journal import Journal, read_journal
from effvit_edge.train.loop import Trainer
from effvit_edge.train.metrics import Report
from effvit_edge.train.recipe import Recipe
from effvit_edge.train.resume import find_finished
from effvit_edge.train.scoring import TorchScorer
from tests.unit.train.recipes import MODEL, tiny_recipe
from tests.videos import grey_frames, write_video

OWN = {"kind": "videos", "eval_share": 0.5, "max_failed_share": 0.5}


def losses(folder: Path) -> list[float]:
    return [r["loss"] for r in read_journal(folder / "metrics.jsonl") if "loss" in r]


def at_training_step(trainer: Trainer, step: int, action: Any) -> None:
    """Call ``action(output)`` on the classifier's output while ``step`` (from 1) is computed."""

    def hook(module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> Any:
        return action(output) if module.training and trainer.step + 1 == step else None

    layers = [m for m in trainer.model.modules() if isinstance(m, torch.nn.Linear)]
    layers[-1].register_forward_hook(hook)


def scored_until_stopped(trainer: Trainer, step: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many sequences are scored when the evaluation after ``step`` begins with a SIGTERM."""
    scored, answer = [], TorchScorer.__call__

    def stop(scorer: TorchScorer, frames: Any) -> Any:
        if trainer.step == step:
            scored.append(step)
            signal.raise_signal(signal.SIGTERM)
        return answer(scorer, frames)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TorchScorer, "__call__", stop)
        trainer.run()
    return len(scored)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    Trainer(tiny_recipe(folder)).run()
    return folder


def test_a_run_leaves_a_checkpoint_with_its_card(uninterrupted: Path) -> None:
    model, card = load_model(uninterrupted)
    assert (card.mode, card.num_frames, card.fps) == ("stream", 2, 10.0)
    assert card.labels[0] == "left" and len(card.labels) == 9
    assert card.provenance["steps"] == 6
    assert "top1" in card.provenance["metrics"]
    assert model.forward_frames(torch.zeros(1, 3, 3, 32, 32)).shape == (1, 3, 9)
    assert {"recipe.yaml", "evaluation.json", "confusion.png"} <= {
        path.name for path in uninterrupted.iterdir()
    }
    records = read_journal(uninterrupted / "metrics.jsonl")
    assert [r["step"] for r in records if "loss" in r] == [1, 2, 3, 4, 5, 6]
    assert "samples_per_second" in records[1] and "eval" in records[-1]


def test_a_run_stopped_by_a_signal_goes_on_bit_for_bit(uninterrupted: Path, tmp_path: Path) -> None:
    first = Trainer(tiny_recipe(tmp_path))
    at_training_step(first, 3, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert len(losses(tmp_path)) == 3
    torch.manual_seed(99)  # another process would be somewhere else
    second = Trainer(tiny_recipe(tmp_path, speed={"workers": 2}), resume=True)
    assert second.step == 3
    second.run()
    assert losses(tmp_path) == losses(uninterrupted)
    for name in ("model.safetensors", "training.safetensors"):
        whole, resumed = (folder / "last" / name for folder in (uninterrupted, tmp_path))
        assert resumed.read_bytes() == whole.read_bytes()


def test_a_run_stopped_in_an_evaluation_has_its_checkpoint_and_evaluates_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recipe(folder: Path) -> Recipe:
        return tiny_recipe(
            folder,
            optim={"steps": 4},
            eval={"every": 2, "keep_best": True},
            data={"eval_frames": 4},
        )

    Trainer(recipe(tmp_path / "whole")).run()
    for stop_at in (2, 4):  # in the midst, and in the last evaluation
        trainer = Trainer(recipe(tmp_path / "cut"), resume=stop_at > 2)
        assert scored_until_stopped(trainer, stop_at, monkeypatch) == 1  # of two sequences
        _, card = load_model(tmp_path / "cut" / "last")
        assert (card.provenance["steps"], card.provenance["metrics"]) == (stop_at, {})
        assert find_finished(tmp_path / "cut", recipe(tmp_path / "cut")) is None
    last = Trainer(recipe(tmp_path / "cut"), resume=True)
    last.run()
    for name in ("best/model.safetensors", "last/training.safetensors", "evaluation.json"):
        whole, cut = (tmp_path / run / name for run in ("whole", "cut"))
        assert cut.read_bytes() == whole.read_bytes()
    evaluations = [
        [(r["step"], r["eval"]) for r in read_journal(folder / "metrics.jsonl") if "eval" in r]
        for folder in (tmp_path / "whole", tmp_path / "cut")
    ]
    assert evaluations[0] == evaluations[1] and [s for s, _ in evaluations[0]] == [2, 4]


def test_another_run_is_neither_overwritten_nor_resumed_with_another_recipe(
    uninterrupted: Path,
) -> None:
    with pytest.raises(InputError, match="already holds a run"):
        Trainer(tiny_recipe(uninterrupted))
    with pytest.raises(InputError, match=r"optim\.lr differs"):
        Trainer(tiny_recipe(uninterrupted, optim={"lr": 0.5}), resume=True)


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no run to resume in"):
        Trainer(tiny_recipe(tmp_path), resume=True)


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(tmp_path))
    at_training_step(trainer, 2, lambda output: output * float("nan"))
    clips, labels = (torch.as_tensor(x)[None] for x in trainer.clips[0])
    trainer._one_step(clips, labels)

    def state() -> dict[str, torch.Tensor]:
        training = trainer.parts.collect(trainer.counters).tensors
        return {k: v.clone() for k, v in {**trainer.parts.weights(), **training}.items()}

    before = state()
    outcome = trainer._one_step(clips, labels)
    assert not outcome.finite and trainer.counters.skipped == 1
    after = state()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert trainer._one_step(clips, labels).finite
    assert trainer.counters.skipped_in_a_row == 0
    after = state()
    assert sum(not torch.equal(before[name], after[name]) for name in before) > len(before) / 2


def test_a_run_that_diverged_stops_and_says_so(tmp_path: Path) -> None:
    trainer = Trainer(
        tiny_recipe(
            tmp_path, optim={"max_nonfinite": 3, "steps": 50}, output={"checkpoint_every": 2}
        )
    )

    def spoil(_output: torch.Tensor) -> None:
        next(trainer.model.parameters()).data.fill_(float("nan"))

    at_training_step(trainer, 5, spoil)
    first = next(name for name, _ in trainer.model.named_parameters()).removesuffix(".weight")
    with pytest.raises(EdgeError, match=rf"3 steps in a row .* not finite.* network\.{first} "):
        trainer.run()
    model, card = load_model(tmp_path)
    assert card.provenance["steps"] == 4
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())
    found = json.loads((tmp_path / "nonfinite.json").read_text("utf-8"))
    assert found["step"] == 8 and found["clips"] == [trainer.clips.name(n) for n in (14, 15)]
    assert found["processes"] == [{"rank": 0, "module": f"network.{first}", "gradient": ANY}]
    skipped = [r for r in read_journal(tmp_path / "metrics.jsonl") if "skipped" in r]
    assert [r["step"] for r in skipped] == [6, 7, 8]
    assert skipped[0]["clips"] == [trainer.clips.name(n) for n in (10, 11)]


@pytest.mark.parametrize(
    ("model", "mode"),
    [
        ({**MODEL, "preset": "efficientvit_b0"}, "stream"),
        ({**MODEL, "num_frames": 6, "causal": False}, "clip"),
    ],
    ids=["image", "centred"],
)
def test_image_and_centred_networks_train_too(
    tmp_path: Path, model: dict[str, Any], mode: str
) -> None:
    result = Trainer(tiny_recipe(tmp_path, optim={"steps": 2, "ema": 0.0}, model=model)).run()
    assert result.figures["sequences"] == 2
    _, card = load_model(tmp_path)
    assert (card.variant, card.mode) == (model["preset"], mode)


def test_a_centred_network_wants_clips_of_its_own_length(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"input\.frames is 6.*model\.num_frames, 2"):
        Trainer(tiny_recipe(tmp_path, model={"causal": False}))


def test_an_unknown_keyword_of_the_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="windo"):
        Trainer(tiny_recipe(tmp_path, model={"options": {"windo": 3}}))


@pytest.fixture
def own_clips(tmp_path: Path) -> Path:
    """Two classes of grey videos, and a file that is none."""
    for label in ("dark", "light"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(2):
            write_video(tmp_path / "clips" / label / f"{number}.mp4", grey_frames(12), fps=10)
    (tmp_path / "clips" / "dark" / "0.mp4").write_text("no film", encoding="utf-8")
    return tmp_path / "clips"


def test_training_starts_from_a_checkpoint_of_other_classes(
    uninterrupted: Path, own_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {**OWN, "root": str(own_clips)}
    model = {"init": str(uninterrupted), "options": {**MODEL["options"], "eps": 1e-3}}
    recipe = tiny_recipe(tmp_path / "a", model=model, data=data, optim={"steps": 1})
    trainer = Trainer(recipe)
    source, _ = load_model(uninterrupted)
    weights, own = source.state_dict(), trainer.model.state_dict()
    classifier = {"head.classifier.weight", "head.classifier.bias"}
    assert own["head.classifier.bias"].shape == (2,)
    assert all(torch.equal(own[name], weights[name]) for name in own if name not in classifier)

    result = trainer.run()
    _, card = load_model(tmp_path / "a")
    start = card.provenance["start"]
    assert set(start["initial"]) == set(start["skipped"]) == classifier
    assert (start["source"], start["eps"]) == (uninterrupted.name, 1e-5)
    assert str(tmp_path.parent) not in card.to_json()
    said = capsys.readouterr().err
    assert "Random start: head.classifier.weight ((9, 16) in the source and (2, 16)" in said
    assert said.count("head.classifier.weight") == 1
    assert "eps=1e-05, the network has eps=0.001" in said

    assert len(result.failures) == 1 and "0.mp4" in result.failures[0]
    assert "1 video left out" in said
    records = read_journal(tmp_path / "a" / "metrics.jsonl")
    assert [r["failures"] for r in records if "failures" in r] == [list(result.failures)]
    assert [r["start"]["loaded"] for r in records if "start" in r] == [len(own) - 2]


def test_an_image_checkpoint_says_what_it_gave(uninterrupted: Path, tmp_path: Path) -> None:
    image = Trainer(tiny_recipe(tmp_path / "image", model={"preset": "efficientvit_b0"}))
    image._write("last")
    model = {
        "init": str(tmp_path / "image"),
        "options": {"head_widths": [16, 24], "temporal_kernels": [3] * 5},
    }
    video = Trainer(tiny_recipe(tmp_path / "video", model=model))
    assert video.start is not None and video.start.eps == 1e-5
    kept = set(video.start.initial)
    assert kept and all(name.startswith(("head.hidden", "head.norm", "head.cl")) for name in kept)


def test_another_network_is_no_start(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of another network"):
        Trainer(
            tiny_recipe(
                tmp_path / "b", model={"init": str(uninterrupted), "preset": "efficientvit3d_b1"}
            )
        )


def test_the_best_checkpoint_is_kept_where_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [0.2, 0.6, 0.4]
    monkeypatch.setattr(Report, "score", property(lambda _: scores[trainer.step - 1]))
    trainer = Trainer(
        tiny_recipe(tmp_path, optim={"steps": 3}, eval={"every": 1, "keep_best": True})
    )
    trainer.run()
    _, best = load_model(tmp_path)
    _, last = load_model(tmp_path / "last")
    assert (best.provenance["steps"], last.provenance["steps"]) == (2, 3)


def test_one_budget_holds_training_then_evaluation_videos(own_clips: Path, tmp_path: Path) -> None:
    def kept(gigabytes: float) -> tuple[int, int]:
        data = {**OWN, "root": str(own_clips)}
        clips, sequences = build_data(tiny_recipe(tmp_path, data={**data, "cache_gb": gigabytes}))
        assert isinstance(clips, VideoClips) and isinstance(sequences, VideoSequences)
        return clips.kept_bytes, sequences.kept_bytes

    train, evaluation = kept(1.0)
    assert min(train, evaluation) > 0
    first, left = kept((train + evaluation - 1) * 1e-9)
    assert first == train and left < evaluation
    assert kept(0.0) == (0, 0)


def test_it_learns_four_real_clips_by_heart(test_data: Path, tmp_path: Path) -> None:
    words = ["again", "bird", "book", "eat"]
    table = tmp_path / "clips.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "part"])
        writer.writerows([f"{word}.mkv", word, "train"] for word in words)
        writer.writerow(["help.mkv", "eat", "eval"])
    recipe = tiny_recipe(
        tmp_path / "run",
        model={"options": {"head_widths": [32, 32]}},
        data={
            "kind": "videos",
            "root": str(test_data / "asl20"),
            "set": "csv",
            "annotations": str(table),
            "train": ["part=train"],
            "eval": ["part=eval"],
        },
        augment={"scale": [1.0, 1.0], "aspect": [1.0, 1.0], "flip": 0.0, "color": 0.0},
        optim={"lr": 3e-3, "steps": 40, "batch_size": 4, "ema": 0.0},
    )
    Trainer(recipe).run()
    assert losses(tmp_path / "run")[0] > 1.0
    assert max(losses(tmp_path / "run")[-3:]) < 0.3


def test_a_journal_is_cut_back_to_the_step_that_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste', encoding="utf-8")
    journal = Journal(path, last_step=2)
    journal.write({"step": 3, "loss": 0.5})
    assert read_journal(path) == [{"step": 1}, {"step": 2}, {"step": 3, "loss": 0.5}]
