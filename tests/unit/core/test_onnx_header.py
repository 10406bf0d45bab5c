"""The header reader against the onnx package itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from effvit_edge.core.errors import InputError
from effvit_edge.core.onnx_header import read_onnx_header


def make_graph() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["frame"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "ones"], ["y"]),
        helper.make_node("Add", ["y", "half"], ["z"]),
        helper.make_node("Own", ["z"], ["out"], domain="effvit_edge"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [4, "n", 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT16, [])],
        [
            helper.make_tensor("ones", TensorProto.FLOAT, [4, 1, 3], [1.0] * 12),
            helper.make_tensor("half", TensorProto.FLOAT16, [2], [0.5, 0.5]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("effvit_edge", 1)]
    body = helper.make_node("Relu", ["a"], ["b"])
    own = helper.make_function("effvit_edge", "Own", ["a"], ["b"], [body], opsets)
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets, functions=[own])
    helper.set_model_props(model, {"key": "värde", "empty": ""})
    return model


def test_it_reads_what_onnx_wrote(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(make_graph(), path)
    header = read_onnx_header(path)
    assert (header.ir_version, header.opsets) == (10, {"": 18, "effvit_edge": 1})
    assert header.metadata == {"key": "värde", "empty": ""}
    assert header.ops == Counter({"Add": 2, "Cast": 1, "effvit_edge::Own": 1})
    assert header.functions == {"effvit_edge::Own"}
    assert header.weight_elements == {"float32": 12, "float16": 2}
    (frame,), (out,) = header.inputs, header.outputs
    assert (frame.name, frame.dtype, frame.shape) == ("frame", "uint8", (4, "n", 3))
    assert (out.name, out.dtype, out.shape) == ("out", "float16", ())


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"\x00" * 64, b"\x08\x0a", b"<html></html>"]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not an ONNX file, or not all of one"):
        read_onnx_header(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*gone\.onnx"):
        read_onnx_header(tmp_path / "gone.onnx")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.integers(0, 10_000), st.binary(max_size=4))
@example(0, b"")
def test_damage_gives_a_header_or_one_clear_error(tmp_path: Path, cut: int, planted: bytes) -> None:
    data = bytearray(make_graph().SerializeToString())
    place = cut % len(data)
    path = tmp_path / "m.onnx"
    path.write_bytes(data[:place] + planted)
    try:
        read_onnx_header(path)
    except InputError as error:
        assert str(path) in str(error)
