"""The page's own files: read once, by name. No request ever names a path."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "sources.css": "text/css; charset=utf-8",
    "panel.css": "text/css; charset=utf-8",
    "history.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "feed.js": "text/javascript; charset=utf-8",
    "timeline.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """What a browser gets."""

    content_type: str
    body: bytes


def page_files() -> dict[str, PageFile]:
    """By the path they are asked for under; ``/`` is the page."""
    folder = resources.files(__package__) / "page"
    files = {
        f"/{name}": PageFile(content_type, (folder / name).read_bytes())
        for name, content_type in _TYPES.items()
    }
    files["/"] = files.pop("/index.html")
    return files
