"""The gate of a precision: a child's answers against its parent's, and where they part. No torch.

Half precision is judged as a device rounds it, by ``precision.rounded``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from effvit_edge.core.card import ModelCard
from effvit_edge.core.comparison import Comparison, Logits, compare
from effvit_edge.core.errors import GateFailure
from effvit_edge.core.limits import LIMITS, Limits
from effvit_edge.export.precision.graph import GraphView
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import Runner, batch_of, onnx_logits
from effvit_edge.export.samples import Clips

__all__ = ["DRIFT_FRAMES", "LIMITS", "Drift", "Gate", "Limits", "NodeError", "Verdict"]

DRIFT_FRAMES = 1000
"""How long a stream is followed at least."""
_LOOPS = 4
"""The same frames again and again: what differs from one to the next is drift."""
_WORST = 5
_LOOKED_AT = 4  # frames or clips that nodes are compared on
_STEADY = 1e-4  # least change of a tensor that is taken for one, as a part of its power
_AT_MOST = 64  # frames that lead to them


@dataclass(frozen=True)
class Drift:
    """A stream's mean absolute difference, loop by loop of the same frames."""

    frames: int
    by_loop: tuple[float, ...]

    @property
    def growth(self) -> float:
        """From the second loop, when every state holds what it always will, to the last."""
        second, last = self.by_loop[1], self.by_loop[-1]
        if second > 0:
            return last / second
        return math.inf if last > 0 else 0.0


@dataclass(frozen=True)
class Verdict:
    """What a gate found."""

    comparison: Comparison
    relative: float
    drift: Drift | None
    faults: tuple[str, ...]
    """Sentences; none where it passed."""

    @property
    def passed(self) -> bool:
        """Whether every limit holds."""
        return not self.faults


@dataclass(frozen=True)
class NodeError:
    """How far a node's output is from the parent's."""

    name: str
    error: float
    """Root mean square, as a part of how much the output changes from moment to moment."""
    added: float
    """What it has more than the worst of its inputs."""


class Gate:
    """Holds children to one parent, whose answers are computed once.

    Args:
        parent: in float32.
        card: its card.
        footage: ``(K, T, H, W, 3)`` uint8; a stream is shown all of it, one clip after another,
            after as much of its start as it takes to tell drift, in loops.
        limits: what is let through.
        follow: how many frames a stream is followed in loops at least.
    """

    def __init__(
        self,
        parent: onnx.ModelProto,
        card: ModelCard,
        footage: Clips,
        limits: Limits,
        *,
        follow: int = DRIFT_FRAMES,
    ) -> None:
        self._parent = parent
        self._card = card
        self._limits = limits
        self._batch = batch_of(parent)
        self._clips, self._looped = footage, 0
        if card.mode == "stream":
            self._clips, self._looped = _loops(footage, follow)
        self._answers = onnx_logits(parent, self._clips, batch=self._batch)

    def judge(self, child: onnx.ModelProto, *, allow: float = 1.0) -> Verdict:
        """Compare a child, as a device will compute it.

        Args:
            child: the graph.
            allow: the part of the permitted disagreement of labels that it may use up. Who searches
                for a child on this footage takes less than all: the choice fits these frames better
                than others.
        """
        answers = onnx_logits(emulate_half(child), self._clips, batch=self._batch)
        comparison = compare(
            self._once(self._answers), self._once(answers), self._card.label_groups
        )
        largest = float(np.abs(self._answers).max())
        relative = comparison.max_abs / largest if largest else comparison.max_abs
        drift = self._drift(answers) if self._card.mode == "stream" else None
        limits = replace(self._limits, agreement=1 - allow * (1 - self._limits.agreement))
        faults = self._faults(comparison, relative, drift, limits)
        return Verdict(comparison, relative, drift, tuple(faults))

    def harm(self, child: onnx.ModelProto) -> float:
        """The mean difference of a child's logits over a little of the footage."""
        runner = Runner(emulate_half(child))
        if runner.stream:
            frames = np.stack([self._all_cameras(f) for f in self._clips[0][:_AT_MOST]])
            difference = runner.answers(frames) - self._per_camera(self._answers[0][:_AT_MOST])
        else:
            clips = self._clips[:_LOOKED_AT]
            answers = np.stack([runner.answers(self._all_cameras(clip)) for clip in clips])
            difference = answers - self._per_camera(self._answers[:_LOOKED_AT])
        mean = float(np.abs(difference).mean())
        return mean if math.isfinite(mean) else math.inf

    def _per_camera(self, answers: Logits) -> Logits:
        return answers if self._batch is None else answers[:, None]

    def worst_nodes(self, child: onnx.ModelProto) -> list[NodeError]:
        """The nodes that add most to the difference, the worst first.

        Both graphs get the parent's state, so that nothing is added up over frames.
        """
        view = GraphView(self._parent)
        child_view = GraphView(child)
        outputs = {tensor.name for tensor in self._parent.graph.output}
        tensors = [
            name
            for name in view.maker
            if view.is_float(name) and name not in outputs and name in child_view.maker
        ]
        errors = self._tensor_errors(child, tensors)
        found = []
        for node in view.nodes:
            own = [errors[name] for name in node.output if name in errors]
            if own:
                before = max((errors.get(name, 0.0) for name in node.input), default=0.0)
                added = own[0] - before if math.isfinite(before) else 0.0
                found.append(NodeError(node.name, own[0], added))
        return sorted(found, key=lambda entry: -entry.added)

    def fail(self, child: onnx.ModelProto, verdict: Verdict, what: str) -> GateFailure:
        """The error to raise: what is wrong, and the nodes that do it."""
        worst = [f"{e.name} (+{e.added:.1%})" for e in self.worst_nodes(child)[:_WORST]]
        return GateFailure(
            f"{what} differs too much from its parent: {'; '.join(verdict.faults)}. "
            f"Most is added by {', '.join(worst)}. Nothing was written; --auto-exclude keeps the "
            "worst nodes in higher precision, and the --limit options let more through."
        )

    def _tensor_errors(self, child: onnx.ModelProto, tensors: list[str]) -> dict[str, float]:
        parent, other = Runner(self._parent, tensors), Runner(emulate_half(child), tensors)
        spreads = {name: _Spread() for name in tensors}
        for image, state in self._moments(parent):
            expected, got = parent.run(image, state)[2], other.run(image, state)[2]
            for name, spread in spreads.items():
                spread.add(expected[name].astype(np.float64), got[name].astype(np.float64))
        return {name: spread.error() for name, spread in spreads.items()}

    def _moments(self, parent: Runner) -> list[tuple[Clips, Mapping[str, np.ndarray]]]:
        """Some frames with the state before them, or some clips."""
        if not parent.stream:
            return [(self._all_cameras(clip), {}) for clip in self._clips[:_LOOKED_AT]]
        frames = np.stack([self._all_cameras(frame) for frame in self._clips[0][:_AT_MOST]])
        last = min(len(frames), 2 * self._card.num_frames + 2 * _LOOKED_AT)
        seen = [(frame, state) for frame, state, _, _ in parent.follow(frames[:last])]
        return seen[-2 * _LOOKED_AT :: 2]

    def _all_cameras(self, image: Clips) -> Clips:
        return image if self._batch is None else np.stack([image] * self._batch)

    def _once(self, answers: Logits) -> Logits:
        """Those to the first loop and to what is shown once: repeats only tell drift."""
        again = slice(self._looped // _LOOPS, self._looped)
        return answers if self._card.mode == "clip" else np.delete(answers, again, axis=1)

    def _drift(self, answers: Logits) -> Drift:
        looped = slice(self._looped)
        difference = np.abs(answers[0, looped].astype(np.float64) - self._answers[0, looped])
        frames = difference.reshape(len(difference), -1).mean(1)
        by_loop = frames.reshape(_LOOPS, -1).mean(1)
        return Drift(len(frames), tuple(by_loop.tolist()))

    def _faults(
        self, found: Comparison, relative: float, drift: Drift | None, limits: Limits
    ) -> list[str]:
        faults = limits.faults(found, relative, self._card)
        if drift is not None and not drift.growth <= limits.growth:
            faults.append(
                f"it grows {drift.growth:.2f}-fold over {drift.frames} frames (limit "
                f"{limits.growth})"
            )
        return faults


def _loops(footage: Clips, least: int) -> tuple[Clips, int]:
    """One clip that shows the same frames ``_LOOPS`` times, then those that are left, once.

    Returns:
        The clip, and how many of its frames are loops, at least ``least``.
    """
    frames = footage.reshape(1, -1, *footage.shape[2:])
    wanted = math.ceil(least / _LOOPS)
    once = np.tile(frames, (1, math.ceil(wanted / frames.shape[1]), 1, 1, 1))[:, :wanted]
    loops = np.tile(once, (1, _LOOPS, 1, 1, 1))
    return np.concatenate([loops, frames[:, wanted:]], axis=1), loops.shape[1]


class _Spread:
    """Sums over moments that tell how far one tensor is from another, against how it changes."""

    def __init__(self) -> None:
        self._count, self._difference, self._size = 0, 0.0, 0.0
        self._sum: np.ndarray | float = 0.0

    def add(self, expected: np.ndarray, got: np.ndarray) -> None:
        """One moment."""
        with np.errstate(invalid="ignore", over="ignore"):
            self._difference += float(np.square(expected - got).sum())
        self._size += float(np.square(expected).sum())
        self._sum = self._sum + expected
        self._count += 1

    def error(self) -> float:
        """The difference as a part of the change; what hardly changes counts by its size."""
        if not math.isfinite(self._difference):
            return math.inf
        change = self._size - float(np.square(self._sum).sum()) / self._count
        scale = max(change, _STEADY * self._size)
        return math.sqrt(self._difference / scale) if scale > 0 else 0.0
