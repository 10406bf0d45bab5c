"""``python -m effvit_edge.engine.worker REQUEST``: build one engine, in a process of its own.

A build needs all the memory a board has, so nothing else is loaded here, torch least of all; and
what goes wrong in TensorRT takes down this process only. What happens is told on standard output,
a JSON object a line, see ``process``.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from effvit_edge.core.errors import EdgeError
from effvit_edge.core.files import atomic_path
from effvit_edge.engine.builder import PlanBuilder, TensorRTBuilder
from effvit_edge.engine.faults import BuildFault
from effvit_edge.engine.request import BuildRequest

Tell = Callable[[dict[str, Any]], None]
_PR_SET_PDEATHSIG = 1


def run(request: BuildRequest, make: Callable[[], PlanBuilder], tell: Tell) -> bool:
    """Build, telling how it goes.

    Args:
        request: what to build.
        make: starts TensorRT.
        tell: takes the events.

    Returns:
        Whether the plan was written.
    """
    builder: PlanBuilder | None = None
    try:
        builder = make()
        builder.parse(Path(request.onnx))
        builder.configure(request.options, _read_timings(request), Percent(tell))
        plan = builder.build()
        Path(request.plan).write_bytes(plan)
        _keep_timings(request, builder)
        tell({"event": "built", "bytes": len(plan)})
    except BuildFault as fault:
        tell({"event": "failed", "kind": fault.kind, "text": fault.text, "node": fault.node})
    except EdgeError as error:
        tell({"event": "failed", "kind": "library", "text": str(error), "node": ""})
    except OSError as error:
        reason = f"{error.strerror}: {error.filename or request.plan}"
        tell({"event": "failed", "kind": "disk", "text": reason, "node": ""})
    else:
        return True
    finally:
        if builder is not None:
            builder.close()
    return False


class Percent:
    """Tells progress in whole per cents, never backwards: thousands of steps are few lines."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._phase, self._percent = "", -1

    def __call__(self, phase: str, share: float) -> None:
        """See ``builder.Step``."""
        percent = int(100 * share)
        if phase != self._phase or percent > self._percent:
            self._phase, self._percent = phase, percent
            self._tell({"event": "progress", "phase": phase, "percent": percent})


def _read_timings(request: BuildRequest) -> bytes | None:
    if request.timings is None:
        return None
    path = Path(request.timings)
    return path.read_bytes() if path.is_file() else b""


def _keep_timings(request: BuildRequest, builder: PlanBuilder) -> None:
    """Make the next build faster; that this one's timings cannot be kept does not harm it."""
    timings = builder.timings() if request.timings is not None else None
    if request.timings is None or timings is None:
        return
    try:
        with atomic_path(Path(request.timings)) as path:
            path.write_bytes(timings)
    except OSError:
        return


def _start(request: BuildRequest) -> PlanBuilder:
    from effvit_edge.engine.plugin.find import look_for_plugin
    from effvit_edge.engine.plugin.python_plugin import register_plugins
    from effvit_edge.runtime.trt_library import load_library

    module = load_library(request.options.flavour).module
    kept = register_plugins(module, look_for_plugin()) if request.plugin else None
    return TensorRTBuilder(module, weak=request.options.weak_precision is not None, kept=kept)


def _die_with_parent() -> None:
    """A build whose caller was killed would keep the board busy for nobody."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tell(event: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{json.dumps(event)}\n")  # libraries write here, too, and not in lines
    sys.stdout.flush()


def main() -> int:
    """Build what the command line asks for."""
    sys.modules["torch"] = None  # type: ignore[assignment]  # importing it fails from here on
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    _die_with_parent()
    request = BuildRequest.from_json(sys.argv[1])
    return 0 if run(request, lambda: _start(request), _tell) else 1


if __name__ == "__main__":
    sys.exit(main())
