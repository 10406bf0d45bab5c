"""Labelling a file as it streams by equals evaluating the same frames offline, in one piece.

The offline side uses none of the pipeline: PyAV decodes, numpy or torch computes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from effvit_edge.core.card import Mode, ModelCard
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.live import LabelOptions, Lane, Outputs, RunReport, label_lanes
from effvit_edge.runtime import FakeSession, Session, open_session
from effvit_edge.runtime.trt_fake import FakeMemory
from effvit_edge.sinks import MemorySink
from effvit_edge.sources import SourceRef
from tests.engines import open_fake, write_engine
from tests.tiny_models import WINDOW, brightness_logits, tiny_card, write_model
from tests.unit.export.networks import stream
from tests.videos import decoded, write_video

FPS = 20
KINDS = ("fake", "onnxruntime", "tensorrt")


def film(path: Path, count: int = 50, seed: int = 0) -> Path:
    """Pictures of changing colours, so that the labels change."""
    rng = np.random.default_rng(seed)
    pictures = [
        np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (48, 64, 3)).copy()
        for _ in range(count)
    ]
    return write_video(path, pictures, fps=FPS)


def open_kind(kind: str, mode: Mode, folder: Path) -> Session:
    if kind == "fake":
        return FakeSession(tiny_card(mode), answer)
    if kind == "tensorrt":
        return open_fake(write_engine(folder, mode), FakeMemory())
    return open_session(write_model(folder / "model.onnx", tiny_card(mode)), provider="cpu")


def answer(frames: np.ndarray) -> np.ndarray:
    """The fake's: of the frames' mean colours, in order, whatever their number."""
    colours = frames.mean(axis=(1, 2)) / 255
    weights = np.arange(1, len(colours) + 1)
    return brightness_logits(weights @ colours / weights.sum())


def sampled(path: Path, card: ModelCard) -> list[np.ndarray]:
    """Every second frame, which is the model's rate, as the model eats it."""
    with decoded(path) as (_, pictures):
        images = [picture.to_ndarray(format="rgb24") for picture in pictures[::2]]
    return [preprocess_frame(image, card.preprocess) for image in images]


def offline(kind: str, mode: Mode, frames: list[np.ndarray]) -> list[np.ndarray]:
    """The logits at each frame, from all the frames at once."""
    colours = np.stack([frame.reshape(-1, 3).mean(axis=0) / 255 for frame in frames])
    logits = []
    for t in range(len(frames)):
        window = [max(0, t - back) for back in range(WINDOW - 1, -1, -1)]
        if mode == "clip":
            clip = np.stack([frames[i] for i in window])
            mean = brightness_logits(np.mean([colours[i] for i in window], axis=0))
            logits.append(answer(clip) if kind == "fake" else mean)
        elif kind == "fake":
            logits.append(answer(np.stack(frames[max(0, t - WINDOW + 1) : t + 1])))
        else:
            weights = 0.5 ** np.arange(t + 1, 0, -1)
            logits.append(brightness_logits(weights @ colours[: t + 1]))
    return logits


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def streamed(paths: list[Path], session: Session, at_once: int = 4) -> tuple[MemorySink, RunReport]:
    records = MemorySink()
    lanes = [Lane([SourceRef(str(path), path.name)]) for path in paths]
    options = LabelOptions(topk=99, stride=1, at_once=at_once)
    with session:
        report = label_lanes(lanes, session, Outputs(records), options)
    return records, report


def hold(records: list[Any], labels: tuple[str, ...], logits: list[np.ndarray]) -> None:
    assert len(records) == len(logits)
    for record, one in zip(records, logits, strict=True):
        expected = dict(zip(labels, softmax(one), strict=True))
        got = {best["label"]: best["score"] for best in record["topk"]}
        assert got == pytest.approx(expected, abs=1e-4)
        assert record["label"] == max(expected, key=lambda label: expected[label])


@pytest.mark.parametrize("mode", ["stream", "clip"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_session_answers_as_offline(kind: str, mode: Mode, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    records, _ = streamed([path], open_kind(kind, mode, tmp_path))
    assert len({record["label"] for record in records.records}) > 1
    card = tiny_card(mode)
    hold(list(records.records), card.labels, offline(kind, mode, sampled(path, card)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_once", [1, 3])
def test_sources_that_share_a_session_answer_as_each_alone(
    kind: str, at_once: int, tmp_path: Path
) -> None:
    paths = [film(tmp_path / f"{seed}.mp4", 20 + 10 * seed, seed) for seed in range(3)]
    records, report = streamed(paths, open_kind(kind, "stream", tmp_path), at_once)
    card = tiny_card("stream")
    assert report.decisions == 10 + 15 + 20
    for path in paths:
        mine = [record for record in records.records if record["source"] == path.name]
        assert [record["frame"] for record in mine] == list(range(0, 2 * len(mine), 2))
        hold(mine, card.labels, offline(kind, "stream", sampled(path, card)))


def test_a_network_answers_as_torch_does_over_the_whole_film(tmp_path: Path) -> None:
    graph = stream()
    onnx.save(graph.proto, tmp_path / "net.onnx")
    path = film(tmp_path / "film.mp4")
    records, _ = streamed([path], open_session(tmp_path / "net.onnx", provider="cpu"))
    frames = torch.from_numpy(np.stack(sampled(path, graph.card))) / 255.0
    spec = graph.card.preprocess
    x = (frames - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    with torch.inference_mode():
        logits = graph.model.forward_frames(x.permute(3, 0, 1, 2)[None])[0].numpy()
    assert len(records.records) == len(logits) > 1
    hold(list(records.records), graph.card.labels, list(logits))


def test_two_runs_write_the_same_but_for_the_latencies(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    runs = []
    for _ in range(2):
        records, _ = streamed([path], open_kind("onnxruntime", "stream", tmp_path))
        lines = [{**record, "latency_ms": None} for record in records.records]
        runs.append(json.dumps(lines))
    assert runs[0] == runs[1]
