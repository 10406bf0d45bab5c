"""Time ONNX files against each other in one process, on one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.streaming.forms import Form
from effvit_edge.export.samples import Clips

_WARM_UP_ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one form over all rounds."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    min_ms: float
    cpu_median_ms: float
    """The thread's own processor time: what a shared machine took away is not in it."""


@dataclass
class _Runner:
    """A session with all inputs and outputs bound once; a step's states change places."""

    path: Path
    frames: Clips
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(
            str(self.path), options, providers=["CPUExecutionProvider"]
        )
        image, *states = self.session.get_inputs()
        self.streams = image.name == "frame"
        self.image = ort.OrtValue.ortvalue_from_numpy(np.zeros(image.shape, np.uint8))
        self.logits = _zeros(self.session.get_outputs()[0])
        banks = [{s.name: _zeros(s) for s in states} for _ in range(2)]
        self.bindings = [self._bind(image.name, banks[i], banks[1 - i]) for i in range(2)]
        self.calls = 0

    def _bind(self, image: str, before: dict[str, Any], after: dict[str, Any]) -> Any:
        binding = self.session.io_binding()
        binding.bind_ortvalue_input(image, self.image)
        binding.bind_ortvalue_output("logits", self.logits)
        for name, value in before.items():
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(f"next_{name}", after[name])
        return binding

    def call(self) -> None:
        """Give one label: the next frame, or the clip again."""
        picture = self.frames[self.calls % len(self.frames)] if self.streams else self.frames
        self.image.update_inplace(np.ascontiguousarray(picture))
        self.session.run_with_iobinding(self.bindings[self.calls % 2])
        self.calls += 1

    def timed_call(self) -> None:
        """Call once to bring the caches into this form's own steady state, then once by clock."""
        self.call()
        wall, cpu = time.perf_counter(), time.thread_time()
        self.call()
        self.wall.append((time.perf_counter() - wall) * 1e3)
        self.cpu.append((time.thread_time() - cpu) * 1e3)


def _zeros(tensor: Any) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(np.zeros(tensor.shape, np.float32))


def measure(forms: Sequence[Form], frames: Clips, rounds: int) -> dict[str, Timing]:
    """Round after round, every form once; see the method in the README.

    Args:
        forms: what to time.
        frames: a clip ``(T, H, W, 3)`` uint8, fed whole or frame by frame.
        rounds: timed calls of each form.
    """
    runners = {form.name: _Runner(form.path, frames) for form in forms}
    for number in range(_WARM_UP_ROUNDS + rounds):
        for runner in runners.values():
            runner.timed_call()
            if number < _WARM_UP_ROUNDS:
                runner.wall.clear()
                runner.cpu.clear()
    return {name: _timing(runner) for name, runner in runners.items()}


def answer(form: Form, frames: Clips) -> np.ndarray[Any, Any]:
    """The logits of one call, to check that two forms compute the same."""
    runner = _Runner(form.path, frames)
    runner.call()
    logits: np.ndarray[Any, Any] = runner.logits.numpy().copy()
    return logits


def _timing(runner: _Runner) -> Timing:
    deciles = statistics.quantiles(runner.wall, n=10)
    return Timing(
        median_ms=statistics.median(runner.wall),
        p10_ms=deciles[0],
        p90_ms=deciles[-1],
        min_ms=min(runner.wall),
        cpu_median_ms=statistics.median(runner.cpu),
    )
