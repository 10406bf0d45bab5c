"""INT8 written into the graph: Q/DQ around the inputs and weights of layers that gain from it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import numpy as np
import onnx
from onnx import numpy_helper

from effvit_edge.core.optional import require
from effvit_edge.export.precision.channels import Ranges, add_to_bias, even_channels
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


def quantisable(model: onnx.ModelProto) -> list[str]:
    """The nodes that INT8 is for, in the graph's order."""
    return [name for name, kind in classify(model).items() if kind in QUANTISED]


def tensors_to_calibrate(model: onnx.ModelProto) -> list[str]:
    """What the quantisable nodes read besides their weights."""
    view = GraphView(model)
    chosen = set(quantisable(model))
    read = [name for node in view.nodes if node.name in chosen for name in node.input]
    return [name for name in dict.fromkeys(read) if name and name not in view.constants]


def read_by_convolutions(model: onnx.ModelProto) -> set[str]:
    """Those of ``tensors_to_calibrate(model)`` that have their channels before the picture."""
    chosen = set(quantisable(model))
    return {n.input[0] for n in model.graph.node if n.name in chosen and n.op_type == "Conv"}


def insert_qdq(
    model: onnx.ModelProto, ranges: Ranges, *, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """A float32 graph with Q/DQ around the quantisable nodes, by onnxruntime's quantiser.

    Weights are per channel, activations per tensor, everything is symmetric. What the rounding of
    its weights adds to a convolution's answer on average is taken off its bias.

    Args:
        model: in float32.
        ranges: of ``tensors_to_calibrate(model)``; with those of channels, inputs are evened first.
        exclude: nodes that stay as they are.
    """
    require("onnxruntime", "export")
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    nodes = [name for name in quantisable(model) if name not in set(exclude)]
    original, ranges = even_channels(model, ranges, nodes)
    _raise_opset(original)
    if not nodes:
        return original
    source = onnx.ModelProto()
    source.CopyFrom(original)
    limits = {n: (np.float32(-r.largest), np.float32(r.largest)) for n, r in ranges.items()}
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
    _leave_other_readers(result, nodes)
    lost = _requantise(result, original)
    _correct_biases(result, original, nodes, lost, ranges)
    known = [t.name for t in (*result.graph.input, *result.graph.initializer)]
    ordered = sort_nodes(result.graph.node, known)
    del result.graph.node[:]
    result.graph.node.extend(ordered)
    onnx.checker.check_model(result, full_check=True)
    return result


def _leave_other_readers(model: onnx.ModelProto, nodes: Collection[str]) -> None:
    """Let all but the quantised nodes read tensors as they were.

    The quantiser hands the rounded tensor to every reader; residuals would carry its error on.
    """
    made = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.name in nodes or node.op_type in QDQ:
            continue
        for index, name in enumerate(node.input):
            source = made.get(name)
            if source is not None and source.op_type == "DequantizeLinear":
                node.input[index] = made[source.input[0]].input[0]


def _raise_opset(model: onnx.ModelProto) -> None:
    """No operator of our graphs means anything else up to 20."""
    for holder in (model, *model.functions):
        for entry in holder.opset_import:
            if entry.domain == "":
                entry.version = max(entry.version, INT8_OPSET)


def _requantise(model: onnx.ModelProto, source: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Make every scale a normal number of half precision, and quantise the weights by those.

    The rest of the graph is cast to half precision afterwards, its scales too; rounded then, they
    would no longer be what the weights were divided by.

    Returns:
        What each weight of ``source`` has lost by rounding.
    """
    lost: dict[str, np.ndarray] = {}
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
            name = weight.name.removesuffix(_QUANTISED_SUFFIX)
            values = numpy_helper.to_array(originals[name])
            steps = rounded
            if rounded.ndim:
                steps = rounded.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
            integers = np.clip(np.rint(values / steps), -127, 127).astype(np.int8)
            weight.CopyFrom(constant(weight.name, integers))
            lost[name] = values - integers * steps
    return lost


def _correct_biases(
    model: onnx.ModelProto,
    source: onnx.ModelProto,
    nodes: Collection[str],
    lost: dict[str, np.ndarray],
    ranges: Ranges,
) -> None:
    """Add the answer to a mean input that was lost by rounding weights.

    This is the bias correction of Nagel et al. 2019 (arXiv:1906.04721), with the mean from
    calibration. Beside a border padded with zeros, it is an estimate.
    """
    children = {node.name: node for node in model.graph.node}
    for node in source.graph.node:
        known = ranges.get(node.input[0]) if node.name in nodes else None
        if node.op_type == "Conv" and known is not None and known.mean:
            mean = np.array(known.mean, np.float32)
            add_to_bias(model.graph, children[node.name], lost[node.input[1]].sum((2, 3)) @ mean)


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
