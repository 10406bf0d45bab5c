"""INT8 written into the graph: Q/DQ around the inputs and weights of layers that gain from it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import numpy as np
import onnx
from onnx import numpy_helper

from effvit_edge.core.optional import require
from effvit_edge.export.precision.fp16 import LEAST_NORMAL
from effvit_edge.export.precision.graph import GraphView, constant, sort_nodes
from effvit_edge.export.precision.nodes import Kind, classify

INT8_OPSET = 19
"""The first whose Q/DQ take half precision; TensorRT 10.3 reads up to 20."""
QUANTISED: frozenset[Kind] = frozenset({"dense", "pointwise", "linear"})
"""Depthwise and grouped layers are as fast in FP16; attention and head are too delicate."""
QDQ = frozenset({"QuantizeLinear", "DequantizeLinear"})
_QUANTISED_SUFFIX = "_quantized"  # the quantiser's, of weights
_OPERATORS = ["Conv", "Gemm", "MatMul"]
_OPTIONS = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    # TensorRT wants inputs of layers quantised, biases not, and fuses what is behind.
    "QuantizeBias": False,
    "OpTypesToExcludeOutputQuantization": _OPERATORS,
}

Ranges = Mapping[str, float]
"""The largest magnitude that each tensor is to hold; beyond it, values saturate."""


def quantisable(model: onnx.ModelProto) -> list[str]:
    """The nodes that INT8 is for, in the graph's order."""
    return [name for name, kind in classify(model).items() if kind in QUANTISED]


def tensors_to_calibrate(model: onnx.ModelProto) -> list[str]:
    """What the quantisable nodes read besides their weights."""
    view = GraphView(model)
    chosen = set(quantisable(model))
    read = [name for node in view.nodes if node.name in chosen for name in node.input]
    return [name for name in dict.fromkeys(read) if name and name not in view.constants]


def insert_qdq(
    model: onnx.ModelProto, ranges: Ranges, *, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """A float32 graph with Q/DQ around the quantisable nodes, by onnxruntime's quantiser.

    Weights are per channel, everything is symmetric.

    Args:
        model: in float32.
        ranges: of ``tensors_to_calibrate(model)``.
        exclude: nodes that stay as they are.
    """
    require("onnxruntime", "export")
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    source = onnx.ModelProto()
    source.CopyFrom(model)
    nodes = [name for name in quantisable(model) if name not in set(exclude)]
    _raise_opset(source)
    if not nodes:
        return source
    limits = {name: (np.float32(-largest), np.float32(largest)) for name, largest in ranges.items()}
    data = TensorsData(CalibrationMethod.MinMax, limits)
    with quiet_onnxruntime():
        quantizer = QDQQuantizer(
            source,
            True,  # per channel
            False,  # of eight bits, not seven
            QuantType.QInt8,
            QuantType.QInt8,
            data,
            nodes,
            [],
            _OPERATORS,
            _OPTIONS,
        )
        quantizer.quantize_model()
    result: onnx.ModelProto = quantizer.model.model
    del result.opset_import[:]
    result.opset_import.extend(model.opset_import)  # the quantiser adds domains it does not use
    _raise_opset(result)
    _name_all(result)
    _requantise(result, model)
    known = [t.name for t in (*result.graph.input, *result.graph.initializer)]
    ordered = sort_nodes(result.graph.node, known)
    del result.graph.node[:]
    result.graph.node.extend(ordered)
    onnx.checker.check_model(result, full_check=True)
    return result


def _raise_opset(model: onnx.ModelProto) -> None:
    """No operator of our graphs means anything else up to 20."""
    for holder in (model, *model.functions):
        for entry in holder.opset_import:
            if entry.domain == "":
                entry.version = max(entry.version, INT8_OPSET)


def _requantise(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
    """Make every scale a normal number of half precision, and quantise the weights by those.

    The rest of the graph is cast to half precision afterwards, its scales too; rounded then, they
    would no longer be what the weights were divided by.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    originals = {tensor.name: tensor for tensor in source.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in QDQ:
            continue
        scale = tensors[node.input[1]]
        exact = numpy_helper.to_array(scale)
        rounded = _round_up(exact)
        scale.CopyFrom(constant(scale.name, rounded))
        weight = tensors.get(node.input[0])
        if node.op_type == "DequantizeLinear" and weight is not None:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            values = numpy_helper.to_array(originals[weight.name.removesuffix(_QUANTISED_SUFFIX)])
            steps = rounded
            if rounded.ndim:
                steps = rounded.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
            integers = np.clip(np.rint(values / steps), -127, 127).astype(np.int8)
            weight.CopyFrom(constant(weight.name, integers))


def _round_up(scales: np.ndarray) -> np.ndarray:
    """The next numbers of half precision, as float32, so that nothing saturates."""
    half = np.maximum(scales, LEAST_NORMAL).astype(np.float16)
    up = np.nextafter(half, np.float16(np.inf))
    rounded: np.ndarray = np.where(half.astype(np.float32) < scales, up, half).astype(np.float32)
    return rounded


def _name_all(model: onnx.ModelProto) -> None:
    """Name nodes by what they make, where they have no name."""
    for node in model.graph.node:
        node.name = node.name or f"{node.op_type}_{node.output[0]}"


@contextmanager
def quiet_onnxruntime() -> Iterator[None]:
    """Without what onnxruntime's quantiser prints and logs about its progress."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logger.setLevel(level)
