"""From a graph to a time: each layer takes as long as the slower of computing and moving.

A layer's time is ``max(2 MACs / (c C), bytes / (m B)) + L`` (the roofline of Williams, Waterman and
Patterson, 2009) with the device's peak rate ``C`` at the layer's precision, its bandwidth ``B``,
the shares ``c`` and ``m`` of them that layers reach, and the time ``L`` between two kernels.
Activations, additions and casts behind a convolution or a product are taken to be fused into it:
they cost nothing. What only renames a tensor costs nothing, either.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from effvit_edge.bench.estimate.devices import DeviceRates
from effvit_edge.core.errors import InputError
from effvit_edge.core.onnx_header import NodeInfo, OnnxHeader
from effvit_edge.core.onnx_layers import OTHER, LayerGraph

_FREE = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Constant", "Shape"}
_FUSED = {
    "Add",
    "Cast",
    "Clip",
    "DequantizeLinear",
    "Div",
    "HardSigmoid",
    "HardSwish",
    "Mul",
    "QuantizeLinear",
    "Relu",
    "Sub",
}
"""With one reader and behind a layer that computes, TensorRT makes these part of it."""
_DEFAULT_RATE = "fp32"


@dataclass(frozen=True)
class LayerTime:
    """One kernel, as estimated."""

    op: str
    kind: str
    macs: int
    bytes: int
    milliseconds: float
    bound: str
    """``compute`` or ``memory``."""


@dataclass(frozen=True)
class Estimate:
    """A whole graph."""

    device: DeviceRates
    layers: tuple[LayerTime, ...]

    @property
    def milliseconds(self) -> float:
        """Of one run; an estimate."""
        return sum(layer.milliseconds for layer in self.layers)

    @property
    def by_kind(self) -> dict[str, float]:
        """Milliseconds of each kind of layer, the most first."""
        found: dict[str, float] = {}
        for layer in self.layers:
            found[layer.kind] = found.get(layer.kind, 0.0) + layer.milliseconds
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def memory_bound_share(self) -> float:
        """Of the time, in layers that wait for memory."""
        bound = sum(layer.milliseconds for layer in self.layers if layer.bound == "memory")
        return bound / self.milliseconds if self.layers else 0.0


def predict(header: OnnxHeader, device: DeviceRates) -> Estimate:
    """Estimate one run of a graph.

    Args:
        header: of the ONNX file, whose precision is that of its tensors.
        device: what it would run on.

    Raises:
        InputError: the file does not describe the tensors within its graph.
    """
    graph = LayerGraph(header)
    readers = Counter(name for node in header.nodes for name in node.inputs)
    inside: set[str] = set()
    """Tensors that a kernel makes and may go on with, before they are written."""
    layers = []
    for node in header.nodes:
        if node.op in _FREE:
            inside.update(node.outputs if node.inputs and node.inputs[0] in inside else ())
            continue
        if _is_fused(node, inside, readers):
            inside.update(node.outputs)
            continue
        layers.append(_layer(node, graph, device))
        inside.update(node.outputs)
    return Estimate(device, tuple(layers))


def _is_fused(node: NodeInfo, inside: set[str], readers: Counter[str]) -> bool:
    return node.op in _FUSED and any(name in inside and readers[name] == 1 for name in node.inputs)


def _layer(node: NodeInfo, graph: LayerGraph, device: DeviceRates) -> LayerTime:
    kind = graph.kind(node) or "moving"
    macs = graph.macs(node, kind) if kind != "moving" else 0
    sizes = [graph.bytes(name) for name in (*node.inputs, *node.outputs) if name]
    if macs is None or any(size is None for size in sizes):
        raise InputError(
            f"The file does not tell the shapes around a node {node.op}, so nothing can be "
            "estimated. Export it again with: effvit-edge export."
        )
    moved = sum(size for size in sizes if size is not None)
    rate = device.teraflops.get(graph.precision(node), device.teraflops[_DEFAULT_RATE])
    computing = 2 * macs / (device.compute_share * rate * 1e12)
    moving = moved / (device.memory_share * device.gigabytes_per_second * 1e9)
    seconds = max(computing, moving) + device.launch_microseconds * 1e-6
    bound = "compute" if computing > moving and kind != OTHER else "memory"
    return LayerTime(node.op, kind, macs, moved, seconds * 1000, bound)
