from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.interleaved import RESULTS
from benchmarks.peers.catalogue import BY_NAME, PEERS, Built
from benchmarks.peers.graphs import StepGraph, settle, step_onnx
from benchmarks.peers.memory import peak_bytes
from benchmarks.peers.nets.lowered import lowered
from benchmarks.peers.nets.movinet import LAYOUTS, MoViNet
from benchmarks.peers.nets.rounding import divisible
from benchmarks.peers.nets.tsm import TsmMobileNet
from benchmarks.peers.nets.x3d import X3d
from benchmarks.peers.plot import draw
from benchmarks.peers.runs import OnnxRun, TorchRun
from benchmarks.peers.table import every_ms, gmacs_ms, judge, markdown
from effvit_edge.core.card import IMAGENET_MEAN, IMAGENET_STD

README = RESULTS.parent / "peers" / "README.md"
SIZE = 40


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def macs(call: Any, *inputs: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(*inputs)
    return int(counter.get_total_flops()) // 2


def frames(count: int, size: int = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64)


def uneven(network: nn.Module, *example: int) -> nn.Module:
    """In float64, with norms that do not all do the same."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return settle(network, example).double()


@pytest.mark.parametrize("variant", LAYOUTS)
def test_a_movinet_streams_as_it_sees_a_clip(variant: str) -> None:
    network = uneven(MoViNet(variant, num_classes=7), 4, 3, SIZE, SIZE)
    assert isinstance(network, MoViNet)
    video = frames(7)
    with torch.no_grad():
        expected = network(video)
        state: list[Tensor] = network.init_state(SIZE)
        for frame, of_clip in zip(video, expected, strict=True):
            logits, *state = network.step(frame.unsqueeze(0), *state)
            torch.testing.assert_close(logits[0], of_clip, rtol=1e-9, atol=1e-9)
    assert (expected[1:] - expected[:-1]).abs().amax() > 1e-3 * expected.std()


def test_a_movinets_clip_never_sees_the_future() -> None:
    network = uneven(MoViNet("a0", num_classes=7), 4, 3, SIZE, SIZE)
    video = frames(5)
    other = video.clone()
    other[3:] += 1
    with torch.no_grad():
        first, second = network(video), network(other)
    torch.testing.assert_close(first[:3], second[:3], rtol=1e-12, atol=1e-12)
    assert (first[3] - second[3]).abs().amax() > 1e-6


@pytest.mark.parametrize(
    ("variant", "size", "published_gmacs_of_50_frames"),
    [("a0", 172, 2.7), ("a1", 172, 6.0), ("a2", 224, 10.0)],
)
def test_a_movinet_costs_about_what_was_published(
    variant: str, size: int, published_gmacs_of_50_frames: float
) -> None:
    """By the authors' README; theirs are rounded, and of 3D kernels for the base networks."""
    with torch.device("meta"):
        network = MoViNet(variant).eval()
        count = macs(network.step, torch.empty(1, 3, size, size), *network.init_state(size))
    assert 50 * count / 1e9 == pytest.approx(published_gmacs_of_50_frames, rel=0.1)


def test_movinet_a0_has_as_many_parameters_as_its_released_stream_network() -> None:
    """3.75 M by the model card of litert-community/MoViNet-A0-Stream-LiteRT."""
    with torch.device("meta"):
        assert parameters(MoViNet("a0")) / 1e6 == pytest.approx(3.75, abs=0.005)


@pytest.mark.parametrize(
    ("count", "size", "gmacs"), [(4, 160, 0.60), (13, 160, 1.96), (16, 224, 4.73)]
)
def test_x3d_is_as_large_as_published(count: int, size: int, gmacs: float) -> None:
    """By SlowFast's model zoo; 3.79 M parameters by PyTorchVideo's."""
    with torch.device("meta"):
        network = X3d().eval()
        measured = macs(network, torch.empty(1, 3, count, size, size))
    assert measured / 1e9 == pytest.approx(gmacs, abs=0.006)
    assert parameters(network) / 1e6 == pytest.approx(3.79, abs=0.005)


def test_lowered_is_the_same_network() -> None:
    network = uneven(X3d(num_classes=7), 2, 3, 5, 32, 32)
    video = frames(5, 32)
    with torch.no_grad():
        expected = network(video.transpose(0, 1).unsqueeze(0))
        torch.testing.assert_close(lowered(network)(video), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(4, 4, 3, stride=2, padding=1),
        nn.Conv3d(4, 4, 3, padding=(0, 1, 1)),
        nn.Conv3d(4, 4, 3, padding=1, dilation=(1, 2, 2)),
    ],
)
def test_what_cannot_be_lowered_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match="Conv3d"):
        lowered(nn.Sequential(layer))


def test_the_shift_streams_as_it_sees_a_clip() -> None:
    network = uneven(TsmMobileNet(num_classes=7), 4, 3, 64, 64)
    assert isinstance(network, TsmMobileNet)
    video = frames(5, 64)
    with torch.no_grad():
        expected = network(video)
        state = [tensor.double() for tensor in network.init_state(64)]
        for frame, of_clip in zip(video, expected, strict=True):
            logits, *state = network.step(frame.unsqueeze(0), *state)
            torch.testing.assert_close(logits[0], of_clip, rtol=1e-9, atol=1e-9)


def test_the_shift_is_within_torchvisions_network() -> None:
    """Ten residual blocks shift, as in the paper's demo; torchvision says 3,504,872 parameters."""
    network = TsmMobileNet(num_classes=1000)
    widths = [tensor.shape[1] for tensor in network.init_state(224)]
    assert widths == [3, 4, 4, 8, 8, 8, 12, 12, 20, 20]
    assert parameters(network) == 3_504_872


@pytest.mark.parametrize(("value", "width"), [(27.0, 32), (13.5, 16), (6.75, 8), (3.375, 8)])
def test_published_widths_are_rounded_so(value: float, width: int) -> None:
    assert divisible(value) == width


class Sums(nn.Module):
    """Answers with the sum of all frames' means of each colour."""

    def init_state(self, size: int) -> list[Tensor]:
        return [torch.zeros(1, 3)]

    def step(self, frame: Tensor, total: Tensor) -> tuple[Tensor, ...]:
        total = total + frame.mean((2, 3))
        return total, total


def test_both_runtimes_carry_the_state_on(tmp_path: Path) -> None:
    network = Sums()
    inputs = (torch.zeros(SIZE, SIZE, 3, dtype=torch.uint8), *network.init_state(SIZE))
    built = Built(StepGraph(network, SIZE), inputs, 0, lambda: step_onnx(network, SIZE))
    path = tmp_path / "sums.onnx"
    path.write_bytes(built.onnx().SerializeToString())
    pictures = np.random.default_rng(0).integers(0, 256, (3, SIZE + 8, SIZE, 3), np.uint8)
    scaled = pictures[:, :SIZE] / 255.0 - IMAGENET_MEAN
    of_each = (scaled / IMAGENET_STD).mean((1, 2))
    onnx, eager = OnnxRun(path, pictures), TorchRun(built, pictures)
    for expected in np.cumsum(of_each[[0, 1, 2, 0]], axis=0):  # from the start after the last
        onnx.call()
        eager.call()
        np.testing.assert_allclose(onnx.logits(), expected, atol=1e-4)
        np.testing.assert_allclose(eager.answer.numpy(), expected, atol=1e-4)
    assert 0 < peak_bytes(path) < 100e6


def test_every_peer_is_told_apart_and_its_source_named() -> None:
    assert len(BY_NAME) == len(PEERS)
    for peer in PEERS:
        assert peer.frames > 1 if peer.kind == "clip" else peer.frames == 1
        if peer.published is not None:
            assert peer.published.source


def row(name: str, ms: float, gmacs: float) -> dict[str, Any]:
    timing = {"median_ms": ms, "p10_ms": ms, "p90_ms": ms, "cpu_median_ms": ms / 2}
    return {
        "name": name,
        "parameters": 1_000_000,
        "macs": gmacs * 1e9,
        "state_bytes": 2000,
        "peak_bytes": 3_000_000,
        "onnxruntime": timing,
        "torch": None,
    }


def test_targets_are_judged_by_hand() -> None:
    rows = [row("x3d_m", 90, 5), row("b1_stream", 10, 0.5), row("movinet_a0", 5, 0.05)]
    judged = {entry["ratio"]: entry for entry in judge(rows)}
    assert set(judged) == {"x3d_m / b1_stream", "movinet_a0 / b1_stream, per GMAC"}
    assert judged["x3d_m / b1_stream"]["value"] == 9
    assert not judged["x3d_m / b1_stream"]["met"]
    assert judged["movinet_a0 / b1_stream, per GMAC"]["value"] == 5
    assert judged["movinet_a0 / b1_stream, per GMAC"]["met"]


def test_a_stream_pays_for_every_frame_and_a_clip_once() -> None:
    stream, clip = row("b1_stream", 10, 0.5), row("x3d_m", 90, 5)
    assert gmacs_ms(stream) == 20
    assert every_ms(stream, 16) == 160
    assert every_ms(clip, 16) == 90
    table = markdown([clip, stream])
    assert [line.split("`")[1] for line in table[2:]] == ["b1_stream", "x3d_m"]
    assert "| 16 frames, 224² |" in table[3]


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    draw([row("x3d_m", 90, 5), row("b1_stream", 10, 0.5)], tmp_path / "peers.png", "Title")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    paths = RESULTS.glob("cpu-*/*-peers.json")
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    newest: dict[str, Any] = max(reports, key=lambda found: found["date"])
    return newest


def test_the_record_has_everyone_and_was_judged_so(report: dict[str, Any]) -> None:
    assert [entry["name"] for entry in report["peers"]] == [peer.name for peer in PEERS]
    assert judge(report["peers"]) == report["ratios"]


def test_recorded_sizes_are_near_the_published_ones(report: dict[str, Any]) -> None:
    for entry in report["peers"]:
        published = BY_NAME[entry["name"]].published
        if published is None:
            continue
        if published.parameters is not None:
            assert entry["parameters"] / 1e6 == pytest.approx(published.parameters, rel=0.01)
        if published.gmacs is not None:
            assert entry["macs"] / 1e9 == pytest.approx(published.gmacs, rel=0.1), entry["name"]


def test_the_readme_has_the_recorded_table(report: dict[str, Any]) -> None:
    text = README.read_text(encoding="utf-8")
    for line in markdown(report["peers"]):
        assert line in text
