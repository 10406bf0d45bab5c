from __future__ import annotations

import errno
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from effvit_edge import nn
from effvit_edge.core.card import LabelGroup, ModelCard, Preprocess
from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.train.checkpoint import (
    TrainingState,
    load_model,
    load_training,
    save_model,
)


def make() -> tuple[nn.EfficientViT, ModelCard]:
    torch.manual_seed(0)
    model = nn.create_model(
        "efficientvit3d_b0", num_classes=2, num_frames=2, causal=True, head_widths=(8, 8)
    )
    card = ModelCard(
        family="efficientvit3d",
        variant="efficientvit3d_b0",
        mode="stream",
        num_frames=2,
        fps=10.0,
        preprocess=Preprocess(32, 32, "squash", 1.0, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        label_groups=(LabelGroup("label", ("yes", "no")),),
        network=model.network_kwargs,
        precision="fp32",
        parent_sha256=None,
        provenance={},
    )
    return model, card


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "run" / "last"
    model, card = make()
    state = TrainingState({"step": 7}, {"a": torch.arange(3.0)})
    save_model(folder, model, card, training=state)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    return folder


def rehash(folder: Path, name: str = "model.safetensors") -> None:
    """Make the card agree with weights that were exchanged."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["provenance"]["weights_sha256"] = sha256_file(folder / name)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def test_a_network_comes_back_as_it_was(saved: Path) -> None:
    model, card = make()
    loaded, loaded_card = load_model(saved)
    assert not loaded.training
    assert loaded_card.provenance["weights_sha256"] == sha256_file(saved / "model.safetensors")
    assert replace(loaded_card, provenance={}) == card
    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    training = load_training(saved)
    assert training.facts["step"] == 7
    assert torch.equal(training.tensors["a"], torch.arange(3.0))


def test_all_files_of_a_checkpoint_are_readable_alike(saved: Path) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in saved.iterdir()}
    assert len(modes) == 4 and set(modes.values()) == {modes["card.json"]}


def test_a_run_folder_means_its_best_or_else_its_last_checkpoint(
    saved: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(saved, run / "last")
    _, last = load_model(run)
    assert last.fps == 10.0
    model, card = make()
    save_model(run / "best", model, replace(card, fps=12.0))
    _, best = load_model(run)
    assert best.fps == 12.0


def test_averaged_weights_are_written_in_place_of_the_models_own(tmp_path: Path) -> None:
    model, card = make()
    averaged = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    save_model(tmp_path / "x", model, card, weights=averaged)
    loaded, _ = load_model(tmp_path / "x")
    assert not any(value.any() for value in loaded.state_dict().values())


def test_a_damaged_byte_is_found(copy: Path) -> None:
    path = copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors does not match the card.*sha256"):
        load_model(copy)


def test_weights_of_another_network_are_named(copy: Path) -> None:
    weights = safetensors.torch.load_file(copy / "model.safetensors")
    name = next(iter(weights))
    weights[name] = torch.zeros(1, 2, 3)
    weights["stranger"] = torch.zeros(1)
    safetensors.torch.save_file(weights, copy / "model.safetensors")
    rehash(copy)
    with pytest.raises(InputError) as caught:
        load_model(copy)
    assert f"{name} is (1, 2, 3) instead of" in str(caught.value)
    assert "stranger is unknown" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"variant": "efficientvit3d_b1"}, "weights are of another network"),
        ({"variant": "efficientvit9"}, "cannot be built"),
        ({"network": {"num_classes": 2, "windo": 3}}, "cannot be built"),
        (
            {"label_groups": [{"name": "label", "labels": ["one"], "exclusive": True}]},
            "classes",
        ),
        ({"schema_version": 99}, "99"),
        ({"provenance": {}}, "no provenance.weights_sha256"),
    ],
)
def test_a_card_that_does_not_match_is_refused(
    copy: Path, change: dict[str, object], sentence: str
) -> None:
    path = copy / "card.json"
    card = {**json.loads(path.read_text(encoding="utf-8")), **change}
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_model(copy)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_model(copy)


def test_a_pickle_is_never_opened(copy: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("unpickled",)

    (copy / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    rehash(copy)
    with pytest.raises(InputError, match="is not a safetensors file"):
        load_model(copy)


def test_a_spoilt_training_state_is_refused(copy: Path) -> None:
    (copy / "training.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"does not match training\.json"):
        load_training(copy)
    (copy / "training.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"training\.json is damaged"):
        load_training(copy)
    (copy / "training.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="it lacks step, tensors_sha256") as caught:
        load_training(copy, ["step"])
    assert "KeyError" not in str(caught.value)
    (copy / "training.json").unlink()
    with pytest.raises(InputError, match="but not resumed"):
        load_training(copy)


@pytest.mark.parametrize("full_at", ["model.safetensors", "training.json"])
def test_a_full_disk_leaves_the_older_checkpoint(
    copy: Path, monkeypatch: pytest.MonkeyPatch, full_at: str
) -> None:
    save_file, write_text = safetensors.torch.save_file, Path.write_text

    def full(path: Path) -> None:
        if path.name == full_at:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def save_or_fail(tensors: dict[str, torch.Tensor], path: Path) -> None:
        full(path)
        save_file(tensors, path)

    def write_or_fail(path: Path, *given: Any, **named: Any) -> int:
        full(path)
        return write_text(path, *given, **named)

    monkeypatch.setattr(safetensors.torch, "save_file", save_or_fail)
    monkeypatch.setattr(Path, "write_text", write_or_fail)
    model, card = make()
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(EdgeError, match=r"No space left on device.*--resume"):
        save_model(copy, model, card, training=TrainingState({"step": 8}, {}))
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_replacement_cut_between_its_two_renames_is_read_and_tidied(copy: Path) -> None:
    run = copy.parent / "run"
    run.mkdir()
    copy.rename(run / ".last.old")
    (run / ".last.new-12345678").mkdir()
    load_model(run)
    model, card = make()
    save_model(run / "last", model, card)
    assert [path.name for path in run.iterdir()] == ["last"]
    load_model(run)
