from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.errors import EdgeError, InputError
from effvit_edge.live import EventRules, LabelOptions, Stopped, parse_roi, predictions, watch
from effvit_edge.runtime import FakeSession
from effvit_edge.sources import MemorySource, SourceError
from tests.live_faults import HangingSource, SilentSource, grey_film
from tests.tiny_models import tiny_card, write_model
from tests.videos import grey_frames, write_video


def answer(frames: np.ndarray) -> np.ndarray:
    return np.array([0, 5, frames[-1, 0, 0, 0] / 1000], np.float32)


def session() -> FakeSession:
    return FakeSession(tiny_card("stream", fps=20), answer)


class Closed(MemorySource):
    """Remembers that it was closed."""

    was_closed = False

    def close(self) -> None:
        self.was_closed = True


def no_thread_is_left() -> bool:
    names = ("lane of", "inference", "records", "predictions")
    return not any(thread.name.startswith(names) for thread in threading.enumerate())


def test_every_frame_that_the_model_sees_is_given_in_order() -> None:
    source = Closed(grey_film(300), "film")
    decisions = list(predictions(source, session()))
    assert [decision.frame for decision in decisions] == list(range(300))
    assert {decision.source for decision in decisions} == {"film"}
    assert decisions[-1].scores.sum() == pytest.approx(1)
    assert source.was_closed
    assert no_thread_is_left()


def test_paths_are_opened_and_closed(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", grey_frames(10))
    model = write_model(tmp_path / "model.onnx", tiny_card("stream", 25))
    assert [decision.frame for decision in predictions(clip, model)] == list(range(10))
    assert [decision.frame for decision in predictions(str(clip), str(model))] == list(range(10))


def test_leaving_the_iterator_closes_what_it_opened() -> None:
    source = Closed(grey_film(10**9))
    with closing(predictions(source, session())) as decisions:
        for decision in decisions:
            if decision.frame == 5:
                break
    assert source.was_closed
    assert no_thread_is_left()


def test_an_exception_in_the_callers_loop_does_so_too() -> None:
    source = Closed(grey_film(10**9))
    with pytest.raises(KeyError), closing(predictions(source, session())) as decisions:
        for _ in decisions:
            raise KeyError("mine")
    assert source.was_closed
    assert no_thread_is_left()


def test_a_live_source_that_is_silent_can_be_left() -> None:
    camera = SilentSource(3)
    with closing(predictions(camera, session())) as decisions:
        next(decisions)
        camera.waits.wait()
    assert no_thread_is_left()


def test_a_source_that_hangs_can_be_left() -> None:
    stuck = HangingSource(3)
    with closing(predictions(stuck, session())) as decisions:
        assert next(decisions).frame == 0
        assert stuck.hangs.wait(30)
    assert not stuck.let_go.is_set()  # it was left while it hung
    left = [thread for thread in threading.enumerate() if thread.name.startswith("lane of")]
    assert left
    stuck.let_go.set()
    for thread in left:
        thread.join(30)
    assert no_thread_is_left()


def test_what_fails_is_raised_after_what_came_before() -> None:
    source = MemorySource([*grey_film(4), SourceError("The cable is out.")])
    seen = []
    with pytest.raises(SourceError, match="The cable is out"):
        for decision in predictions(source, session()):
            seen.append(decision.frame)
    assert seen == [0, 1, 2, 3]


def test_a_model_that_fails_is_raised() -> None:
    def broken(frames: np.ndarray) -> np.ndarray:
        raise EdgeError("The model failed.")

    with pytest.raises(EdgeError, match="The model failed"):
        list(predictions(MemorySource(grey_film(3)), FakeSession(tiny_card("stream"), broken)))


def test_what_cannot_be_opened_is_raised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.mp4"):
        list(predictions(tmp_path / "absent.mp4", session()))
    with pytest.raises(InputError, match="no model"):
        list(predictions(MemorySource([]), tmp_path / "absent.onnx"))


def test_events_and_regions_are_options() -> None:
    options = LabelOptions(events=EventRules(min_seconds=0.2))
    source = MemorySource(grey_film(30, hw=(40, 40)))
    decisions = list(predictions(source, session(), options, roi=parse_roi("0,0,8,8")))
    started = [decision.event is not None for decision in decisions]
    assert started == [False] * 7 + [True] * 23  # warm after four frames, told after four more
    assert decisions[-1].event is not None
    assert decisions[-1].event.start_seconds == pytest.approx(3 / 20)
    with pytest.raises(InputError, match="reaches beyond"):
        list(predictions(MemorySource(grey_film(3)), session(), roi=parse_roi("0,0,99,99")))


def test_a_callback_gets_all_and_the_report_says_how_it_went() -> None:
    seen: list[int] = []
    report = watch(
        MemorySource(grey_film(50)), session(), lambda decision: seen.append(decision.frame)
    )
    assert seen == list(range(50))
    assert (report.frames, report.decisions, report.stopped) == (50, 50, False)


def test_a_callback_ends_the_run_by_raising_stopped() -> None:
    seen: list[int] = []

    def until_five(decision: object) -> None:
        seen.append(len(seen))
        if len(seen) == 5:
            raise Stopped

    source = Closed(grey_film(10**9))
    report = watch(source, session(), until_five)
    assert len(seen) == 5
    assert report.stopped
    assert source.was_closed
    assert no_thread_is_left()


def test_a_callback_that_fails_is_raised() -> None:
    def fails(decision: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        watch(MemorySource(grey_film(50)), session(), fails)
