from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.sinks import JsonlFileSink, JsonlStreamSink, ReaderGone


def test_records_are_in_the_partial_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    sink = JsonlFileSink(path)
    assert not path.parent.exists()
    sink.write({"label": "é"})
    assert (tmp_path / "new" / "a.partial.jsonl").read_text("utf-8") == '{"label": "é"}\n'
    assert not path.exists()
    sink.write({"n": 1})
    assert sink.close(complete=True) == sink.close(complete=True) == path
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == [
        {"label": "é"},
        {"n": 1},
    ]
    assert list(path.parent.iterdir()) == [path]


def test_what_is_incomplete_keeps_its_partial_name_and_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("older")
    sink = JsonlFileSink(path)
    sink.write({"n": 1})
    assert sink.close(complete=False) == tmp_path / "a.partial.jsonl"
    assert path.read_text() == "older"
    assert (tmp_path / "a.partial.jsonl").read_text() == '{"n": 1}\n'


def test_a_sink_without_records_leaves_no_file(tmp_path: Path) -> None:
    assert JsonlFileSink(tmp_path / "a.jsonl").close(complete=True) is None
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a folder"):
        JsonlFileSink(tmp_path).write({})
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match=r"Cannot write .*a\.jsonl"):
        JsonlFileSink(tmp_path / "file" / "a.jsonl").write({})


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        JsonlStreamSink(io.StringIO()).write({"score": float("nan")})


class CountingStream(io.StringIO):
    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_a_stream_is_flushed_line_by_line_and_left_open() -> None:
    stream = CountingStream()
    sink = JsonlStreamSink(stream)
    sink.write({"n": 1})
    sink.write({"n": 2})
    assert stream.flushes == 2
    assert sink.close(complete=True) is None
    assert stream.getvalue() == '{"n": 1}\n{"n": 2}\n'


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_went_away_is_told() -> None:
    with pytest.raises(ReaderGone, match="is gone"):
        JsonlStreamSink(BrokenStream()).write({})
