"""A builder that is not there: it records what is asked of it and gives what it was told to."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.engine.builder import Step
from effvit_edge.engine.faults import BuildFault
from effvit_edge.engine.options import EngineOptions


class FakeBuilder:
    """See `PlanBuilder`.

    Args:
        plan: what it builds.
        fails: in which step, and how.

    Attributes:
        events: the steps taken, in order.
    """

    def __init__(
        self, plan: bytes = b"ftrt fake", fails: tuple[str, BuildFault | OSError] | None = None
    ) -> None:
        self._plan = plan
        self._fails = fails
        self.events: list[str] = []

    def parse(self, onnx: Path) -> None:
        """See `PlanBuilder`."""
        self._take("parse")

    def configure(self, options: EngineOptions, timings: bytes | None, step: Step) -> None:
        """See `PlanBuilder`."""
        self._take(f"configure with {len(timings)} bytes" if timings else "configure")
        step("Building", 0.5)

    def build(self) -> bytes:
        """See `PlanBuilder`."""
        self._take("build")
        return self._plan

    def timings(self) -> bytes | None:
        """See `PlanBuilder`."""
        self._take("timings")
        return b"timings"

    def close(self) -> None:
        """See `PlanBuilder`."""
        self._take("close")

    def _take(self, step: str) -> None:
        self.events.append(step)
        if self._fails is not None and self._fails[0] == step.split()[0]:
            raise self._fails[1]
