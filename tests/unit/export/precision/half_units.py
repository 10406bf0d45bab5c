"""Half-precision graphs in numpy, with sums as units of different kinds do them; the formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = npt.NDArray[Any]
Total = Callable[[Array], Array]
"""Adds up float32 terms along the first axis; float16."""


def formula(packed: Array, eps: float = 1e-5) -> Array:
    """Frames ``(F, heads, 3d, N)`` of one window -> answers of the last one, in float64."""
    q, k, v = np.split(packed.astype(np.float64), 3, axis=2)
    q, k = np.maximum(q[-1], 0), np.maximum(k, 0)
    summary = np.einsum("fhin,fhjn->hij", v, k)
    total = np.einsum("fhjn,hjm->hm", k, q)[:, None] + eps * len(packed)
    return np.asarray(np.einsum("hij,hjm->him", summary, q) / total)


def in_single(terms: Array) -> Array:
    """In float32, rounded once, as tensor cores with float32 accumulators do."""
    return np.asarray(terms.sum(0, dtype=np.float32).astype(np.float16))


def by_sixteens(terms: Array) -> Array:
    """Sixteen at a time exactly, the running sum rounded after each, as FP16 accumulators do."""
    total = np.zeros(terms.shape[1:], np.float16)
    for start in range(0, len(terms), 16):
        total = (total.astype(np.float32) + terms[start : start + 16].sum(0)).astype(np.float16)
    return total


def one_by_one(terms: Array) -> Array:
    """The running sum is rounded after every term: the worst order there is."""
    total = np.zeros(terms.shape[1:], np.float16)
    for term in terms:
        total = (total.astype(np.float32) + term).astype(np.float16)
    return total


def run(model: onnx.ModelProto, feeds: Mapping[str, Array], total: Total) -> dict[str, Array]:
    """The outputs of a graph whose every node rounds to the type of its output.

    Args:
        model: of the operators that the attention is made of.
        feeds: its inputs.
        total: how products and sums are added up.
    """
    names = [tensor.name for tensor in model.graph.output]
    evaluator = ReferenceEvaluator(model, new_ops=[_product(total), _sum(total)])
    return dict(zip(names, evaluator.run(names, dict(feeds)), strict=True))


def _product(total: Total) -> type[OpRun]:
    class MatMul(OpRun):
        op_domain = ""

        def _run(self, a: Array, b: Array) -> tuple[Array]:
            assert a.dtype == b.dtype == np.float16
            left, right = a.astype(np.float32), b.astype(np.float32)
            terms = np.moveaxis(left, -1, 0)[..., None] * np.moveaxis(right, -2, 0)[..., None, :]
            return (total(terms),)

    return MatMul


def _sum(total: Total) -> type[OpRun]:
    class ReduceSum(OpRun):
        op_domain = ""

        def _run(
            self, x: Array, axes: Array, keepdims: int = 1, noop_with_empty_axes: int = 0
        ) -> tuple[Array]:
            assert x.dtype == np.float16
            (axis,) = (int(a) for a in axes)
            out = total(np.moveaxis(x, axis, 0).astype(np.float32))
            return (np.expand_dims(out, axis) if keepdims else out,)

    return ReduceSum
