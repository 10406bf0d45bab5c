"""Making an opened session ready: it tests itself, so that what follows is right and not late."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effvit_edge.core.comparison import Comparison, compare
from effvit_edge.core.errors import GateFailure
from effvit_edge.core.limits import engine_limits
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.verify import find_verify, read_verify, session_answers

WARM_UP = 3
"""Answers before the first frame. Libraries choose their ways and take their memory with the first
one or two; a stream's state lies in one place in even steps and in another in odd ones."""


def make_ready(
    session: Session, model: Path, *, warm_up: int = WARM_UP, self_test: bool = True
) -> Session:
    """Test a session and warm it up, or close it where it fails.

    Args:
        session: opened.
        model: its file.
        warm_up: how many answers to compute for nothing where there is no self-test to do so.
        self_test: see ``run_self_test``.

    Returns:
        The session.

    Raises:
        GateFailure: the self-test failed.
        InputError: what it is tested on cannot be used.
        EdgeError: running failed.
    """
    try:
        tested = run_self_test(session, model) if self_test else None
        if tested is None:
            _warm_up(session, warm_up)
    except BaseException:
        session.close()
        raise
    return session


def run_self_test(session: Session, model: Path) -> Comparison | None:
    """Hold a session to its parent's answers on the first clip of ``NAME.verify.npz``.

    It costs what labelling as many frames does: a window and a little more.

    Args:
        session: opened.
        model: its file.

    Returns:
        How close the answers are; None where no such file lies beside the model.

    Raises:
        GateFailure: they are further away than the model's precision explains.
        InputError: the file cannot be read, or is of another model.
        EdgeError: running failed.
    """
    verify = find_verify(model)
    if verify is None:
        return None
    card = session.card
    clips, parent = read_verify(verify, card)
    comparison = compare(parent[0], session_answers(session, clips[0]), card.label_groups)
    largest = float(np.abs(parent[0]).max())
    relative = comparison.max_abs / largest if largest else comparison.max_abs
    faults = engine_limits(card).faults(comparison, relative, card)
    if faults:
        raise GateFailure(
            f"{model} answers otherwise here than its {verify.name} says it should: "
            f"{'; '.join(faults)}, over {comparison.answers} answers by {session.provider_report}. "
            "Copy both files again or use another --provider; label --no-self-test runs it all the "
            "same."
        )
    return comparison


def _warm_up(session: Session, count: int) -> None:
    spec = session.card.preprocess
    picture = np.zeros((spec.height, spec.width, 3), np.uint8)
    if session.card.mode == "clip":
        clip = np.stack([picture] * session.card.num_frames)
        for _ in range(count):
            session.run(clip)
        return
    state = session.init_state()
    for _ in range(count):
        _, state = session.step(picture, state)
