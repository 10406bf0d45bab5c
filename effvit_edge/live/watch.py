"""How a run tells what it is doing, to a terminal or to nobody."""

from __future__ import annotations

from effvit_edge.core.errors import EdgeError
from effvit_edge.live.decision import Decision
from effvit_edge.sources import Frame, Source


class Watcher:
    """Is told what happens; this one keeps it to itself. Subclasses show it."""

    def source_opened(self, source: Source) -> None:
        """A source was opened and its first frame comes next."""

    def frame_done(self, frame: Frame, decision: Decision | None) -> None:
        """A frame has been labelled, or passed by, and written."""

    def source_failed(self, name: str, error: EdgeError) -> None:
        """A source could not be opened, or not be read to its end."""

    def note(self, text: str) -> None:
        """Something that whoever runs this should know, in a sentence."""

    def should_stop(self) -> bool:
        """Whether to end before the next frame; asked before each."""
        return False
