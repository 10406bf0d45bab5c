"""Signals while something is measured."""

from __future__ import annotations

import signal

import pytest

from effvit_edge.cli import stopping as module
from effvit_edge.cli.stopping import Stopping


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves on."""
    time = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: time[0])
    return time


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_where_nothing_is_to_lose(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stopping() as stopping, pytest.raises(KeyboardInterrupt):
        assert not stopping.asked()
        signal.raise_signal(number)
    assert stopping.asked()
    assert signal.getsignal(number) is before


def test_a_signal_is_only_noted_while_work_is_held(now: list[float]) -> None:
    with Stopping() as stopping:
        stopping.hold()
        signal.raise_signal(signal.SIGINT)
        now[0] += 0.5
        signal.raise_signal(signal.SIGINT)  # the same one, of the container
        assert stopping.asked()
        now[0] += 0.6
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # someone means it


def test_after_an_interruption_the_next_signal_does_not_lose_what_is_kept(
    now: list[float],
) -> None:
    with Stopping() as stopping:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        now[0] += 0.1
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked()


def test_what_is_released_is_interrupted_again(now: list[float]) -> None:
    with Stopping() as stopping:
        stopping.hold()
        stopping.release()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
