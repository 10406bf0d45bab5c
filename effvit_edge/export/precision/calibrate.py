"""How large the tensors of a graph become on labelled footage: what INT8 needs to know.

A stream is followed along whole sequences with the float32 graph's own state, as it will be used;
single frames from an empty state would show it something else.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import onnx

from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.data.failures import describe_failures
from effvit_edge.data.types import IGNORE, EvaluationSequences, Frames, LabelledSequence, Targets
from effvit_edge.export.precision.channels import Range, Ranges
from effvit_edge.export.precision.int8 import (
    quiet_onnxruntime,
    read_by_convolutions,
    tensors_to_calibrate,
)
from effvit_edge.export.runner import Runner, Tensors, batch_of

Method = Literal["channels", "minmax", "entropy", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
LEAST_CLIPS = 24
"""Fewer sequences than this say too little about what a model will see."""
CLIPS = 96
PERCENTILE = 99.99
_FRAMES_FOLLOWED, _FRAMES_LOOKED_AT = 96, 16  # of a sequence
_BINS = {"percentile": 2048, "entropy": 512}  # the latter takes their square
_LEVELS = 255


@dataclass(frozen=True)
class Calibration:
    """What was seen, and of what."""

    ranges: Ranges
    method: Method
    clips: int
    frames: int
    """Looked at."""
    classes: int
    seed: int
    sha256: str
    """Of the frames that were shown, in their order."""


def calibrate(
    model: onnx.ModelProto,
    sequences: EvaluationSequences,
    *,
    method: Method = "channels",
    clips: int = CLIPS,
    seed: int = 0,
) -> Calibration:
    """Find the ranges of what INT8 layers read.

    Args:
        model: in float32.
        sequences: labelled footage at the model's size and rate.
        method: ``channels`` keeps everything and evens the channels of what convolutions read;
            the others leave channels as they are: ``minmax`` keeps everything, ``percentile`` lets
            1 in 10,000 saturate, ``entropy`` keeps what tells most (Kullback-Leibler, as TensorRT's
            calibrator).
        clips: sequences to use at most, balanced over the classes.
        seed: of the choice.

    Raises:
        InputError: too few sequences, or a graph for several streams at once.
    """
    if batch_of(model) is not None:
        raise InputError(
            "A graph with --batch cannot be calibrated. Give the graph without, or the checkpoint."
        )
    tensors = tensors_to_calibrate(model)
    runner = Runner(model, tensors)
    collector = _Collector(method, read_by_convolutions(model))
    digest, frames, classes = hashlib.sha256(), 0, Counter[int]()
    for sequence in choose_balanced(sequences, clips, seed):
        classes[_label(sequence.targets)] += 1
        for shown in _as_clips(sequence.frames):
            digest.update(str(shown.shape).encode() + shown.tobytes())
            seen = list(_look(runner, shown))
            frames += len(seen)
            collector.add({name: np.stack([taps[name] for taps in seen]) for name in tensors})
    used = classes.total()
    if used < LEAST_CLIPS:
        raise InputError(
            f"Calibration needs at least {LEAST_CLIPS} labelled sequences, got {used}. "
            + (
                describe_failures(sequences.failures)
                if sequences.failures
                else "Give data that has more, or more of it with --calibrate-clips."
            )
        )
    return Calibration(
        collector.ranges(), method, used, frames, len(classes), seed, digest.hexdigest()
    )


def choose_balanced(
    sequences: EvaluationSequences, count: int, seed: int
) -> Iterator[LabelledSequence]:
    """At most ``count`` sequences in a random order, as even over the classes as there are.

    Classes that have enough wait until all others have been looked at.
    """
    order = np.random.default_rng(seed).permutation(len(sequences)).tolist()
    classes = len(sequences.groups[0].labels)
    share = math.ceil(count / classes)
    taken, given, spare = Counter[int](), 0, []
    for index in order:
        sequence = sequences[index]
        if sequence is None:
            continue
        label = _label(sequence.targets)
        if taken[label] >= share:
            spare.append(index)
            continue
        taken[label] += 1
        given += 1
        yield sequence
        if given == count:
            return
    for index in spare[: count - given]:
        again = sequences[index]
        if again is not None:
            yield again


def _label(targets: Targets) -> int:
    """The commonest class of a sequence, of the first group."""
    labels = targets[:, 0]
    counts = Counter(labels[labels != IGNORE].tolist())
    return counts.most_common(1)[0][0] if counts else IGNORE


def _as_clips(frames: Frames) -> list[Frames]:
    """A sequence, or each of its views."""
    return [frames] if frames.ndim == 4 else list(frames)


def _look(runner: Runner, frames: Frames) -> Iterator[Tensors]:
    """The taps at frames that are spread over the first part of a sequence."""
    if not runner.stream:
        yield runner.run(frames, {})[2]
        return
    frames = frames[:_FRAMES_FOLLOWED]
    spread = np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES_LOOKED_AT))
    chosen = set(np.rint(spread).astype(int).tolist())
    for number, (_, _, _, taps) in enumerate(runner.follow(frames)):
        if number in chosen:
            yield taps


class _Collector:
    """Extremes and means by channel, or onnxruntime's histograms."""

    def __init__(self, method: Method, by_channel: Collection[str]) -> None:
        self._method = method
        self._by_channel = frozenset(by_channel)
        self._seen: dict[str, _Seen] = {}
        self._histograms: Any = None
        if method in _BINS:
            require("onnxruntime", "export")
            from onnxruntime.quantization.calibrate import HistogramCollector

            self._histograms = HistogramCollector(
                method, True, _BINS[method], _LEVELS, PERCENTILE, "same"
            )

    def add(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Look at some values: ``(moments, frames, C, H, W)``, or any shape without channels."""
        for name, values in tensors.items():
            if name not in self._by_channel:
                values = values.reshape(-1, 1, 1, 1)
            self._seen.setdefault(name, _Seen()).add(values)
        if self._histograms is not None:
            with quiet_onnxruntime():
                self._histograms.collect(tensors)

    def ranges(self) -> dict[str, Range]:
        """What to hold."""
        found = {name: self._range(name, seen) for name, seen in self._seen.items()}
        if self._histograms is None or not found:
            return found
        with quiet_onnxruntime():
            ends = self._histograms.compute_collection_result()
        return {
            name: replace(known, largest=max(abs(float(end)) for end in ends[name][:2]))
            for name, known in found.items()
        }

    def _range(self, name: str, seen: _Seen) -> Range:
        known = Range(float(max(-seen.low.min(), seen.high.max())))
        if name not in self._by_channel:
            return known
        known = replace(known, mean=tuple((seen.sums / seen.count).tolist()))
        if self._method != "channels":
            return known
        return replace(known, low=tuple(seen.low.tolist()), high=tuple(seen.high.tolist()))


class _Seen:
    """One tensor's channels."""

    def __init__(self) -> None:
        self.low: npt.NDArray[np.float32] = np.full(1, np.inf, np.float32)
        self.high: npt.NDArray[np.float32] = np.full(1, -np.inf, np.float32)
        self.sums: npt.NDArray[np.float64] = np.zeros(1)
        self.count = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Some values ``(…, C, H, W)``."""
        rows = np.moveaxis(values, -3, 0).reshape(values.shape[-3], -1)
        self.low = np.minimum(self.low, rows.min(1))
        self.high = np.maximum(self.high, rows.max(1))
        self.sums = self.sums + rows.sum(1, dtype=np.float64)
        self.count += rows.shape[1]
