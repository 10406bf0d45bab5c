"""Two engines of one network are timed in turn, and the record says of what and where."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.card import Mode
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.limits import LIMITS
from effvit_edge.engine.build import BuildReport
from effvit_edge.engine.plugin.measure import measure, time_in_turn
from effvit_edge.engine.plugin.measured import measured_path, read_measured, write_measured
from effvit_edge.engine.target import Machine
from effvit_edge.runtime.base import Image, Logits
from effvit_edge.runtime.fake import FakeSession
from effvit_edge.runtime.trt_fake import ORIN_NANO
from tests.engines import make_sidecar
from tests.tiny_models import tiny_card

HERE = Machine("tensorrt", "10.3.0", ORIN_NANO, "Linux aarch64")


class Watch:
    """A clock that goes on only while a session answers."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sessions(
    mode: Mode, first: Iterator[float], second: Iterator[float]
) -> tuple[Watch, FakeSession, FakeSession, list[str]]:
    """Two whose answers take as long as they are told, in seconds; who was asked is recorded."""
    watch, asked = Watch(), list[str]()

    def make(name: str, takes: Iterator[float]) -> FakeSession:
        def answer(frames: Image) -> Logits:
            watch.now += next(takes)
            asked.append(name)
            return np.zeros(3, np.float32)

        return FakeSession(tiny_card(mode), answer)

    return watch, make("native", first), make("plugin", second), asked


def steady(seconds: float, first: float = 0.0) -> Iterator[float]:
    """Slow for 20 answers, then always the same."""
    yield from [first + seconds] * 20
    while True:
        yield seconds


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_the_median_of_each_after_warming_up(mode: Mode) -> None:
    watch, first, second, asked = sessions(mode, steady(0.004, first=1.0), steady(0.003))
    native, plugin = time_in_turn(first, second, 10, watch)
    assert native == pytest.approx(4.0)
    assert plugin == pytest.approx(3.0)
    assert asked.count("native") == asked.count("plugin") == 30


def test_one_slow_answer_does_not_count() -> None:
    def disturbed() -> Iterator[float]:
        yield from [0.002] * 25
        yield 9.0
        while True:
            yield 0.002

    watch, first, second, _ = sessions("stream", disturbed(), steady(0.003))
    assert time_in_turn(first, second, 11, watch)[0] == pytest.approx(2.0)


def test_they_take_turns_in_changing_order() -> None:
    watch, first, second, asked = sessions("stream", steady(0.001), steady(0.001))
    time_in_turn(first, second, 4, watch)
    rounds = [tuple(asked[i : i + 2]) for i in range(0, len(asked), 2)]
    assert all(sorted(pair) == ["native", "plugin"] for pair in rounds)
    assert all(a != b for a, b in itertools.pairwise(rounds))


@pytest.fixture
def graphs(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "native.onnx", tmp_path / "plugin.onnx"
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def build(onnx: Path) -> BuildReport:
    sidecar = make_sidecar(b"", onnx_sha256=sha256_file(onnx))
    sidecar = dataclasses.replace(sidecar, card=dataclasses.replace(sidecar.card, precision="fp16"))
    return BuildReport(onnx.with_suffix(".plan"), sidecar, True, None, LIMITS["fp16"], ())


def test_the_record_says_of_what_where_and_with_what(
    graphs: tuple[Path, Path], tmp_path: Path
) -> None:
    watch, first, second, _ = sessions("stream", steady(0.004), steady(0.003))
    opened = {"native.plan": first, "plugin.plan": second}
    found = measure(
        *graphs,
        HERE,
        build=build,
        open_engine=lambda path: opened[path.name],
        rounds=5,
        clock=watch,
    )
    assert (found.native_ms, found.plugin_ms) == (pytest.approx(4.0), pytest.approx(3.0))
    assert found.ratio == pytest.approx(0.75) and found.faster
    assert found.device == str(ORIN_NANO) and found.tensorrt == "10.3.0"
    assert found.onnx_sha256 == sha256_file(graphs[0])
    assert found.network == "tiny_stream, stream of 4 frames, 8x8, fp16"
    path = measured_path(tmp_path, HERE, "abc")
    write_measured(path, found)
    assert read_measured(path) == found
    for session in (first, second):
        with pytest.raises(EdgeError):  # closed
            session.step(np.zeros((8, 8, 3), np.uint8), {})


def test_an_engine_that_cannot_be_built_is_not_measured(graphs: tuple[Path, Path]) -> None:
    def fail(onnx: Path) -> BuildReport:
        if onnx.stem == "plugin":
            raise EdgeError("no plugin")
        return build(onnx)

    def never(path: Path) -> FakeSession:
        raise AssertionError("opened")

    with pytest.raises(EdgeError, match="no plugin"):
        measure(*graphs, HERE, build=fail, open_engine=never)
