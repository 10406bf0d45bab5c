"""Timing the attention plugin against TensorRT's own kernels, on this device.

Notation: H W are the model's input in pixels, T its frames.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.engine.build import BuildReport
from effvit_edge.engine.plugin.measured import Measured
from effvit_edge.engine.target import Machine
from effvit_edge.runtime.base import Session

Build = Callable[[Path], BuildReport]
Open = Callable[[Path], Session]
Clock = Callable[[], float]

ROUNDS = 200
_WARM_UP = 20
"""Rounds that are not counted: clocks rise, and libraries choose their ways."""
_MILLISECONDS = 1e3


def measure(
    native: Path,
    plugin: Path,
    machine: Machine,
    *,
    build: Build,
    open_engine: Open,
    rounds: int | None = None,
    clock: Clock = time.perf_counter,
) -> Measured:
    """Build an engine of each graph, and time them in turn.

    Args:
        native: ONNX file whose attention is plain operators.
        plugin: of the same network, whose attention is the plugin's.
        machine: this one, with a device.
        build: builds an engine of a file, and holds it to its parent.
        open_engine: loads one.
        rounds: how many answers of each are counted; ``ROUNDS`` by default.
        clock: seconds that only grow.

    Raises:
        EdgeError: an engine cannot be built or run.
    """
    rounds = ROUNDS if rounds is None else rounds
    reports = [build(native), build(plugin)]
    with open_engine(reports[0].path) as first, open_engine(reports[1].path) as second:
        native_ms, plugin_ms = time_in_turn(first, second, rounds, clock)
    assert machine.device is not None
    sidecar = reports[0].sidecar
    return Measured(
        network=describe(sidecar.card),
        onnx_sha256=sidecar.onnx_sha256,
        device=str(machine.device),
        tensorrt=machine.tensorrt,
        answers=rounds,
        native_ms=native_ms,
        plugin_ms=plugin_ms,
    )


def time_in_turn(first: Session, second: Session, rounds: int, clock: Clock) -> tuple[float, float]:
    """The median time of an answer of each session, in milliseconds.

    Each round asks both, and the next in the other order, so that heat, clocks and what else runs
    fall on both alike.

    Args:
        first: of one network.
        second: of the same.
        rounds: how many are counted.
        clock: seconds that only grow.
    """
    asked = [_answers(first), _answers(second)]
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(_WARM_UP + rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            start = clock()
            next(asked[which])
            taken[which].append(clock() - start)
    native, plugin = (_MILLISECONDS * statistics.median(times[_WARM_UP:]) for times in taken)
    return native, plugin


def describe(card: ModelCard) -> str:
    """A network for people."""
    spec = card.preprocess
    return (
        f"{card.variant}, {card.mode} of {card.num_frames} frames, {spec.height}x{spec.width}, "
        f"{card.precision}"
    )


def _answers(session: Session) -> Iterator[None]:
    """Each step is one answer, of the same picture: how long it takes does not depend on it."""
    spec, card = session.card.preprocess, session.card
    picture = np.full((spec.height, spec.width, 3), 128, np.uint8)
    if card.mode == "clip":
        clip = np.stack([picture] * card.num_frames)
        while True:
            session.run(clip)
            yield
    state = session.init_state()
    while True:
        _, state = session.step(picture, state)
        yield
