from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.bench import run as module
from effvit_edge.bench import work as module_work
from effvit_edge.bench.harness import WarmUp
from effvit_edge.bench.load import LoadMark, mark, others
from effvit_edge.bench.result import read_result
from effvit_edge.bench.run import Job, run
from effvit_edge.bench.scenarios import MLPERF_SECONDS, setup
from effvit_edge.bench.speed import Speed, measure_speed
from effvit_edge.bench.work import LabelWork, rendered_pictures
from effvit_edge.core.card import Mode
from effvit_edge.core.clock import FakeClock
from effvit_edge.core.device import DeviceRoot
from effvit_edge.runtime import FakeSession, Logits, open_session
from tests.conftest import REPOSITORY
from tests.device_trees import JETPACK_62, tree
from tests.tiny_models import tiny_card

DEMO = REPOSITORY / "models" / "demo.onnx"
PICTURES = rendered_pictures(48, 64, 3)


def fake(clock: FakeClock, mode: Mode, seconds: float = 0.010) -> tuple[FakeSession, list[int]]:
    """A model that takes so long, and how many frames it was shown each time."""
    shown: list[int] = []

    def answer(frames: np.ndarray) -> Logits:
        clock.advance(seconds)
        shown.append(len(frames))
        return np.arange(len(card.labels), dtype=np.float32)

    card = tiny_card(mode)
    return FakeSession(card, answer), shown


@pytest.mark.parametrize("mode", ["stream", "clip"])
def test_a_query_is_one_more_frame(mode: Mode) -> None:
    clock = FakeClock()
    session, shown = fake(clock, mode)
    work = LabelWork(session, PICTURES, clock=clock)
    for _ in range(9):
        assert work() == pytest.approx((0, 10, 0))
    window = session.card.num_frames
    growing = [min(n + 1, window) for n in range(9)]
    assert shown == (growing if mode == "stream" else [window] * 9)


def test_streams_have_pasts_of_their_own() -> None:
    clock = FakeClock()
    session, shown = fake(clock, "stream")
    work = LabelWork(session, PICTURES, streams=3, clock=clock)
    preprocess, infer, post = work()
    assert (preprocess, infer, post) == pytest.approx((0, 30, 0))
    assert shown == [1, 1, 1]


def test_prepared_pictures_are_not_resized_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    session, _ = fake(clock, "stream")
    work = LabelWork(session, PICTURES, clock=clock, prepared=True)
    resized: list[object] = []
    monkeypatch.setattr(module_work, "preprocess_frame", lambda *given: resized.append(given))
    preprocess, infer, _ = work()
    assert (preprocess, infer) == pytest.approx((0, 10))
    assert resized == []


def test_the_demo_model_is_measured_and_the_result_read_again(tmp_path: Path) -> None:
    with open_session(DEMO, "cpu", 1) as session:
        job = Job(DEMO, session, setup("single-stream", count=30), 1, (72, 96))
        found = run(job, warm_up_seconds=0.0)
    assert (found.count, found.labels_per_second > 0) == (30, True)
    assert found.total.least > 0
    assert tuple(found.stages) == ("preprocess", "infer", "post")
    together = sum(latency.mean for latency in found.stages.values())
    assert together <= found.total.mean < together + 1  # what is between the stages
    assert found.artifact.sha256 and found.artifact.variant == "efficientvit3d_b0"
    card = session.card
    assert found.clip_span == pytest.approx((card.num_frames - 1) / card.fps * 1000)
    found.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json").count == 30


def test_a_throttled_board_taints_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = "sys/class/hwmon/hwmon3/oc3_event_cnt"
    root = tree(tmp_path, {**JETPACK_62, counter: "3\n"})
    clock = FakeClock()
    session, _ = fake(clock, "stream")
    job = Job(DEMO, session, setup("single-stream", count=50), 1, (48, 64))

    def work_that_throttles(self: LabelWork) -> tuple[float, float, float]:
        (tmp_path / counter).write_text("4\n")
        clock.advance(0.01)
        return 1.0, 8.0, 1.0

    monkeypatch.setattr(module, "warm_up", lambda *_, **__: WarmUp(2.0, 200, True))
    monkeypatch.setattr(LabelWork, "__call__", work_that_throttles)
    found = run(job, clock, root)
    assert found.tainted == ("oc3 was throttled",)
    assert found.device.kind == "jetson" and found.device.power_mode == "MAXN_SUPER"


def test_a_machine_that_changes_its_speed_taints_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    session, _ = fake(clock, "stream")
    job = Job(DEMO, session, setup("single-stream", count=400), 1, (48, 64))
    real, calls = LabelWork.__call__, iter(range(400))
    speeds = iter([Speed(0.5, 1.0), Speed(0.5, 1.2)])

    def slower_later(self: LabelWork) -> tuple[float, ...]:
        clock.advance(0.002 if next(calls) >= 300 else 0.0)
        return real(self)

    monkeypatch.setattr(module, "warm_up", lambda *_, **__: WarmUp(2.0, 200, True))
    monkeypatch.setattr(module, "measure_speed", lambda _: next(speeds))
    monkeypatch.setattr(LabelWork, "__call__", slower_later)
    found = run(job, clock, DeviceRoot(Path("/nowhere")))
    assert found.drift == pytest.approx(0.2)
    assert found.tainted == (
        "times drifted: the slowest tenth took 20% longer than the fastest",
        "the machine changed its own speed: memory 1.00 and 1.20 ms for the same work",
    )


def test_the_same_work_takes_the_same_time() -> None:
    speed = measure_speed()
    assert speed.core > 0 and speed.memory > 0
    assert Speed(0.5, 1.0).changes(Speed(0.51, 0.96)) == []
    assert Speed(0.5, 1.0).changes(Speed(0.6, 1.0)) == ["core 0.50 and 0.60 ms for the same work"]
    assert Speed(0.0, 0.0).changes(Speed(1.0, 1.0)) == []  # of a clock that stood still


def test_an_interrupted_run_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    session, _ = fake(clock, "stream")
    real = LabelWork.__call__
    calls = iter(range(100))

    def stopping(self: LabelWork) -> tuple[float, float, float]:
        if next(calls) == 60:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(module, "warm_up", lambda *_, **__: WarmUp(2.0, 200, True))
    monkeypatch.setattr(LabelWork, "__call__", stopping)
    found = run(Job(DEMO, session, setup("single-stream", seconds=9), 1, (48, 64)), clock)
    assert (found.interrupted, found.count) == (True, 60)
    assert any("interrupted" in note for note in found.notes)


def test_others_work_is_the_machines_without_ones_own() -> None:
    begin, end = LoadMark(10, 100, 50), LoadMark(12, 103, 51)
    assert others(begin, end) == pytest.approx(1.0)
    assert others(begin, begin) is None
    assert others(LoadMark(0, None, 0), LoadMark(1, None, 0)) is None


def test_the_load_of_a_machine_is_read(tmp_path: Path) -> None:
    files = {"proc/stat": "cpu  100 0 50 900 7 0 3 0 20 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"}
    found = mark(tree(tmp_path, files))
    # Guests' time is in user time already; idling and waiting for disks is no work.
    assert found.machine == pytest.approx(153 / os.sysconf("SC_CLK_TCK"))
    assert mark(tree(tmp_path / "none", {})).machine is None


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("single-stream", {"streams": 4}, "belongs to multi-stream"),
        ("multi-stream", {}, "belongs to multi-stream"),
        ("mlperf", {"seconds": 5.0}, "600 s"),
        ("offline", {"count": 0}, "positive"),
    ],
)
def test_numbers_that_do_not_belong_are_refused(
    name: str, changes: dict[str, float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        setup(name, **changes)  # type: ignore[arg-type]


def test_scenarios_have_their_durations() -> None:
    assert setup("single-stream").limits.seconds == 60
    assert setup("mlperf").limits.seconds == MLPERF_SECONDS
    assert setup("single-stream", count=5).limits.seconds is None
    assert setup("offline").prepared and not setup("single-stream").prepared
