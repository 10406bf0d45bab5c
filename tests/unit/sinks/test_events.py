from __future__ import annotations

import csv
from pathlib import Path

from effvit_edge.sinks import EventsCsvSink

EVENT = {"id": 1, "source": 'a "b", c', "label": "x,y", "score": 0.5, "start_s": 1.0, "end_s": 2.5}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_any_text_is_read_back_as_it_was(tmp_path: Path) -> None:
    sink = EventsCsvSink(tmp_path / "in" / "e.csv")
    sink.write(EVENT)
    assert sink.close(True) == tmp_path / "in" / "e.csv"
    assert read(tmp_path / "in" / "e.csv") == [{name: str(value) for name, value in EVENT.items()}]


def test_a_line_is_on_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    sink = EventsCsvSink(tmp_path / "e.csv")
    sink.write(EVENT)
    assert len(read(tmp_path / "e.partial.csv")) == 1
    assert sink.close(False) == tmp_path / "e.partial.csv"
    assert not (tmp_path / "e.csv").exists()


def test_a_whole_run_without_an_event_is_an_empty_table(tmp_path: Path) -> None:
    sink = EventsCsvSink(tmp_path / "e.csv")
    assert sink.close(True) == sink.close(True) == tmp_path / "e.csv"
    assert (tmp_path / "e.csv").read_text() == "id,source,label,score,start_s,end_s\n"


def test_a_run_that_came_to_nothing_leaves_no_table(tmp_path: Path) -> None:
    assert EventsCsvSink(tmp_path / "e.csv").close(False) is None
    assert list(tmp_path.iterdir()) == []
