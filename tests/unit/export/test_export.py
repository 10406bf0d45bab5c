from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from effvit_edge.core.card import LabelGroup, ModelCard
from effvit_edge.core.comparison import compare
from effvit_edge.core.errors import EdgeError, GateFailure, InputError
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.export import build_onnx, export_onnx, random_preset
from effvit_edge.export.onnx import card_of
from effvit_edge.export.runner import onnx_logits
from effvit_edge.export.samples import render_samples
from effvit_edge.export.verify import parent_logits
from effvit_edge.runtime.graph import CARD_KEY
from tests.unit.export.networks import (
    IMAGE,
    REPLICATE,
    SIZE,
    STREAMS,
    STRIDED,
    Exported,
    clip,
    make_card,
    make_model,
    stream,
)

av = pytest.importorskip("av")


def _write(exported: Exported, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(exported.proto.SerializeToString())
    return path


def _real_clips(folder: Path, card: ModelCard, frames: int) -> np.ndarray[Any, Any]:
    """Two clips ``(2, T, H, W, 3)`` from the middle of real videos."""
    clips = []
    for video in sorted((folder / "asl20").glob("*.mkv"))[:2]:
        with av.open(str(video)) as container:
            pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        start = (len(pictures) - frames) // 2
        chosen = pictures[start : start + frames]
        clips.append([preprocess_frame(picture, card.preprocess) for picture in chosen])
    return np.array(clips)


@pytest.mark.parametrize(
    "kind",
    [
        "clip",
        "clips of two cameras",
        "clip, replicate",
        "clip, temporal strides",
        "stream",
        "image",
    ],
)
def test_real_frames_give_torchs_logits(kind: str, test_data: Path, tmp_path: Path) -> None:
    exported = {
        "clip": lambda: clip(),
        "clips of two cameras": lambda: clip(batch=2, causal=True),
        "clip, replicate": lambda: clip(**REPLICATE),
        "clip, temporal strides": lambda: clip(**STRIDED),
        "stream": lambda: stream(**STREAMS["default"]),
        "image": lambda: stream(IMAGE),
    }[kind]()
    clips = _real_clips(
        test_data, exported.card, exported.card.num_frames if kind.startswith("clip") else 14
    )
    streams = not kind.startswith("clip")
    expected = parent_logits(exported.model, exported.card.preprocess, clips, stream=streams)
    got = onnx_logits(_write(exported, tmp_path), clips, batch=exported.batch)
    result = compare(expected, got, exported.card.label_groups)
    assert result.max_abs <= 1e-4
    assert result.top1_agreement == 1.0
    assert np.ptp(expected.reshape(-1, 5), axis=0).max() > 0.01  # the pictures do differ


def test_export_writes_the_graph_its_card_and_what_verifies_it(tmp_path: Path) -> None:
    model, card = make_model(causal=True, num_frames=4, window=2)
    report = export_onnx(model, card, tmp_path / "out" / "m.onnx", mode="stream")

    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["m.onnx", "m.verify.npz"]
    written = card_of(onnx.load(report.path))
    assert written == report.card
    assert (written.mode, written.precision, written.num_frames) == ("stream", "fp32", 2)
    assert written.parent_sha256 == "0" * 64
    assert "torch" in written.provenance["exported_by"]  # type: ignore[operator]
    with np.load(report.verify_path) as arrays:
        clips, logits = arrays["clips"], arrays["logits"]
    assert (clips.dtype, logits.dtype) == (np.uint8, np.float32)
    assert clips.shape[2:] == (SIZE, SIZE, 3)
    assert logits.shape == (*clips.shape[:2], 5)
    assert clips.shape[1] > 2 * 2  # the window has turned over
    np.testing.assert_allclose(onnx_logits(report.path, clips), logits, atol=1e-4)
    assert report.comparison.answers == len(clips) * clips.shape[1]


def test_what_is_inside_is_the_same_at_every_export() -> None:
    model, card = make_model(IMAGE)
    first, second = (build_onnx(model, card, mode="stream") for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )
    assert not any(node.metadata_props or node.doc_string for node in first.graph.node)
    assert CARD_KEY in {entry.key for entry in first.metadata_props}


def test_a_failed_gate_leaves_no_file(tmp_path: Path) -> None:
    model, card = make_model(IMAGE)
    with torch.no_grad():
        model.head.classifier.bias[0] = float("nan")
    kept = tmp_path / "m.onnx"
    kept.write_bytes(b"an older export")
    with pytest.raises(GateFailure, match=r"differs from the network by up to nan.*Nothing was"):
        export_onnx(model, card, kept, mode="stream")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert kept.read_bytes() == b"an older export"


def test_a_centred_network_does_not_stream() -> None:
    model, card = make_model(causal=False)
    with pytest.raises(InputError, match=r"centred.*cannot stream.*--mode clip"):
        build_onnx(model, card, mode="stream")


def test_an_image_network_has_no_clips() -> None:
    model, card = make_model(IMAGE)
    with pytest.raises(InputError, match="no clips"):
        build_onnx(model, card, mode="clip")


@pytest.mark.parametrize("name", ["model", "model.pt"])
def test_other_names_than_onnx_are_refused(name: str, tmp_path: Path) -> None:
    model, card = make_model(IMAGE)
    with pytest.raises(InputError, match=r"named like model\.onnx"):
        export_onnx(model, card, tmp_path / name, mode="stream")
    assert list(tmp_path.iterdir()) == []


def test_comparison_counts_each_group_of_labels() -> None:
    groups = (LabelGroup("verb", ("a", "b")), LabelGroup("noun", ("c", "d", "e")))
    parent = np.array([[1, 0, 0, 0, 1], [0, 1, 1, 0, 0]], np.float32)
    child = np.array([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0.5]], np.float32)
    result = compare(parent, child, groups)
    assert result.top1_agreement == 0.75  # one noun of four answers changed
    assert result.max_abs == 1.0
    assert result.mean_abs == pytest.approx(0.25)
    assert result.cosine == pytest.approx(0.5)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(EdgeError, match="ONNX Runtime refuses"):
        onnx_logits(path, np.zeros((1, 2, SIZE, SIZE, 3), np.uint8))


def test_samples_are_moving_pictures_of_the_models_size() -> None:
    model, card = make_model(IMAGE)
    spec = dataclasses.replace(make_card(model).preprocess, height=48, width=64)
    clips = render_samples(dataclasses.replace(card, preprocess=spec), 5)
    assert clips.shape == (2, 5, 48, 64, 3)
    assert np.array_equal(clips, render_samples(dataclasses.replace(card, preprocess=spec), 5))
    steps = np.abs(np.diff(clips.astype(int), axis=1)).mean(axis=(2, 3, 4))
    assert (steps > 0.5).all()  # it moves in every frame
    neighbours = np.abs(np.diff(clips.astype(int), axis=3)).mean()
    assert neighbours < 0.5 * clips.std()  # and is no noise


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (IMAGE, {"mode": "clip"}, "--mode stream"),
        (IMAGE, {"mode": "stream", "num_frames": 4}, "leave out --num-frames"),
        ("efficientvit3d_b0", {"mode": "stream", "num_frames": 0}, "num_frames"),
    ],
)
def test_presets_refuse_what_does_not_fit(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        random_preset(name, **options)


def test_a_preset_is_the_same_every_time_and_leaves_torchs_seed_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    (first, _), (second, _) = (random_preset(IMAGE, "stream") for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
