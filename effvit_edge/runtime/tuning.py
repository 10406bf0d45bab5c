"""How a session runs a model, beyond what runs it, and what it tells of its own running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Waiting = Literal["auto", "spin", "block"]
"""How a thread waits for the device, or one of the CPU's threads for work: as the library chooses,
by asking again and again (the soonest answer, a core kept busy), or asleep."""
WAITINGS: tuple[Waiting, ...] = get_args(Waiting)


@dataclass(frozen=True)
class Tuning:
    """The switches of a session. Labelling uses the defaults; measuring compares the others."""

    cuda_graph: bool = True
    """Capture a step's work once and launch it as one, where that can be."""
    waiting: Waiting = "auto"
    zero_copy: bool = True
    """Where the device works in the host's memory, leave pictures and logits where they are."""
    timed: bool = False
    """Note in each answer when the device began and ended its parts."""
    profiled: bool = False
    """Note how long each layer takes, which makes answers slower."""


DEFAULT = Tuning()


@dataclass(frozen=True)
class Switches:
    """What came of the tuning, in words for people."""

    cuda_graph: str
    waiting: str
    transfers: str

    def __str__(self) -> str:
        """One line, which stands beside every figure."""
        return f"CUDA graph: {self.cuda_graph}; waiting: {self.waiting}; copies: {self.transfers}"


@dataclass(frozen=True)
class Split:
    """Where an answer's time went on the device, in milliseconds."""

    upload: float
    """The picture's or the clip's way to the device."""
    infer: float
    download: float
    """The logits' way back."""


@dataclass(frozen=True)
class LayerTime:
    """How long one layer takes, or several that were fused to one."""

    name: str
    kind: str
    """Its operators, ``Conv`` for example."""
    milliseconds: float
    """At the median of the answers."""


class Telemetry(Protocol):
    """What a session tells of its own running."""

    @property
    def switches(self) -> Switches:
        """How it runs."""

    @property
    def split_by(self) -> str:
        """By whose clock answers are split, ``device events`` for example; empty where not."""

    @property
    def split(self) -> Split | None:
        """Of the newest answer; None before the first and where answers are not split."""

    def layers(self) -> Sequence[LayerTime]:
        """Of all answers until now, in the order in which they run; empty unless profiled.

        A session may be of no further use after it.
        """


class Untold:
    """Of a session that has nothing to tell.

    Args:
        switches: how it runs.
    """

    split_by = ""
    split: Split | None = None

    def __init__(self, switches: Switches) -> None:
        self.switches = switches

    def layers(self) -> Sequence[LayerTime]:
        """None."""
        return ()
