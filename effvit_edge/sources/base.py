"""What a source gives: a frame, a time without one, its end, or an error, kept apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.clock import Clock
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.video import Losses

if TYPE_CHECKING:
    from typing_extensions import Self

Image: TypeAlias = npt.NDArray[np.uint8]
"""``(H, W, 3)`` uint8 RGB, upright."""


class SourceError(EdgeError):
    """A source that had given frames could not go on."""


class Frame:
    """One picture of a source, in the order of presentation.

    Args:
        index: 0 for the first frame that the source gave.
        pts_seconds: when it is shown, on the source's own clock; strictly increasing.
        arrival_seconds: on the monotonic clock, taken after the grab.
        grab_ms: how long reading and decoding it took.
        load: makes the picture; called once at most, when the picture is first looked at, so
            that a frame nobody looks at is never converted to RGB.
        clock: measures ``load``.
        segment: frames of one number follow each other without a gap; it rises after a reconnect
            or where the source's own time breaks off.
    """

    __slots__ = (
        "_clock",
        "_image",
        "_load",
        "arrival_seconds",
        "decode_ms",
        "grab_ms",
        "index",
        "pts_seconds",
        "segment",
    )

    def __init__(
        self,
        index: int,
        pts_seconds: float,
        arrival_seconds: float,
        grab_ms: float,
        load: Callable[[], Image],
        clock: Clock,
        segment: int = 0,
    ) -> None:
        self.index = index
        self.segment = segment
        self.pts_seconds = pts_seconds
        self.arrival_seconds = arrival_seconds
        self.grab_ms = grab_ms
        self.decode_ms = grab_ms
        self._load = load
        self._clock = clock
        self._image: Image | None = None

    @property
    def image(self) -> Image:
        """The picture, ``(H, W, 3)`` uint8 RGB, upright. The time it takes joins ``decode_ms``."""
        if self._image is None:
            started = self._clock.now()
            self._image = self._load()
            self.decode_ms += (self._clock.now() - started) * 1000
        return self._image

    def __repr__(self) -> str:
        return f"Frame(index={self.index}, pts_seconds={self.pts_seconds:.6f})"


@dataclass(frozen=True)
class Timeout:
    """No frame came within the time one was waited for; the source may still give some."""


@dataclass(frozen=True)
class End:
    """The source has no more frames, and that is as it should be."""


@dataclass(frozen=True)
class Health:
    """How a source is doing, for people to see."""

    state: Literal["connecting", "playing", "reconnecting", "ended", "failed"]
    backend: str
    """What decodes it, in words."""
    reconnects: int = 0
    last_error: str | None = None
    """Without credentials."""
    dropped: int = 0
    """Frames that came and were too old when someone was ready for them."""


class Source(Protocol):
    """Something that gives frames one after another. Close it, or use it as a context manager."""

    @property
    def name(self) -> str:
        """What the user called it, without secrets; each record's ``source``."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether it goes on until someone stops it."""
        ...

    @property
    def losses(self) -> Losses:
        """What could not be used so far."""
        ...

    @property
    def expected_frames(self) -> int | None:
        """How many frames there should be, where the source tells; for progress only."""
        ...

    @property
    def nominal_fps(self) -> float | None:
        """Frames per second by the source's own word; the timestamps are the truth."""
        ...

    def read(self, timeout: float | None = None) -> Frame | Timeout | End:
        """The next frame, or the end, again and again once it is reached.

        Args:
            timeout: how many seconds a live source may wait for a frame; None waits for good. A
                file's next frame is there as soon as it is decoded, and none is ever skipped.

        Raises:
            InputError: the source has nothing that can be used.
            SourceError: it gave frames and cannot go on.
        """
        ...

    @property
    def health(self) -> Health:
        """How it is doing right now; may be asked from any thread."""
        ...

    def close(self) -> None:
        """Give the file or device back. Closing twice is allowed.

        From another thread, it makes a ``read`` that waits return ``End``.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
