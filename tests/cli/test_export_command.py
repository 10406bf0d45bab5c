from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from effvit_edge.cli.main import main
from effvit_edge.train.checkpoint import save_model
from tests.unit.export.networks import IMAGE, make_model

Capture = pytest.CaptureFixture[str]
DEMO = Path(__file__).resolve().parents[2] / "models" / "demo.onnx"


def checkpoint(folder: Path, name: str = IMAGE, **kwargs: Any) -> Path:
    model, card = make_model(name, **kwargs)
    save_model(folder, model, card)
    return folder


def test_a_checkpoint_becomes_a_checked_file(tmp_path: Path, capsys: Capture) -> None:
    folder = checkpoint(tmp_path / "run", "efficientvit3d_b0", causal=True, num_frames=3)
    output = tmp_path / "m.onnx"
    assert main(["export", str(folder), "-o", str(output)]) == 0
    said = capsys.readouterr()
    assert "stream, 32x32 pixels, 5 labels, fp32" in said.out
    assert "max difference" in said.out and "limit 1e-04" in said.out
    assert f"Next: effvit-edge label VIDEO --model {output}" in said.out
    assert said.err == ""

    assert main(["inspect", str(output), "--json"]) == 0
    onnx_facts = json.loads(capsys.readouterr().out)
    assert main(["inspect", str(folder), "--json"]) == 0
    folder_facts = json.loads(capsys.readouterr().out)
    assert onnx_facts["card"]["parent_sha256"] == folder_facts["sha256"]
    assert onnx_facts["card"]["label_groups"] == folder_facts["card"]["label_groups"]
    assert onnx_facts["state_bytes"] > 0
    assert onnx_facts["verify"] == str(tmp_path / "m.verify.npz")
    assert onnx_facts["ops"]["Conv"] > 50
    assert onnx_facts["inputs"][0]["name"] == "frame"


def test_a_preset_is_loudly_random(tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "p.onnx"
    arguments = ["--num-classes", "3", "--input-size", "32", "-o", str(output), "--json"]
    assert main(["export", IMAGE, *arguments]) == 0
    said = capsys.readouterr()
    assert "RANDOM" in said.err
    report = json.loads(said.out)
    assert report["gate"]["max_abs"] <= report["gate"]["limit_max_abs"] == 1e-4
    assert report["card"]["provenance"]["weights"] == "random"
    assert report["card"]["mode"] == "stream"
    assert report["size_bytes"] == output.stat().st_size

    assert main(["inspect", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "short_side, crop ratio 1\n" in shown
    for row in ("efficientvit_b0, stream, fp32", "frame uint8 [32, 32, 3]", "opset ai.onnx 18"):
        assert row in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["efficientvit3d_b9"], "Did you mean the preset efficientvit3d_b"),
        (["nothing_like_it"], "neither a checkpoint folder, nor an ONNX file, nor a preset"),
        ([IMAGE, "--mode", "clip"], "--mode stream"),
        ([IMAGE, "--num-frames", "4"], "leave out --num-frames"),
    ],
)
def test_wrong_use_is_exit_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: Capture
) -> None:
    output = tmp_path / "m.onnx"
    assert main(["export", *arguments, "-o", str(output)]) == 2
    error = capsys.readouterr().err
    assert said in error and "WARNING" not in error
    assert not output.exists()


@pytest.mark.parametrize("name", ["mine.txt", "folder.onnx"])
def test_a_wrong_output_is_refused_before_anything_is_said(
    name: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "folder.onnx").mkdir()
    for artifact in (IMAGE, str(tmp_path / "no checkpoint")):
        assert main(["export", artifact, "-o", str(tmp_path / name)]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith("error: The output")


def test_an_exported_file_is_not_exported_again(tmp_path: Path, capsys: Capture) -> None:
    assert main(["export", str(DEMO), "-o", str(tmp_path / "n.onnx")]) == 2
    error = capsys.readouterr().err
    assert "is exported already, in fp32" in error and "checkpoint folder" in error


def test_a_centred_checkpoint_does_not_stream(tmp_path: Path, capsys: Capture) -> None:
    folder = checkpoint(tmp_path / "run", "efficientvit3d_b0", num_frames=3)
    output = tmp_path / "m.onnx"
    assert main(["export", str(folder), "--mode", "stream", "-o", str(output)]) == 2
    assert "frames that have not come yet" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize("option", ["--num-classes", "--num-frames", "--input-size"])
def test_a_checkpoint_keeps_its_own_sizes(option: str, tmp_path: Path, capsys: Capture) -> None:
    folder = checkpoint(tmp_path / "run")
    arguments = ["export", str(folder), option, "64", "-o", str(tmp_path / "m.onnx")]
    assert main(arguments) == 2
    assert f"{option} is for presets" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["export", "inspect"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "no weights", "no card", "card of another"])
def test_a_corrupted_checkpoint_is_refused(
    command: str, damage: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = checkpoint(tmp_path / "run")
    weights, card = folder / "model.safetensors", folder / "card.json"
    data = bytearray(weights.read_bytes())
    if damage == "cut":
        weights.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[-1] ^= 1
        weights.write_bytes(data)
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no card":
        card.unlink()
    else:
        card.write_text(card.read_text().replace('"fps"', '"frames_per_second"'))
    output = tmp_path / "m.onnx"
    extra = ["-o", str(output)] if command == "export" else []
    assert main([command, str(folder), *extra]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not output.exists()


def test_a_failed_gate_is_exit_4_and_leaves_nothing(tmp_path: Path, capsys: Capture) -> None:
    model, card = make_model(IMAGE)
    with torch.no_grad():
        model.head.classifier.bias.fill_(float("nan"))
    save_model(tmp_path / "run", model, card)
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "m.onnx")]) == 4
    assert "Nothing was written" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "not an ONNX file"), (b"just text", "not an ONNX file"), (None, "no file")],
)
def test_inspect_refuses_what_is_no_artifact(
    content: bytes | None, said: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    assert main(["inspect", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_inspect_of_another_kind_of_file_does_not_talk_of_its_bytes(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(b"just text")
    assert main(["inspect", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path} is no ONNX file." in error and "wire type" not in error


def test_inspect_refuses_a_graph_without_a_card(tmp_path: Path, capsys: Capture) -> None:
    from tests.unit.export.test_rules import small_graph

    path = tmp_path / "m.onnx"
    path.write_bytes(small_graph().SerializeToString())
    assert main(["inspect", str(path)]) == 2
    assert "has no model card" in capsys.readouterr().err


def test_without_torch_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["export", IMAGE, "-o", str(tmp_path / "m.onnx")]) == 3
    assert "pip install -e '.[export]'" in capsys.readouterr().err
