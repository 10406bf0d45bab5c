"""The process that builds: its steps, what it tells, and that it is alone and ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.engine.builder import PlanBuilder
from effvit_edge.engine.fake import FakeBuilder
from effvit_edge.engine.faults import BuildFault
from effvit_edge.engine.options import EngineOptions
from effvit_edge.engine.process import no_progress, run_worker
from effvit_edge.engine.request import BuildRequest
from effvit_edge.engine.worker import Percent, run
from tests.tiny_models import tiny_card, write_model
from tests.unit.engine.standing_in import FOLDER

REPOSITORY = Path(__file__).resolve().parents[3]
SECONDS = 120  # to wait for a process that should end at once


@pytest.fixture
def request_(tmp_path: Path) -> BuildRequest:
    onnx = write_model(tmp_path / "m.onnx", tiny_card("stream"))
    return BuildRequest(str(onnx), str(tmp_path / "m.plan"), EngineOptions(), None, False)


def _with_timings(request: BuildRequest, path: Path) -> BuildRequest:
    return BuildRequest(request.onnx, request.plan, request.options, str(path), False)


def test_a_request_reads_as_it_was_written(request_: BuildRequest) -> None:
    assert BuildRequest.from_json(request_.to_json()) == request_


def test_the_steps_of_a_build(request_: BuildRequest, tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    timings = tmp_path / "timings"
    for expected in ("configure", "configure with 7 bytes"):
        builder = FakeBuilder()
        assert run(_with_timings(request_, timings), lambda b=builder: b, told.append)
        assert builder.events == ["parse", expected, "build", "timings", "close"]
    assert Path(request_.plan).read_bytes() == b"ftrt fake"
    assert timings.read_bytes() == b"timings"
    assert told[:2] == [
        {"event": "progress", "phase": "Building", "percent": 50},
        {"event": "built", "bytes": 9},
    ]


def test_timings_that_cannot_be_kept_do_no_harm(request_: BuildRequest, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lost = tmp_path / "file" / "timings"
    assert run(_with_timings(request_, lost), FakeBuilder, lambda event: None)


@pytest.mark.parametrize("step", ["parse", "configure", "build"])
def test_every_failure_is_told_and_lets_go(request_: BuildRequest, step: str) -> None:
    told: list[dict[str, Any]] = []
    builder = FakeBuilder(fails=(step, BuildFault("node", "no", "a (Op)")))
    assert not run(request_, lambda: builder, told.append)
    assert told[-1] == {"event": "failed", "kind": "node", "text": "no", "node": "a (Op)"}
    assert builder.events[-1] == "close"
    assert not Path(request_.plan).exists()


def test_a_full_disk_and_a_missing_library_are_told(request_: BuildRequest) -> None:
    told: list[dict[str, Any]] = []
    full = FakeBuilder(fails=("build", OSError(28, "No space left on device")))
    assert not run(request_, lambda: full, told.append)
    assert told[-1]["kind"] == "disk"
    assert "No space left on device" in told[-1]["text"]

    def absent() -> PlanBuilder:
        raise EnvironmentFault("TensorRT is not here.")

    assert not run(request_, absent, told.append)
    assert (told[-1]["kind"], told[-1]["text"]) == ("library", "TensorRT is not here.")


def test_progress_is_whole_per_cents_that_only_grow() -> None:
    told: list[int] = []
    percent = Percent(lambda event: told.append(event["percent"]))
    for share in (0.0, 0.001, 0.5, 0.4, 0.501, 1.0):
        percent("all", share)
    assert told == [0, 50, 100]


@pytest.fixture
def stood_in(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Processes that are started find the stand-in for TensorRT."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))
    monkeypatch.delenv("STAND_IN", raising=False)
    return monkeypatch


def test_a_build_in_its_own_process(request_: BuildRequest, stood_in: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    run_worker(request_, "TensorRT", lambda phase, percent: told.append((phase, percent)))
    assert Path(request_.plan).read_bytes() == b"ftrt" + Path(request_.onnx).read_bytes()
    assert told[0] == ("Building engine", 0)
    assert told[-1] == ("Building engine", 100)


@pytest.mark.parametrize(
    ("fails", "kind", "message"),
    [
        ("killed", EdgeError, r"The system killed the build of m\.onnx.*swap.*1024 MiB"),
        ("crashed", EdgeError, "crashed with signal 6: terminate called without"),
        ("torch", EdgeError, "crashed with status 1: .*torch"),
        ("start|CUDA initialization failure", EnvironmentFault, "finds no device"),
        ("build|OutOfMemory", EdgeError, "ran out of memory"),
    ],
)
def test_what_goes_wrong_there_is_told_here(
    request_: BuildRequest,
    stood_in: pytest.MonkeyPatch,
    fails: str,
    kind: type[EdgeError],
    message: str,
) -> None:
    stood_in.setenv("STAND_IN", fails)
    with pytest.raises(kind, match=message):
        run_worker(request_, "TensorRT 10.3.0", no_progress)
    assert not Path(request_.plan).exists()


def test_a_tensorrt_that_is_too_old_is_told(
    request_: BuildRequest, stood_in: pytest.MonkeyPatch
) -> None:
    stood_in.setenv("STAND_IN_VERSION", "8.6.2.3")
    with pytest.raises(EnvironmentFault, match=r"TensorRT 8\.6\.2\.3 is too old.*10\.3"):
        run_worker(request_, "TensorRT", no_progress)


def wait_for_end(process: int) -> None:
    """Wait until a process is gone; it may be gone already."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        assert poll.poll(SECONDS * 1000), f"process {process} goes on"
    finally:
        os.close(handle)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux can wait for any process")
def test_an_interrupted_build_ends_its_process(
    request_: BuildRequest, stood_in: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stood_in.setenv("STAND_IN", f"hang|{tmp_path / 'process'}")

    def interrupt(phase: str, percent: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_worker(request_, "TensorRT", interrupt)
    wait_for_end(int((tmp_path / "process").read_text()))
    assert not Path(request_.plan).exists()


CALLER = """
import sys
from effvit_edge.engine.process import run_worker
from effvit_edge.engine.request import BuildRequest
run_worker(
    BuildRequest.from_json(sys.argv[1]), "TensorRT", lambda *_: print("building", flush=True)
)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux can wait for any process")
def test_a_build_whose_caller_is_killed_ends(
    request_: BuildRequest, stood_in: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stood_in.setenv("STAND_IN", f"hang|{tmp_path / 'process'}")
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, request_.to_json()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "building\n"
        caller.send_signal(signal.SIGKILL)
    wait_for_end(int((tmp_path / "process").read_text()))


def test_ctrl_c_is_the_callers_to_handle(
    request_: BuildRequest, stood_in: pytest.MonkeyPatch
) -> None:
    """A terminal sends it to both; the worker must not end with a trace of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "effvit_edge.engine.worker", request_.to_json()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(FOLDER)])},
    ) as worker:
        assert worker.stdout is not None
        lines = [worker.stdout.readline()]
        worker.send_signal(signal.SIGINT)
        lines += worker.stdout.readlines()
    assert worker.returncode == 0
    assert json.loads(lines[-1])["event"] == "built"
