"""What every exported graph keeps to, so that TensorRT and ONNX Runtime take it everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from effvit_edge.core import attention_op
from effvit_edge.core.errors import EdgeError

OPSET = 18
IR_VERSION = 10
MAX_AXES = 4
_FORBIDDEN = {
    "control flow": {"If", "Loop", "Scan"},
    "assignment into slices": {"ScatterND", "ScatterElements", "Scatter"},
    "shape arithmetic": {"Shape", "Size", "Gather", "ConstantOfShape", "Range", "NonZero"},
}


def check_rules(model: onnx.ModelProto) -> None:
    """Hold a graph to the contract of exported graphs.

    Raises:
        EdgeError: a rule is broken; the message names all of them.
    """
    broken = list(broken_rules(model))
    if broken:
        raise EdgeError(
            "The exported graph breaks the project's rules: "
            f"{'; '.join(broken)}. Export with the pinned versions of torch and onnxscript."
        )


def broken_rules(model: onnx.ModelProto) -> Iterator[str]:
    """The rules that a graph breaks, as short sentences."""
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets not in ({"": OPSET}, {"": OPSET, attention_op.DOMAIN: attention_op.OPSET}):
        yield f"opsets are {opsets}, not {OPSET} alone"
    if model.ir_version != IR_VERSION:
        yield f"IR version is {model.ir_version}, not {IR_VERSION}"
    if any(function.domain != attention_op.DOMAIN for function in model.functions):
        yield "it has local functions"
    ops = {node.op_type for node in model.graph.node}
    for what, names in _FORBIDDEN.items():
        if found := sorted(ops & names):
            yield f"{what} ({', '.join(found)})"
    yield from _broken_at_the_input(model.graph)
    yield from _broken_shapes(model)


def _broken_at_the_input(graph: onnx.GraphProto) -> Iterator[str]:
    """The uint8 input is cast before anything else touches it."""
    name = graph.input[0].name
    consumers = [node.op_type for node in graph.node if name in node.input]
    if graph.input[0].type.tensor_type.elem_type != onnx.TensorProto.UINT8:
        yield f"input '{name}' is not uint8"
    if consumers != ["Cast"]:
        yield f"input '{name}' goes into {consumers}, not into one Cast"


def _broken_shapes(model: onnx.ModelProto) -> Iterator[str]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    known = {v.name: v for v in [*inferred.value_info, *inferred.input, *inferred.output]}
    batch_of_clips = _batch_of_clips(inferred)
    for name in sorted(known.keys() - batch_of_clips):
        shape = known[name].type.tensor_type.shape.dim
        if len(shape) > MAX_AXES:
            yield f"'{name}' has {len(shape)} axes"
        if not all(axis.HasField("dim_value") and axis.dim_value > 0 for axis in shape):
            yield f"the shape of '{name}' is not fixed"
    for tensor in inferred.initializer:
        if len(tensor.dims) > MAX_AXES:
            yield f"weight '{tensor.name}' has {len(tensor.dims)} axes"
    made = {output for node in inferred.node for output in node.output if output}
    if unknown := sorted(made - known.keys()):
        yield f"the shape of '{unknown[0]}' is unknown"


def _batch_of_clips(graph: onnx.GraphProto) -> set[str]:
    """``(B, T, H, W, 3)`` and its cast: the contract itself asks for these five axes."""
    frames = graph.input[0]
    if frames.name != "frames" or len(frames.type.tensor_type.shape.dim) != MAX_AXES + 1:
        return set()
    casts = {node.output[0] for node in graph.node if frames.name in node.input}
    return {frames.name, *casts}
