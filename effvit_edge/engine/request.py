"""What the process that wants an engine tells the one that builds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from effvit_edge.engine.options import EngineOptions


@dataclass(frozen=True)
class BuildRequest:
    """One build."""

    onnx: str
    plan: str
    """Where to write; the asking process gives the file its final name."""
    options: EngineOptions
    timings: str | None
    """The file of the timing cache."""
    plugin: bool
    """Whether the attention plugin is to be made known to TensorRT."""

    def to_json(self) -> str:
        """As text for the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BuildRequest:
        """What ``to_json`` gave."""
        found = json.loads(text)
        return cls(**{**found, "options": EngineOptions(**found["options"])})
