"""What the demonstration model answers on this machine; run on both, with the package installed.

python answers.py MODEL FRAMES.npz ANSWERS.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from effvit_edge.runtime import open_session


def main(model: Path, frames: Path, answers: Path) -> None:
    """Step through the frames, ``(T, H, W, 3)`` uint8, and keep the logits, ``(T, classes)``."""
    with np.load(frames) as stored:
        clip = stored["frames"]
    with open_session(model, "cpu", 1) as session:
        state = session.init_state()
        logits = []
        for frame in clip:
            answer, state = session.step(frame, state)
            logits.append(answer)
    np.savez(answers, logits=np.stack(logits))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
