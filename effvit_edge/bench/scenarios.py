"""The ways a model is run for measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effvit_edge.bench.harness import Limits

Scenario = Literal["single-stream", "multi-stream", "offline", "mlperf"]

DEFAULT_SECONDS = 60.0
MLPERF_SECONDS = 600.0
"""MLPerf Inference's least duration of single-stream."""


@dataclass(frozen=True)
class Setup:
    """One scenario with its numbers."""

    scenario: Scenario
    limits: Limits
    streams: int = 1
    prepared: bool = False
    """Pictures have the model's size beforehand: only the model is measured."""

    @property
    def explained(self) -> str:
        """One line for people."""
        return _EXPLAINED[self.scenario].format(streams=self.streams)


_EXPLAINED = {
    "single-stream": "one picture after another, the next when the last has its label",
    "multi-stream": "{streams} streams, a picture of each in turn; a query is one of each",
    "offline": "pictures prepared beforehand, nothing is resized, as fast as it goes",
    "mlperf": "single-stream for 600 s; the figure is MLPerf's estimate of the 90th percentile",
}


def setup(
    scenario: Scenario,
    streams: int | None = None,
    seconds: float | None = None,
    count: int | None = None,
) -> Setup:
    """The scenario with its defaults filled in.

    Args:
        scenario: its name.
        streams: how many, of multi-stream.
        seconds: how long; 60 by default, 600 of mlperf.
        count: how many queries at most.

    Raises:
        ValueError: numbers that do not belong to the scenario.
    """
    if (streams is not None) != (scenario == "multi-stream"):
        raise ValueError(f"a number of streams belongs to multi-stream, and this is {scenario}")
    if scenario == "mlperf" and (seconds is not None or count is not None):
        raise ValueError(f"mlperf runs for {MLPERF_SECONDS:.0f} s, no other limit is taken")
    if scenario == "mlperf":
        return Setup(scenario, Limits(MLPERF_SECONDS))
    if seconds is None and count is None:
        seconds = DEFAULT_SECONDS
    return Setup(scenario, Limits(seconds, count), streams or 1, prepared=scenario == "offline")
