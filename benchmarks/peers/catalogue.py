"""Who is compared: each network at the input its authors published it for, and what they published.

Published numbers are the authors'. None of them was measured here, and accuracies of different data
sets, numbers of views and training recipes do not compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx
import torch
from torch import Tensor, nn

from benchmarks.peers.graphs import ClipGraph, StepGraph, clip_onnx, settle, step_onnx
from benchmarks.peers.nets.borrowed import torchvision_models
from benchmarks.peers.nets.lowered import lowered
from benchmarks.peers.nets.movinet import MoViNet
from benchmarks.peers.nets.tsm import TsmMobileNet
from benchmarks.peers.nets.x3d import X3d
from effvit_edge.core.card import Mode, ModelCard
from effvit_edge.export.graphs import ClipGraph as OurClipGraph
from effvit_edge.export.graphs import StreamGraph
from effvit_edge.export.onnx import build_onnx
from effvit_edge.export.presets import random_preset
from effvit_edge.nn import EfficientViT, EfficientViT3d, fuse_for_inference

FRAMES = 16
"""Clip length and window of our networks: that of X3D-M, MViT and the ResNets."""

Kind = Literal["stream", "clip", "image"]
Kernels = tuple[int, int, int, int, int]
LATE: Kernels = (1, 1, 1, 3, 3)
"""Taps in time in the last two stages only; by default the stem has some, too."""
_SEED = 0
_SETTLING_FRAMES = 4


@dataclass(frozen=True)
class Published:
    """What the authors say."""

    parameters: float | None
    """Millions."""
    gmacs: float | None
    """Of one clip of the input below, or of one frame of a stream, billions."""
    accuracy: str
    """Top-1 with its data set; empty where there is none for actions."""
    source: str


@dataclass(frozen=True)
class Built:
    """A network with random weights, ready to run and to export."""

    graph: nn.Module
    inputs: tuple[Tensor, ...]
    """Pixels, then the state."""
    parameters: int
    onnx: Callable[[], onnx.ModelProto]


@dataclass(frozen=True)
class Peer:
    """One row of the comparison."""

    name: str
    family: str
    kind: Kind
    frames: int
    """Of a clip; 1 otherwise."""
    size: int
    """Height and width, pixels."""
    build: Callable[[Peer], Built]
    published: Published | None = None

    def calls_per_label(self, every: int) -> int:
        """How often it runs for one label in ``every`` frames: a stream must see all of them."""
        return every if self.kind == "stream" else 1


def _ours(preset: str, kernels: Kernels | None = None) -> Callable[[Peer], Built]:
    def build(peer: Peer) -> Built:
        mode: Mode = "clip" if peer.kind == "clip" else "stream"
        frames = None if peer.kind == "image" else FRAMES
        model, card = random_preset(
            preset, mode, num_frames=frames, input_size=peer.size, temporal_kernels=kernels
        )
        parameters = sum(p.numel() for p in model.parameters())
        graph, inputs = _our_graph(model, card, peer)
        return Built(graph, inputs, parameters, lambda: build_onnx(model, card, mode=mode))

    return build


def _our_graph(
    model: EfficientViT, card: ModelCard, peer: Peer
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    fused = fuse_for_inference(model).eval()
    if peer.kind == "clip":
        assert isinstance(fused, EfficientViT3d)
        return OurClipGraph(fused, card.preprocess, None), (_clip(peer),)
    state = {}
    if isinstance(model, EfficientViT3d):
        state = model.init_state(1, peer.size, peer.size)
    graph = StreamGraph(fused, card.preprocess, None, list(state))
    return graph, (_frame(peer), *state.values())


def _movinet(variant: str) -> Callable[[Peer], Built]:
    return lambda peer: _step(MoViNet(variant), peer)


def _tsm(peer: Peer) -> Built:
    return _step(TsmMobileNet(), peer)


def _step(network: MoViNet | TsmMobileNet, peer: Peer) -> Built:
    settle(network, (_SETTLING_FRAMES, 3, peer.size, peer.size))
    inputs = (_frame(peer), *network.init_state(peer.size))
    return Built(
        StepGraph(network, peer.size),
        inputs,
        sum(p.numel() for p in network.parameters()),
        lambda: step_onnx(network, peer.size),
    )


def _x3d(peer: Peer) -> Built:
    return _clips(X3d(), peer)


def _lowered_x3d(peer: Peer) -> Built:
    network = settle(X3d(), (2, 3, peer.frames, peer.size, peer.size))
    return _clips(lowered(network), peer, is_lowered=True)


def _torchvision(name: str) -> Callable[[Peer], Built]:
    return lambda peer: _clips(getattr(torchvision_models().video, name)(weights=None), peer)


def _clips(network: nn.Module, peer: Peer, *, is_lowered: bool = False) -> Built:
    if not is_lowered:
        settle(network, (2, 3, peer.frames, peer.size, peer.size))
    return Built(
        ClipGraph(network.eval(), peer.size, is_lowered=is_lowered),
        (_clip(peer),),
        sum(p.numel() for p in network.parameters()),
        lambda: clip_onnx(network, peer.frames, peer.size, is_lowered=is_lowered),
    )


def _frame(peer: Peer) -> Tensor:
    return torch.zeros(peer.size, peer.size, 3, dtype=torch.uint8)


def _clip(peer: Peer) -> Tensor:
    return torch.zeros(peer.frames, peer.size, peer.size, 3, dtype=torch.uint8)


def build(peer: Peer) -> Built:
    """The same weights at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        return peer.build(peer)


_MOVINET = "github.com/tensorflow/models, official/projects/movinet/README.md: 50 frames a video"
_SLOWFAST = "github.com/facebookresearch/SlowFast, MODEL_ZOO.md: 10 views"
_TORCHVISION = "torchvision 0.28, models.video: weights' metadata"
_TSM = "github.com/mit-han-lab/temporal-shift-module, README.md: 8 frames, 10 clips"

OURS = "ours"
PEERS = (
    Peer("b0_stream", OURS, "stream", 1, 224, _ours("efficientvit3d_b0")),
    Peer("b1_stream", OURS, "stream", 1, 224, _ours("efficientvit3d_b1")),
    Peer("b0_stream_late", OURS, "stream", 1, 224, _ours("efficientvit3d_b0", LATE)),
    Peer("b1_stream_late", OURS, "stream", 1, 224, _ours("efficientvit3d_b1", LATE)),
    Peer("b0_clip", OURS, "clip", FRAMES, 224, _ours("efficientvit3d_b0")),
    Peer("b1_clip", OURS, "clip", FRAMES, 224, _ours("efficientvit3d_b1")),
    Peer("b0_image", "EfficientViT 2D", "image", 1, 224, _ours("efficientvit_b0")),
    Peer("b1_image", "EfficientViT 2D", "image", 1, 224, _ours("efficientvit_b1")),
    Peer(
        "movinet_a0",
        "MoViNet",
        "stream",
        1,
        172,
        _movinet("a0"),
        Published(None, 2.7 / 50, "72.05 (Kinetics 600)", _MOVINET),
    ),
    Peer(
        "movinet_a1",
        "MoViNet",
        "stream",
        1,
        172,
        _movinet("a1"),
        Published(None, 6.0 / 50, "76.45 (Kinetics 600)", _MOVINET),
    ),
    Peer(
        "movinet_a2",
        "MoViNet",
        "stream",
        1,
        224,
        _movinet("a2"),
        Published(None, 10 / 50, "78.40 (Kinetics 600)", _MOVINET),
    ),
    Peer(
        "tsm_mobilenet_v2",
        "TSM",
        "stream",
        1,
        224,
        _tsm,
        Published(None, None, "69.5 (Kinetics 400)", _TSM),
    ),
    Peer(
        "x3d_xs",
        "X3D",
        "clip",
        4,
        160,
        _x3d,
        Published(3.8, 0.60, "68.7 (Kinetics 400)", _SLOWFAST),
    ),
    Peer(
        "x3d_s",
        "X3D",
        "clip",
        13,
        160,
        _x3d,
        Published(3.8, 1.96, "73.1 (Kinetics 400)", _SLOWFAST),
    ),
    Peer(
        "x3d_m",
        "X3D",
        "clip",
        16,
        224,
        _x3d,
        Published(3.8, 4.73, "75.1 (Kinetics 400)", _SLOWFAST),
    ),
    Peer("x3d_m_lowered", "X3D", "clip", 16, 224, _lowered_x3d),
    Peer(
        "r3d_18",
        "3D ResNets",
        "clip",
        16,
        112,
        _torchvision("r3d_18"),
        Published(33.371472, 40.697, "63.2 (Kinetics 400)", _TORCHVISION),
    ),
    Peer(
        "mc3_18",
        "3D ResNets",
        "clip",
        16,
        112,
        _torchvision("mc3_18"),
        Published(11.695440, 43.343, "64.0 (Kinetics 400)", _TORCHVISION),
    ),
    Peer(
        "r2plus1d_18",
        "3D ResNets",
        "clip",
        16,
        112,
        _torchvision("r2plus1d_18"),
        Published(31.505325, 40.519, "67.5 (Kinetics 400)", _TORCHVISION),
    ),
    Peer(
        "s3d",
        "S3D",
        "clip",
        16,
        224,
        _torchvision("s3d"),
        Published(8.320048, 17.979, "68.4 (Kinetics 400)", _TORCHVISION),
    ),
    Peer(
        "mvit_v2_s",
        "MViT",
        "clip",
        16,
        224,
        _torchvision("mvit_v2_s"),
        Published(34.537744, 64.224, "80.8 (Kinetics 400)", _TORCHVISION),
    ),
)
BY_NAME = {peer.name: peer for peer in PEERS}
