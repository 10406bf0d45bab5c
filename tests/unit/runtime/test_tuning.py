"""The switches of a session: what each does, and what a session tells of its own running."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from effvit_edge.runtime import FakeSession, Tuning, open_session
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.layer_times import LayerTimes, kind_of
from effvit_edge.runtime.trt_fake import FakeMemory
from effvit_edge.runtime.tuning import Split
from tests.conftest import REPOSITORY
from tests.engines import open_fake, write_engine
from tests.tiny_models import SIDE, WINDOW, tiny_card

DEMO = REPOSITORY / "models" / "demo.onnx"
TIMED = Tuning(timed=True)


def _frames(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def _answers(session: Session, count: int) -> list[np.ndarray]:
    state, found = session.init_state(), []
    for frame in _frames(count):
        logits, state = session.step(frame, state)
        found.append(logits)
    return found


@pytest.mark.parametrize("no_graph", ["", "it has a loop"])
def test_the_device_splits_an_answer_by_its_own_clock(tmp_path: Path, no_graph: str) -> None:
    memory = FakeMemory(no_graph=no_graph)  # each piece of work takes it 1 ms
    with open_fake(write_engine(tmp_path), memory, TIMED) as session:
        assert session.telemetry.split_by == "device events"
        assert session.telemetry.split is None
        for _ in range(2):
            _answers(session, 3)
            assert session.telemetry.split == Split(upload=1, infer=1, download=1)
    assert memory.held == 0


def test_what_stays_where_it_is_takes_no_time(tmp_path: Path) -> None:
    with open_fake(write_engine(tmp_path), FakeMemory(integrated=True), TIMED) as session:
        _answers(session, 1)
        assert session.telemetry.split == Split(upload=0, infer=1, download=0)


def test_a_clip_is_split_as_well(tmp_path: Path) -> None:
    with open_fake(write_engine(tmp_path, "clip"), tuning=TIMED) as session:
        session.run(_frames(WINDOW))
        assert session.telemetry.split == Split(upload=1, infer=1, download=1)


def test_labelling_notes_no_times(tmp_path: Path) -> None:
    with open_fake(write_engine(tmp_path)) as session:
        _answers(session, 2)
        assert (session.telemetry.split_by, session.telemetry.split) == ("", None)
        assert session.telemetry.layers() == ()


def test_answers_are_the_same_whatever_the_switches(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    with open_fake(plan) as session:
        expected = _answers(session, 6)
    tunings = (
        TIMED,
        Tuning(cuda_graph=False),
        Tuning(zero_copy=False, timed=True),
        Tuning(profiled=True),
    )
    for tuning in tunings:
        with open_fake(plan, FakeMemory(integrated=True), tuning) as session:
            np.testing.assert_array_equal(_answers(session, 6), expected)


def test_without_a_graph_the_engine_is_put_on_the_stream_each_time(tmp_path: Path) -> None:
    memory = FakeMemory()
    with open_fake(write_engine(tmp_path), memory, Tuning(cuda_graph=False)) as session:
        _answers(session, 1)
        memory.events.clear()
        _answers(session, 2)
        assert memory.events.count("enqueue") == 2
        assert not {"launch", "capture"} & set(memory.events)
        # It was asked for, so it is no reason to complain of.
        assert session.provider_report == "TensorRT 10.3.0 on Orin"
        assert session.telemetry.switches.cuda_graph == "no, switched off"


def test_switches_are_told_as_they_came_out(tmp_path: Path) -> None:
    plan = write_engine(tmp_path)
    cases = (
        (FakeMemory(), Tuning(), "yes", "of memory that is never paged out"),
        (FakeMemory(integrated=True), Tuning(), "yes", "none, memory is shared"),
        (FakeMemory(integrated=True), Tuning(zero_copy=False), "yes", "of memory that is never"),
        (FakeMemory(no_graph="it has a loop"), Tuning(), "no, it has a loop", "of memory"),
        (FakeMemory(), Tuning(profiled=True), "no, layers are timed one by one", "of memory"),
    )
    for memory, tuning, graph, transfers in cases:
        with open_fake(plan, memory, tuning) as session:
            switches = session.telemetry.switches
        assert switches.cuda_graph == graph
        assert switches.transfers.startswith(transfers)
        assert switches.waiting == "as the driver chooses, by fake memory"
    with open_fake(plan, tuning=Tuning(waiting="spin")) as session:
        assert session.telemetry.switches.waiting == "spins"


def test_an_engines_layers_are_timed(tmp_path: Path) -> None:
    with open_fake(write_engine(tmp_path), tuning=Tuning(profiled=True)) as session:
        _answers(session, 4)
        first, second = session.telemetry.layers()
    assert (first.name, first.kind, first.milliseconds) == (
        "/layers/Conv + /layers/Relu",
        "Conv + Relu",
        0.75,
    )
    assert (second.kind, second.milliseconds) == ("Gemm", 0.25)


def test_layers_of_onnx_runtime_are_those_of_its_graph() -> None:
    with open_session(DEMO, "cpu", 1, tuning=Tuning(profiled=True)) as session:
        state = session.init_state()
        spec = session.card.preprocess
        frame = np.zeros((spec.height, spec.width, 3), np.uint8)
        for _ in range(5):
            _, state = session.step(frame, state)
        layers = session.telemetry.layers()
    kinds = Counter(layer.kind for layer in layers)
    written = Counter(node.op_type for node in onnx.load(DEMO).graph.node)
    # Fusing takes away activations and what is known beforehand, and adds changes of layout.
    assert kinds["Conv"] == written["Conv"] > 50
    assert kinds["MatMul"] + kinds["FusedMatMul"] == written["MatMul"] > 0
    assert all(layer.milliseconds >= 0 for layer in layers)
    assert sum(layer.milliseconds for layer in layers) > 0


def test_a_profile_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_session(DEMO, "cpu", 1, tuning=Tuning(profiled=True)) as session:
        assert len(list(tmp_path.iterdir())) == 1
        assert session.telemetry.layers()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("waiting", ["spin", "block", "auto"])
def test_threads_of_a_cpu_spin_only_when_told(waiting: str) -> None:
    with open_session(DEMO, "cpu", 2, tuning=Tuning(waiting=waiting)) as session:  # type: ignore[arg-type]
        told = session.telemetry.switches
    assert told.waiting == ("threads spin" if waiting == "spin" else "threads sleep")
    assert str(told).startswith("CUDA graph: none on a CPU; waiting: threads")


def test_a_session_without_a_model_has_nothing_to_tell() -> None:
    session = FakeSession(tiny_card("stream"), lambda frames: np.zeros(3, np.float32))
    assert (session.telemetry.split_by, session.telemetry.split) == ("", None)
    assert session.telemetry.layers() == ()
    assert str(session.telemetry.switches)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/stages.1/Conv", "Conv"),
        ("/a/Conv + PWN(/a/Sigmoid_2, /a/Mul)", "Conv + Sigmoid + Mul"),
        ("/a/Conv_1 || /a/Conv_2", "Conv"),
        ("Reformatting CopyNode for Input Tensor 0 to /a/Conv", "Reformat"),
        ("{ForeignNode[/a/MatMul.../b/Softmax]}", "compiled part"),
        ("__myl_FcAddMul_myl0_3", "compiled part"),
        ("whatever", "other"),
    ],
)
def test_operators_are_read_of_tensorrts_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_one_slow_answer_does_not_count_for_a_layer() -> None:
    times = LayerTimes()
    for milliseconds in (50.0, 1.0, 2.0, 3.0, 1.5):
        times.add("/a/Conv", milliseconds)
        times.add("/b/Relu", 2 * milliseconds, "Relu")
    assert [(t.kind, t.milliseconds) for t in times.medians()] == [("Conv", 2.0), ("Relu", 4.0)]
