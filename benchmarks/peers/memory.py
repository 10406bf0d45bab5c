"""``python -m benchmarks.peers.memory MODEL``: what ONNX Runtime takes for one graph, at its peak.

A process of its own, which does not import torch. What it had before the session was made is taken
off: Python, numpy and the runtime's library.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

from effvit_edge.runtime.onnxrt import ONLY_FATAL

_CALLS = 2


def peak_bytes(path: Path) -> int:
    """Measure in another process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "benchmarks.peers.memory", str(path)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return int(json.loads(done.stdout)["peak_bytes"])


def _measure(path: Path) -> int:
    before = _high_water()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ONLY_FATAL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image, *states = session.get_inputs()
    feeds = {image.name: np.zeros(image.shape, np.uint8)}
    feeds |= {state.name: np.zeros(state.shape, np.float32) for state in states}
    for _ in range(_CALLS):
        _, *after = session.run(None, feeds)
        feeds |= {state.name: value for state, value in zip(states, after, strict=True)}
    return _high_water() - before


def _high_water() -> int:
    """Most resident memory so far, bytes; Linux."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s*(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    print(json.dumps({"peak_bytes": _measure(Path(sys.argv[1]))}))
