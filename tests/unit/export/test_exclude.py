from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest

from effvit_edge.core.comparison import Comparison
from effvit_edge.core.errors import GateFailure
from effvit_edge.export.convert import read_parent
from effvit_edge.export.exclude import ALLOW, find_exclusions
from effvit_edge.export.gate import LIMITS, Gate, Limits, Verdict
from effvit_edge.export.precision.channels import Range
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.int8 import insert_qdq, quantisable, tensors_to_calibrate
from effvit_edge.export.runner import onnx_logits
from effvit_edge.export.samples import render_samples

DEMO = Path(__file__).parents[3] / "models" / "demo.onnx"


@dataclass
class Scales:
    """A gate in closed form: every reduced node adds its weight, and so much is let through."""

    weights: dict[str, float]
    most: float
    judged: int = 0
    allowed: set[float] = field(default_factory=set)

    def convert(self, kept: Collection[str]) -> onnx.ModelProto:
        return onnx.ModelProto(doc_string=" ".join(sorted(set(self.weights) - set(kept))))

    def harm(self, child: onnx.ModelProto) -> float:
        return sum(self.weights[name] for name in child.doc_string.split())

    def judge(self, child: onnx.ModelProto, *, allow: float) -> Verdict:
        self.judged += 1
        self.allowed.add(allow)
        faults = () if self.harm(child) <= self.most else ("too much",)
        return Verdict(Comparison(0, 0, 1, 1, 1), 0, None, faults)


def search(scales: Scales, ticks: list[tuple[int, int]] | None = None) -> list[str]:
    tick = None if ticks is None else lambda done, total: ticks.append((done, total))
    excluded, child, verdict = find_exclusions(
        scales,  # type: ignore[arg-type]
        scales.convert,
        list(scales.weights),
        tick=tick,
    )
    assert verdict.passed
    assert child == scales.convert(excluded)
    return excluded


@pytest.mark.parametrize("most", [0, 1, 3, 7, 100, 5000])
def test_no_more_are_excluded_than_must_be(most: float) -> None:
    """Of weights 0, 1, 2 … the heaviest go, until the rest is light enough: counted by hand."""
    weights = {f"n{i}": float(i * 37 % 100) for i in range(100)}
    scales = Scales(weights, most)
    excluded = search(scales)
    left = sorted(weights.values())
    expected = next(k for k in range(101) if sum(left[: 100 - k]) <= most)
    assert len(excluded) == expected
    assert [weights[n] for n in excluded] == sorted(weights.values(), reverse=True)[:expected]
    assert scales.judged <= math.log2(100) + 3
    assert scales.allowed == {ALLOW}


def test_progress_goes_up_to_what_was_said() -> None:
    ticks: list[tuple[int, int]] = []
    search(Scales({f"n{i}": 1.0 for i in range(30)}, 12), ticks)
    assert [done for done, _ in ticks] == list(range(1, len(ticks) + 1))
    assert {total for _, total in ticks} == {ticks[0][1]}
    assert ticks[-1][0] <= ticks[0][1]


def test_excluding_everything_is_refused() -> None:
    with pytest.raises(GateFailure, match=r"only if all 8 layers .* nothing is reduced") as caught:
        search(Scales({f"n{i}": 5.0 for i in range(8)}, 1))
    assert caught.value.exit_code == 4


def test_where_nothing_helps_the_gate_says_why() -> None:
    scales = Scales({"a": 1.0, "b": 1.0}, -1)
    excluded, _, verdict = find_exclusions(
        scales,  # type: ignore[arg-type]
        scales.convert,
        ["a", "b"],
    )
    assert sorted(excluded) == ["a", "b"] and verdict.faults == ("too much",)


def demo_gate(limits: Limits) -> Gate:
    parent = read_parent(DEMO)
    return Gate(parent.model, parent.card, render_samples(parent.card, 12), limits, follow=96)


def test_int8_layers_with_useless_ranges_are_found_or_all_refused() -> None:
    """Ranges that are a thousand times too wide leave a layer's input no step."""
    model = read_parent(DEMO).model
    layers = quantisable(model)[8:12]
    others = set(quantisable(model)) - set(layers)
    view = {node.name: node.input[0] for node in model.graph.node}
    gate = demo_gate(dataclasses.replace(LIMITS["int8"], agreement=0))

    def convert(ranges: dict[str, Range], kept: Collection[str]) -> onnx.ModelProto:
        return to_fp16(insert_qdq(model, ranges, exclude={*others, *kept}))

    wide = {name: Range(1e4) for name in tensors_to_calibrate(model)}
    one = {**dict.fromkeys(wide, Range(12.0)), view[layers[2]]: Range(1e4)}
    excluded, _, verdict = find_exclusions(gate, lambda kept: convert(one, kept), layers)
    assert excluded == [layers[2]] and verdict.passed
    with pytest.raises(GateFailure, match="only if all 4 layers"):
        find_exclusions(gate, lambda kept: convert(wide, kept), layers)


def test_harm_is_told_by_running_sequences() -> None:
    """A state that is lost: a single frame, from a fresh state, is answered alike."""
    model = read_parent(DEMO).model
    forgetful = onnx.ModelProto()
    forgetful.CopyFrom(model)
    state = model.graph.input[1].name
    for node in forgetful.graph.node:
        if state in node.input:
            node.op_type = "Identity"
            node.input.remove(state)
    frame = render_samples(read_parent(DEMO).card, 1)
    assert np.abs(onnx_logits(forgetful, frame) - onnx_logits(model, frame)).max() < 1e-4
    gate = demo_gate(LIMITS["fp16"])
    assert gate.harm(model) == 0
    assert gate.harm(forgetful) > 0.1
    assert not gate.judge(forgetful).passed


def test_every_frame_counts_once_and_repeats_tell_drift() -> None:
    parent = read_parent(DEMO)
    shown = render_samples(parent.card, 20)
    limits = Limits(relative=0, cosine=-1, agreement=0, drop=1)
    gate = Gate(parent.model, parent.card, shown, limits, follow=40)
    verdict = gate.judge(to_fp16(parent.model))
    assert verdict.comparison.answers == shown.shape[0] * shown.shape[1]
    assert verdict.drift is not None and verdict.drift.frames == 40
    assert gate.judge(parent.model).passed


def test_a_search_may_use_up_a_part_of_the_disagreement() -> None:
    parent = read_parent(DEMO)
    spoiled = to_fp16(parent.model)
    weight = next(t for t in spoiled.graph.initializer if len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array((values * 1.3).astype(np.float16), weight.name))
    loose = Limits(relative=9, cosine=-1, agreement=0, drop=1, growth=math.inf)
    agreement = demo_gate(loose).judge(spoiled).comparison.top1_agreement
    assert 0.3 < agreement < 1
    just = Limits(relative=9, cosine=-1, agreement=agreement, drop=1, growth=math.inf)
    assert demo_gate(just).judge(spoiled).passed
    assert not demo_gate(just).judge(spoiled, allow=ALLOW).passed
