"""How a run tells what it is doing, to a terminal or to nobody."""

from __future__ import annotations

from collections.abc import Sequence

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.status import SourceStatus


class Watcher:
    """Is told what happens; this one keeps it to itself. Subclasses show it.

    Everything is called from the one thread that called the run.
    """

    def progress(self, sources: Sequence[SourceStatus]) -> None:
        """How the sources are doing that are labelled now; several times a second."""

    def source_failed(self, name: str, error: EdgeError) -> None:
        """A source could not be opened, or not be read to its end."""

    def note(self, text: str) -> None:
        """Something that whoever runs this should know, in a sentence."""

    def should_stop(self) -> bool:
        """Whether to end; asked many times a second."""
        return False
