from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from effvit_edge.bench.load import LoadMark, mark, others
from tests.device_trees import tree

TICK = 1 / os.sysconf("SC_CLK_TCK")
STAT = "cpu  9 0 9 9 9 0 9 0 9 0\ncpu0 4 0 4 4 4 0 4 0 4 0\ncpu1 5 0 5 5 5 0 5 0 5 0\nctxt 9\n"


def stat_of(name: str, parent: int, *times: int) -> str:
    """A process's line, with user, system and its ended children's time in ticks."""
    before = "1 2 0 -1 4194560 1 2 3 4"  # group to the pages its ended children took
    return f"7 ({name}) S {parent} {before} {' '.join(map(str, times))} 20 0 1 0 99 1 2\n"


def test_where_ticks_are_too_coarse_nothing_is_told() -> None:
    """A query of 14 ms on two cores: three ticks are two cores."""
    begin = LoadMark(10, 100, 50, 0.02)
    assert others(begin, LoadMark(10.014, 100.03, 50, 0.02)) is None
    assert others(begin, LoadMark(10.39, 100.39, 50, 0.02)) is None
    assert others(begin, LoadMark(10.41, 100.41, 50, 0.02)) == pytest.approx(1)
    assert others(begin, LoadMark(10.41, 100.41, 50, 0.04)) is None


def test_a_tick_of_every_core_may_be_wrong(tmp_path: Path) -> None:
    assert mark(tree(tmp_path, {"proc/stat": STAT})).resolution == pytest.approx(2 * TICK)


def test_what_runs_for_this_process_is_its_own_work(tmp_path: Path) -> None:
    own, other = os.getpid(), os.getpid() + 1
    alone = mark(tree(tmp_path / "alone", {"proc/stat": STAT}))
    files = {
        "proc/stat": STAT,
        "proc/11/stat": stat_of("tegrastats", own, 10_000, 2_000, 300, 40),
        "proc/12/stat": stat_of(f"odd) S {other} (", own, 100_000, 0, 0, 0),
        "proc/13/stat": stat_of("another", other, 5_000_000, 0, 0, 0),
        "proc/14/stat": stat_of(f"odd) S {own} 1", other, 5_000_000, 0, 0, 0),
        "proc/15/stat": "",
    }
    found = mark(tree(tmp_path / "children", files))
    assert found.process - alone.process == pytest.approx(112_340 * TICK, abs=5)


def test_a_child_that_runs_is_counted() -> None:
    script = (
        "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"
    )
    before, own = mark(), time.process_time()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while_running, own = mark(), time.process_time() - own
        child.communicate(b"\n")
    assert while_running.process - before.process - own > 0.4
    # Its time is not lost, nor counted twice, when it has ended.
    assert mark().process - while_running.process < 0.4
    assert mark().process >= while_running.process - 4 * TICK
