"""How much of half precision's range the attention of a float32 graph uses, seen on footage.

The attention's factors keep it in range for activations up to some thirty; weights may ask for
more. A graph that does gets its attention in float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from effvit_edge.export.precision.graph import GraphView
from effvit_edge.export.precision.nodes import attention_nodes
from effvit_edge.export.runner import Runner, Tensors, batch_of
from effvit_edge.export.samples import Clips
from effvit_edge.runtime.graph import NEXT_PREFIX

SAFE_REACH = 0.25
"""Footage that was not shown may have activations twice as large, and their products four times."""
_LARGEST = 65504.0  # of half precision
_FRAMES, _CLIPS = 64, 4


def attention_reach(model: onnx.ModelProto, footage: Clips) -> float:
    """The attention's largest number, as a part of the largest in half precision.

    Args:
        model: in float32; without attention it reaches 0.
        footage: ``(K, T, H, W, 3)`` uint8; the first 64 frames, or four clips, are looked at.
    """
    view = GraphView(model)
    # reciprocals are bounded by the divisor's own bound, and of zero queries are there at once
    nodes = [node for node in attention_nodes(view) if node.op_type != "Reciprocal"]
    tensors = [name for node in nodes for name in node.output if view.is_float(name)]
    outputs = {tensor.name for tensor in model.graph.output}
    runner = Runner(model, [name for name in tensors if name not in outputs])
    states = {name.removeprefix(NEXT_PREFIX) for name in tensors if name in outputs}
    largest = 0.0
    for after, taps in _moments(runner, footage, batch_of(model)):
        seen = [*taps.values(), *(after[name] for name in states)]
        largest = max([largest, *(float(np.abs(values).max()) for values in seen)])
    return largest / _LARGEST


def _moments(
    runner: Runner, footage: Clips, batch: int | None
) -> Iterator[tuple[Tensors, Tensors]]:
    """The state after each frame or clip, and the tensors within."""
    if runner.stream:
        images = footage.reshape(-1, *footage.shape[2:])[:_FRAMES]
    else:
        images = footage[:_CLIPS]
    state = runner.start()
    for image in images:
        shown = image if batch is None else np.stack([image] * batch)
        _, state, taps = runner.run(shown, state)
        yield state, taps
