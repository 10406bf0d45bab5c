"""Graphs for the precision passes, and labelled footage that needs no files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from effvit_edge.core.card import IMAGENET_MEAN, IMAGENET_STD, LabelGroup, Preprocess
from effvit_edge.core.motion import LABELS
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.data.motion import MotionSequences
from effvit_edge.data.types import LabelledSequence
from effvit_edge.export.precision.calibrate import Calibration, calibrate
from tests.unit.export.networks import B0, IMAGE, SIZE, clip, stream

DEMO = Path(__file__).parents[4] / "models" / "demo.onnx"
GRAPHS = {
    "stream": lambda: stream(B0),
    "taps everywhere": lambda: stream(B0, temporal_kernels=(3, 3, 3, 3, 3)),
    "two cameras": lambda: stream(B0, batch=2, window=2),
    "clip": lambda: clip(B0),
    "image": lambda: stream(IMAGE),
}


def footage(frames: int = 24) -> np.ndarray:
    """``(1, T, H, W, 3)`` of rendered motion."""
    return MotionSequences(size=SIZE, frames=frames, count=1, textures=1, seed=5)[0].frames[None]


def real_clip(test_data: Path, size: int, frames: int) -> np.ndarray:
    """``(1, T, size, size, 3)`` from a real video."""
    import av

    spec = Preprocess(size, size, "short_side", 1.0, IMAGENET_MEAN, IMAGENET_STD)
    path = min((test_data / "asl20").glob("*.mkv"))
    with av.open(str(path)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return np.stack([preprocess_frame(p, spec) for p in pictures[: 2 * frames : 2]])[None]


def sequences(count: int = 27, frames: int = 8, size: int = SIZE) -> MotionSequences:
    """Rendered motion with a label a frame."""
    return MotionSequences(size=size, frames=frames, count=count, textures=3, seed=1)


@cache
def calibrated(name: str) -> Calibration:
    """The ranges of one of ``GRAPHS``."""
    return calibrate(GRAPHS[name]().proto, as_shown(name), method="minmax", clips=27)


def as_shown(name: str) -> MotionSequences | Views:
    """Sequences for a stream, views for a clip model."""
    return Views() if name == "clip" else sequences()


@dataclass
class Views:
    """Sequences of one view of four frames each, of labels that come in turn."""

    groups: tuple[LabelGroup, ...] = (LabelGroup("motion", LABELS),)
    failures: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return 27

    def __getitem__(self, index: int) -> LabelledSequence:
        frames = sequences()[index].frames[None, :4]
        return LabelledSequence(str(index), frames, np.array([[index % 9]]))


def types_of(model: onnx.ModelProto) -> dict[str, str]:
    """The numpy name of every input, output and tensor within, from onnx's own inference."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.input, *graph.value_info, *graph.output]
    return {
        value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
        for value in values
    }


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """A node by its name."""
    return next(n for n in model.graph.node if n.name == name)


def overflowing(parent: onnx.ModelProto, factor: float = 1e7) -> tuple[onnx.ModelProto, str]:
    """The same function with a detour through numbers that half precision does not have.

    Returns:
        The graph, and the name of the node that makes them.
    """
    model = onnx.ModelProto()
    model.CopyFrom(parent)
    target = next(n for n in model.graph.node if n.op_type == "HardSwish")
    name = target.output[0]
    target.output[0] = f"{name}_before"
    for value, factor_name in ((factor, "up"), (1 / factor, "down")):
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(value, np.float32), factor_name)
        )
    place = list(model.graph.node).index(target) + 1
    for made in (
        helper.make_node("Mul", [f"{name}_large", "down"], [name], name="planted_down"),
        helper.make_node("Mul", [f"{name}_before", "up"], [f"{name}_large"], name="planted_up"),
    ):
        model.graph.node.insert(place, made)
    onnx.checker.check_model(model, full_check=True)
    return model, "planted_up"
