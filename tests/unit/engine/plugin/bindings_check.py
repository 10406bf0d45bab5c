"""Run in a process of its own: ``bindings_check MODULE HOST_LIBRARY``.

Drives the plugin classes as TensorRT would, with the real classes of a version's bindings, over
kernels compiled for this processor. Prints the bindings' version when all is right.

TensorRT owns plugins and releases them itself; the bindings' destructor counts on it. So plugins
made here are kept, and the process ends without collecting them.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.engine.plugin import CLIP_OP, DOMAIN, STEP_OP, VERSION
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.python_plugin import (
    Fields,
    make_creator,
    make_plugin,
    read_fields,
    write_fields,
)
from effvit_edge.engine.plugin.shape import AttentionShape
from tests.unit.engine.plugin.attending import draw, run_clip, run_steps

CLIP = AttentionShape(
    batch=2, frames=4, heads=3, head_dim=16, tokens=49, window=3, eps=1e-5, causal=True
)
FIELDS = Fields(eps=1e-5, window=3, causal=True, batch=2)


KEPT: list[Any] = []


class Builder:
    """Stands for IExprBuilder, which only TensorRT can make; dimensions are null pointers."""

    def __init__(self) -> None:
        self.operations: list[Any] = []

    def constant(self, value: int) -> int:
        return value

    def operation(self, kind: Any, first: Any, second: Any) -> None:
        self.operations.append((kind, second))


def keep(plugin: Any) -> Any:
    KEPT.append(plugin)
    return plugin


def describe(trt: Any, array: Any, *, linear: bool = True) -> Any:
    desc = trt.PluginTensorDesc()
    desc.dims = trt.Dims(array.shape)
    desc.type = trt.DataType.HALF if array.dtype == np.float16 else trt.DataType.FLOAT
    desc.format = trt.TensorFormat.LINEAR if linear else trt.TensorFormat.CHW32
    return desc


def describe_dynamic(trt: Any, array: Any, *, linear: bool = True) -> Any:
    dynamic = trt.DynamicPluginTensorDesc()
    dynamic.desc = describe(trt, array, linear=linear)
    dynamic.min = dynamic.max = trt.Dims(array.shape)
    return dynamic


def create(trt: Any, name: str, fields: Fields, kernels: SharedLibrary) -> Any:
    """Through the creator, as the parser and an engine do."""
    creator = make_creator(trt, name, kernels)
    declared = [field.name for field in creator.field_names]
    assert declared == (["eps", "window", "causal", "batch"] if name == CLIP_OP else ["eps"])
    assert (creator.name, creator.plugin_version) == (name, VERSION)
    assert creator.plugin_namespace == DOMAIN
    phase = trt.TensorRTPhase.BUILD
    return keep(creator.create_plugin("node", write_fields(trt, name, fields), phase))


def enqueue(trt: Any, plugin: Any, inputs: list[Any], outputs: list[Any]) -> None:
    dynamic = [describe_dynamic(trt, array) for array in (*inputs, *outputs)]
    bytes_needed = plugin.get_workspace_size(dynamic[: len(inputs)], dynamic[len(inputs) :])
    workspace = np.full(bytes_needed // 4, np.nan, np.float32)
    descs = [describe(trt, array) for array in (*inputs, *outputs)]
    in_descs, out_descs = descs[: len(inputs)], descs[len(inputs) :]
    plugin.configure_plugin(dynamic[: len(inputs)], dynamic[len(inputs) :])
    plugin.set_tactic(0)
    plugin.on_shape_change(in_descs, out_descs)
    addresses = [array.ctypes.data for array in inputs], [array.ctypes.data for array in outputs]
    plugin.enqueue(in_descs, out_descs, *addresses, workspace.ctypes.data, 0)


def check_clip(trt: Any, kernels: SharedLibrary, dtype: str) -> None:
    plugin = create(trt, CLIP_OP, FIELDS, kernels)
    for kind in trt.PluginCapabilityType.__members__.values():
        assert plugin.get_capability_interface(kind) is plugin
    assert plugin.num_outputs == 1
    assert (plugin.plugin_name, plugin.plugin_version) == (CLIP_OP, VERSION)
    assert plugin.plugin_namespace == DOMAIN
    qkv = draw(0, 8, 3, 16, 49).astype(dtype)
    out = np.full((8, 3, 16, 49), np.nan, dtype)
    enqueue(trt, keep(plugin.attach_to_context(None)), [qkv], [out])
    shape = AttentionShape(**{**vars(CLIP), "storage": dtype})
    np.testing.assert_array_equal(out, run_clip(kernels, shape, qkv))


def check_step(trt: Any, kernels: SharedLibrary, dtype: str, state: str) -> None:
    plugin = create(trt, STEP_OP, Fields(eps=1e-5), kernels)
    assert plugin.num_outputs == 2
    sizes = {"frames": 1, "storage": dtype, "state_storage": state}
    shape = AttentionShape(**{**vars(CLIP), **sizes})
    qkv = draw(1, 2, 3, 16, 49).astype(dtype)
    ring = np.zeros(shape.ring, state)
    seen = np.ones((2, 1, 1, 1), state)
    out, after = np.full((2, 3, 16, 49), np.nan, dtype), np.full_like(ring, np.nan)
    enqueue(trt, keep(plugin.clone()), [qkv, ring, seen], [out, after])
    np.testing.assert_array_equal(out, run_steps(kernels, shape, qkv))
    assert np.isfinite(after).all()


def check_fields(trt: Any, kernels: SharedLibrary) -> None:
    for name, fields in ((CLIP_OP, FIELDS), (STEP_OP, Fields(eps=0.25))):
        plugin = keep(make_plugin(trt, name, fields, kernels))
        read = read_fields(name, plugin.get_fields_to_serialize())
        assert read == Fields(**{**vars(fields), "eps": float(np.float32(fields.eps))})
    for name, missing in ((STEP_OP, "eps"), (CLIP_OP, "window")):
        kept = [f for f in write_fields(trt, CLIP_OP, FIELDS) if f.name != missing]
        try:
            read_fields(name, kept)
        except InputError as error:
            assert missing in str(error)
        else:
            raise AssertionError(f"{missing} was not missed")


def check_formats(trt: Any, kernels: SharedLibrary) -> None:
    full, half = np.zeros(1, np.float32), np.zeros(1, np.float16)
    cases = [
        (CLIP_OP, [full, full], True),
        (CLIP_OP, [half, half], True),
        (CLIP_OP, [half, full], False),
        (STEP_OP, [full] * 5, True),
        (STEP_OP, [half] * 5, True),
        (STEP_OP, [half, full, full, half, full], True),
        (STEP_OP, [full, half, half, full, half], False),
        (STEP_OP, [half, full, half, half, full], False),
        (STEP_OP, [half, half, half, half, full], False),
    ]
    for name, arrays, expected in cases:
        plugin = keep(make_plugin(trt, name, FIELDS, kernels))
        tensors = [describe_dynamic(trt, array) for array in arrays]
        answers = [
            plugin.supports_format_combination(i, tensors, len(arrays) - plugin.num_outputs)
            for i in range(len(arrays))
        ]
        assert all(answers) == expected, (name, [a.dtype for a in arrays], answers)
        blocked = [describe_dynamic(trt, array, linear=False) for array in arrays]
        assert not plugin.supports_format_combination(0, blocked, 1)


def check_shapes(trt: Any, kernels: SharedLibrary) -> None:
    builder = Builder()
    clip, step = (keep(make_plugin(trt, name, FIELDS, kernels)) for name in (CLIP_OP, STEP_OP))
    outputs = clip.get_output_shapes([trt.DimsExprs(4)], [], builder)
    assert [len(dims) for dims in outputs] == [4]
    outputs = step.get_output_shapes([trt.DimsExprs(n) for n in (4, 3, 4)], [], builder)
    assert [len(dims) for dims in outputs] == [4, 3]
    assert builder.operations == [(trt.DimensionOperation.FLOOR_DIV, 3)] * 2
    types = trt.DataType
    assert clip.get_output_data_types([types.HALF]) == [types.HALF]
    kinds = [types.HALF, types.FLOAT, types.FLOAT]
    assert step.get_output_data_types(kinds) == [types.HALF, types.FLOAT]


def main() -> None:
    trt = importlib.import_module(sys.argv[1])
    kernels = SharedLibrary(Path(sys.argv[2]))
    check_clip(trt, kernels, "float32")
    check_clip(trt, kernels, "float16")
    for dtype, state in (("float32", "float32"), ("float16", "float32"), ("float16", "float16")):
        check_step(trt, kernels, dtype, state)
    check_fields(trt, kernels)
    check_formats(trt, kernels)
    check_shapes(trt, kernels)
    sys.stdout.write(trt.__version__)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
