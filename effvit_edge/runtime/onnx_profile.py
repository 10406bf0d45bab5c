"""ONNX Runtime's own profile of a session: a file of trace events, read for its nodes."""

from __future__ import annotations

import json
from pathlib import Path

from effvit_edge.runtime.layer_times import LayerTimes
from effvit_edge.runtime.tuning import LayerTime

_RAN = "_kernel_time"


def read_profile(path: Path) -> tuple[LayerTime, ...]:
    """What each node took, at the median of its runs, in the order of the first.

    Args:
        path: what ``InferenceSession.end_profiling`` has named.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON.
    """
    times = LayerTimes()
    for event in json.loads(path.read_text("utf-8")):
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(_RAN):
            operator = str(event.get("args", {}).get("op_name", ""))
            times.add(name.removesuffix(_RAN), event["dur"] / 1000, operator)  # microseconds
    return times.medians()
