"""One row of the table: a preset exported, and its engine built.

The engine's size and the time of the build are of TensorRT-RTX, which keeps code for several
devices; on a device TensorRT's own are others. What carries over is that the parser and the
builder take the graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import onnx

from effvit_edge.core.card import Mode, Precision
from effvit_edge.engine import EngineOptions, build_engine
from effvit_edge.export import build_onnx, random_preset
from effvit_edge.export.precision.channels import Range
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.int8 import insert_qdq, tensors_to_calibrate
from effvit_edge.export.precision.nodes import named_nodes

VARIANTS = ("b0", "b1", "b2", "b3", "l1")
Pass = Callable[[onnx.ModelProto], onnx.ModelProto]
MODES: tuple[Mode, ...] = ("stream", "clip")
INPUT_SIZE, NUM_FRAMES, NUM_CLASSES = 224, 8, 97
_RANGE = Range(4.0)
"""Of every quantised tensor: scales change what is computed, not what is parsed and built."""


def _to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """As the export does by default: the layer that reads pixels stays in float32."""
    return to_fp16(model, islands=named_nodes(model, "entry"))


def _to_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    ranges = dict.fromkeys(tensors_to_calibrate(model), _RANGE)
    return _to_half(insert_qdq(model, ranges))


PASSES: dict[Precision, Pass] = {
    "fp32": lambda model: model,
    "fp16": _to_half,
    "int8": _to_int8,
}
"""From a float32 graph to one of each precision."""


@dataclass(frozen=True)
class Case:
    """A graph to build."""

    variant: str
    mode: Mode
    precision: Precision

    def __str__(self) -> str:
        """For people and for the names of tests."""
        return f"{self.variant}-{self.mode}-{self.precision}"


CASES = tuple(itertools.starmap(Case, itertools.product(VARIANTS, MODES, PASSES)))


def build_case(case: Case, folder: Path) -> dict[str, object]:
    """Export and build; the engine stays in the folder.

    Raises:
        EdgeError: the graph is not exported, parsed or built.
    """
    proto = PASSES[case.precision](_export(case.variant, case.mode))
    path = folder / f"{case}.onnx"
    path.write_bytes(proto.SerializeToString())
    report = build_engine(path, path.with_suffix(".plan"), EngineOptions(flavour="tensorrt_rtx"))
    return {
        **asdict(case),
        "nodes": len(proto.graph.node),
        "onnx_bytes": path.stat().st_size,
        "plan_bytes": report.sidecar.plan_bytes,
        "build_seconds": report.sidecar.build_seconds,
        "tensorrt": report.sidecar.tensorrt,
    }


@lru_cache(maxsize=1)  # the precisions of a graph come one after the other
def _export(variant: str, mode: Mode) -> onnx.ModelProto:
    model, card = random_preset(
        f"efficientvit3d_{variant}",
        mode,
        num_classes=NUM_CLASSES,
        num_frames=NUM_FRAMES,
        input_size=INPUT_SIZE,
    )
    return build_onnx(model.eval(), card, mode=mode)
