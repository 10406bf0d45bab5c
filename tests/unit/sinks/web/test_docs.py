"""What ``docs/web.md`` says is served is served, and the files of the page are all of it."""

from __future__ import annotations

import re
from pathlib import Path

from effvit_edge.sinks import web
from effvit_edge.sinks.web import WebSink
from effvit_edge.sinks.web.page_files import page_files
from tests.unit.sinks.web.visiting import ask

_DOCS = Path(__file__).resolve().parents[4] / "docs" / "web.md"


def test_every_path_of_the_documentation_is_answered() -> None:
    text = _DOCS.read_text(encoding="utf-8")
    paths = re.findall(r"^\| `(/[^`]*)` \|", text, flags=re.MULTILINE)
    assert len(paths) == 6
    sink = WebSink("0")
    sink.label({"source": "NAME"})
    try:
        for path in paths:
            assert ask(sink, path, "HEAD").status in (200, 503), path  # 503: no pictures, no news
    finally:
        sink.close()


def test_every_file_of_the_page_is_served() -> None:
    folder = Path(web.__file__).parent / "page"
    there = {f"/{path.name}" for path in folder.iterdir()} - {"/index.html"}
    assert set(page_files()) == there | {"/"}
