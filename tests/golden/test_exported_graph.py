"""The operators, inputs and outputs of the default B0 stream, reviewed as text.

After a wanted change: ``python -m tests.golden.test_exported_graph`` writes the file anew.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnx

from tests.unit.export.networks import stream

GOLDEN = Path(__file__).with_name("exported_b0_stream.json")


def summarize(proto: onnx.ModelProto) -> dict[str, Any]:
    ops = Counter(node.op_type for node in proto.graph.node)
    return {
        "ir_version": proto.ir_version,
        "opset": proto.opset_import[0].version,
        "inputs": [_describe(value) for value in proto.graph.input],
        "outputs": [_describe(value) for value in proto.graph.output],
        "ops": dict(sorted(ops.items())),
    }


def _describe(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
    return f"{value.name} {kind} {[axis.dim_value for axis in tensor.shape.dim]}"


def test_the_graph_is_the_one_that_was_reviewed() -> None:
    assert summarize(stream().proto) == json.loads(GOLDEN.read_text(encoding="utf-8"))


if __name__ == "__main__":
    text = json.dumps(summarize(stream().proto), indent=1) + "\n"
    GOLDEN.write_text(text, encoding="utf-8")
