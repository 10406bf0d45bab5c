"""The queue, the waits, the clock and the thread of live sources, on a scripted backend."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effvit_edge.core.clock import FakeClock
from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.video import Losses
from effvit_edge.sources import End, Frame, SourceError, Timeout
from effvit_edge.sources.backoff import Backoff
from effvit_edge.sources.capture import Grabbed
from effvit_edge.sources.direct import DirectSource
from effvit_edge.sources.latest import LatestFrames
from effvit_edge.sources.live import LivePolicy, LiveSource
from effvit_edge.sources.timeline import Timeline

SECONDS = 20  # longer than anything here takes; a test that waits so long has failed


def picture(number: int) -> np.ndarray:
    return np.full((2, 2, 3), number, np.uint8)


class Script:
    """A backend that gives what the test puts into its queue: a time, an error, or None to end."""

    backend = "a script"
    expected_frames = None

    def __init__(self, clock: FakeClock, fps: float | None = 25.0) -> None:
        self.items: SimpleQueue[Any] = SimpleQueue()
        self.connections = 0
        self.closed = 0
        self.grabbing = threading.Event()
        self.nominal_fps = fps
        self.refusals: list[EdgeError] = []
        self._clock = clock
        self._number = itertools.count()

    def connect(self, losses: Losses) -> Script:
        self.connections += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return self

    def grab(self) -> Grabbed | Timeout | None:
        self.grabbing.set()
        item = self.items.get(timeout=SECONDS)
        if isinstance(item, Exception):
            raise item
        if item is None or isinstance(item, Timeout):
            return item
        pts, passed = item if isinstance(item, tuple) else (item, 0.04)
        self._clock.advance(passed)
        number = next(self._number)
        return Grabbed(pts, self._clock.now(), 1.0, lambda: picture(number))

    def close(self) -> None:
        self.closed += 1


@contextmanager
def live(script: Script, clock: FakeClock, **policy: Any) -> Iterator[LiveSource]:
    """A live source that tries again at once; the script ends with it, so that no thread stays."""
    backoff = Backoff(0.0, 0.0)
    policy_ = LivePolicy(**policy)
    with LiveSource("cam", script.connect, policy_, backoff=backoff, clock=clock) as source:
        try:
            yield source
        finally:
            script.items.put(None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


@pytest.fixture
def script(clock: FakeClock) -> Script:
    return Script(clock)


def frames(source: LiveSource, count: int) -> list[Frame]:
    read = [source.read(SECONDS) for _ in range(count)]
    assert all(isinstance(frame, Frame) for frame in read)
    return read  # type: ignore[return-value]


def paced(script: Script, source: LiveSource, items: list[Any]) -> Iterator[Frame]:
    """Give an item at a time and read what becomes of it, so that none is dropped."""
    for item in items:
        script.items.put(item)
        yield from frames(source, 1)


def test_frames_keep_their_distances_and_start_at_zero(script: Script, clock: FakeClock) -> None:
    with live(script, clock) as source:
        read = list(paced(script, source, [7.0, 7.04, 7.1]))
        assert source.health.state == "playing"
        assert source.health.backend == "a script"
    assert [frame.pts_seconds for frame in read] == pytest.approx([0, 0.04, 0.1])
    assert [frame.index for frame in read] == [0, 1, 2]
    assert [frame.segment for frame in read] == [0, 0, 0]
    assert read[2].arrival_seconds == pytest.approx(100.12)
    assert (read[2].grab_ms, read[2].image[0, 0, 0]) == (1.0, 2)
    assert script.closed == 1


def test_without_stated_times_the_arrivals_count(script: Script, clock: FakeClock) -> None:
    with live(script, clock) as source:
        read = list(paced(script, source, [(None, 0.04), (None, 0.04), (None, 0.5)]))
    assert [frame.pts_seconds for frame in read] == pytest.approx([0, 0.04, 0.54])


def test_the_newest_frames_are_kept_and_the_others_counted(
    script: Script, clock: FakeClock
) -> None:
    for number in range(10):
        script.items.put(number * 0.04)
    script.items.put(None)
    with live(script, clock, buffer=3) as source:
        source._thread.join(SECONDS)
        read = frames(source, 3)
        assert source.read(0) == End()
        assert source.health.state == "ended"
        assert source.health.dropped == source.losses.frames == 7
    assert [frame.image[0, 0, 0] for frame in read] == [7, 8, 9]
    assert [frame.index for frame in read] == [0, 1, 2]
    assert read[0].pts_seconds == pytest.approx(0.28)


def test_a_backend_that_has_nothing_yet_is_asked_again(script: Script, clock: FakeClock) -> None:
    for item in (Timeout(), 0.0, Timeout(), 0.04):
        script.items.put(item)
    with live(script, clock) as source:
        assert [frame.index for frame in frames(source, 2)] == [0, 1]


def test_waiting_ends_with_a_timeout(script: Script, clock: FakeClock) -> None:
    with live(script, clock) as source:
        assert source.read(0) == Timeout()
        assert source.health.state == "connecting"
        script.items.put(0.0)
        assert isinstance(source.read(SECONDS), Frame)
        assert source.read(0.01) == Timeout()


def test_after_contact_was_lost_time_has_gone_on_and_the_segment_is_another(
    script: Script, clock: FakeClock
) -> None:
    with live(script, clock) as source:
        first = list(paced(script, source, [50.0, 50.04]))
        script.refusals = [InputError("No rtsp://me:geheim@cam."), EnvironmentFault("Still none.")]
        script.items.put(SourceError("rtsp://me:geheim@cam broke off."))
        after = list(paced(script, source, [(3.0, 5.0), 3.04]))
        health = source.health
    assert [frame.segment for frame in first + after] == [0, 0, 1, 1]
    assert [f.pts_seconds for f in first + after] == pytest.approx([0, 0.04, 5.04, 5.08])
    assert (health.state, health.reconnects, script.connections) == ("playing", 1, 4)
    assert health.last_error == "Still none."


def test_while_contact_is_lost_health_says_why_without_the_password(
    script: Script, clock: FakeClock
) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    class Held(Backoff):
        def next(self) -> float:
            waiting.set()
            go_on.wait(SECONDS)
            return 0.0

    with LiveSource("cam", script.connect, backoff=Held(), clock=clock) as source:
        list(paced(script, source, [0.0]))
        script.items.put(SourceError("rtsp://me:geheim@cam/1 broke off."))
        assert waiting.wait(SECONDS)
        assert source.health.state == "reconnecting"
        assert source.health.last_error == "rtsp://***@cam/1 broke off."
        assert source.read(0) == Timeout()
        script.items.put(None)
        go_on.set()


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (InputError("Wrong password."), InputError),
        (EnvironmentFault("Refused."), EnvironmentFault),
        (SourceError("Nothing came."), EnvironmentFault),
    ],
)
def test_what_never_worked_is_raised_and_not_tried_again(
    script: Script, clock: FakeClock, fault: EdgeError, raised: type[EdgeError]
) -> None:
    script.refusals = [fault]
    with live(script, clock) as source:
        with pytest.raises(raised, match=str(fault)):
            source.read(SECONDS)
        assert source.read(SECONDS) == End()
        assert (source.health.state, source.health.last_error) == ("failed", str(fault))
    assert script.connections == 1


def test_a_first_connection_that_gives_nothing_never_worked(
    script: Script, clock: FakeClock
) -> None:
    script.items.put(SourceError("Nothing came for 10 s."))
    with live(script, clock) as source, pytest.raises(EnvironmentFault, match="Nothing came"):
        source.read(SECONDS)


def test_without_reconnecting_the_loss_of_contact_is_an_error(
    script: Script, clock: FakeClock
) -> None:
    with live(script, clock, reconnect=False) as source:
        list(paced(script, source, [0.0]))
        script.items.put(SourceError("It broke off."))
        with pytest.raises(SourceError, match="It broke off"):
            source.read(SECONDS)
    assert script.connections == 1


def test_a_fault_of_the_program_reaches_whoever_reads(script: Script, clock: FakeClock) -> None:
    script.items.put(ZeroDivisionError("a bug"))
    with live(script, clock) as source, pytest.raises(ZeroDivisionError, match="a bug"):
        source.read(SECONDS)


def test_closing_from_another_thread_ends_a_read_that_waits(
    script: Script, clock: FakeClock
) -> None:
    source = LiveSource("cam", script.connect, clock=clock)
    got: SimpleQueue[object] = SimpleQueue()
    reader = threading.Thread(target=lambda: got.put(source.read(None)))
    reader.start()
    source.close()
    assert got.get(timeout=SECONDS) == End()
    reader.join(SECONDS)
    script.items.put(None)
    source._thread.join(SECONDS)
    assert (source._thread.is_alive(), script.closed) == (False, 1)
    source.close()


def test_a_first_connection_that_fails_after_closing_is_nobodys_concern(
    clock: FakeClock,
) -> None:
    connecting, go_on = threading.Event(), threading.Event()

    def connect(losses: Losses) -> Script:
        connecting.set()
        go_on.wait(SECONDS)
        raise EnvironmentFault("Refused.")

    source = LiveSource("cam", connect, clock=clock)
    assert connecting.wait(SECONDS)
    source.close()
    go_on.set()
    source._thread.join(SECONDS)
    assert source.read(0) == End()
    assert source.health.state == "ended"


def test_a_gap_within_a_connection_is_another_segment(script: Script, clock: FakeClock) -> None:
    with live(script, clock) as source:
        times = [(0.0, 0.04), (0.9, 0.9), (1.95, 1.05), (2.0, 0.05)]
        read = list(paced(script, source, times))
    assert [frame.segment for frame in read] == [0, 0, 1, 1]


@pytest.mark.parametrize(("fps", "gap", "segments"), [(0.5, None, 0), (0.5, 1.9, 1), (25.0, 9, 0)])
def test_how_long_a_gap_is_depends_on_the_camera_or_the_user(
    clock: FakeClock, fps: float, gap: float | None, segments: int
) -> None:
    script = Script(clock, fps)
    with live(script, clock, gap_seconds=gap) as source:
        read = list(paced(script, source, [(0.0, 0.0), (2.0, 2.0)]))
    assert read[1].segment == segments


def test_waits_double_up_to_a_limit_and_are_not_in_step() -> None:
    backoff = Backoff(0.5, 30.0, random.Random(1))
    waits = [backoff.next() for _ in range(9)]
    for wait, longest in zip(waits, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0.75 * longest <= wait <= longest
    assert len(set(waits)) == 9
    backoff.reset()
    assert backoff.next() <= 0.5
    assert Backoff(rng=random.Random(1)).next() != Backoff(rng=random.Random(2)).next()


def test_a_clock_that_leaps_is_not_believed() -> None:
    timeline = Timeline()
    steps = [(5.0, 0.0), (5.04, 0.04), (99.0, 0.08), (99.04, 0.12), (1.0, 0.16), (1.04, 0.20)]
    placed = [timeline.place(*step) for step in steps]
    assert placed == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.20])
    assert timeline.breaks == 2


def test_what_a_network_held_back_and_sends_at_once_keeps_its_times() -> None:
    timeline = Timeline()
    arrivals = [0.0, 0.04, 3.0, 3.0, 3.001, 3.002, 3.002]
    stated = [0.0, 0.04, 0.08, 0.12, 0.16, 2.96, 3.0]  # and lost what was in between
    assert [timeline.place(*at) for at in zip(stated, arrivals, strict=True)] == pytest.approx(
        stated
    )
    assert timeline.breaks == 0


def test_a_time_that_is_stated_twice_is_a_step_and_no_break() -> None:
    timeline = Timeline()
    placed = [timeline.place(*at) for at in [(1.0, 0.0), (1.0, 0.0), (0.98, 0.04), (1.02, 0.08)]]
    assert all(a < b for a, b in itertools.pairwise(placed))
    assert timeline.breaks == 0


times = st.none() | st.floats(-1e9, 1e9)


@given(st.lists(st.tuples(times, st.floats(0, 100), st.booleans()), min_size=2))
def test_time_always_goes_on(steps: list[tuple[float | None, float, bool]]) -> None:
    timeline, arrival = Timeline(), 0.0
    placed = []
    for stated, passed, reconnected in steps:
        if reconnected:
            timeline.reconnected()
        arrival += passed
        placed.append(timeline.place(stated, arrival))
    assert placed[0] == 0
    assert all(a < b for a, b in itertools.pairwise(placed))


def test_the_queue_raises_its_error_once_and_after_what_is_in_it() -> None:
    queue: LatestFrames[int] = LatestFrames(2)
    assert [queue.put(number) for number in range(3)] == [False, False, True]
    queue.finish(SourceError("gone"))
    assert (queue.take(0), queue.take(0)) == (1, 2)
    with pytest.raises(SourceError, match="gone"):
        queue.take(0)
    assert queue.take(None) == End()
    with pytest.raises(ValueError, match="at least"):
        LatestFrames(0)


def test_a_direct_source_drops_nothing_and_repairs_times(script: Script, clock: FakeClock) -> None:
    for item in (4.0, 4.04, Timeout(), 4.04, 4.12, None):
        script.items.put(item)
    with DirectSource("film", script.connect, clock) as source:
        read = list(iter(source.read, End()))
        assert source.read() == End()
        assert source.health.state == "ended"
    assert [frame.pts_seconds for frame in read] == pytest.approx([4.0, 4.04, 4.06, 4.12])
    assert (source.nominal_fps, source.is_live, script.closed) == (25.0, False, 1)


def test_a_direct_source_that_breaks_off_says_so(script: Script, clock: FakeClock) -> None:
    script.items.put(0.0)
    script.items.put(SourceError("The server has gone."))
    with DirectSource("film", script.connect, clock) as source:
        source.read()
        with pytest.raises(SourceError, match="The server has gone"):
            source.read()
        assert source.health.state == "failed"
        assert source.read() == End()


def test_a_direct_source_is_closed_by_its_reader_when_that_is_busy(
    script: Script, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("effvit_edge.sources.capture.CLOSE_SECONDS", 0.01)
    source = DirectSource("film", script.connect, clock)
    reader = threading.Thread(target=source.read)
    reader.start()
    assert script.grabbing.wait(SECONDS)
    source.close()
    assert script.closed == 0
    script.items.put(0.0)
    reader.join(SECONDS)
    assert script.closed == 1
    assert source.read() == End()
