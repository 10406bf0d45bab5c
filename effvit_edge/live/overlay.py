"""The panel drawn into the annotated video: label, score, the best few, time, warming up.

Everything is measured in the height of the label's capitals, which follows the picture's short
side, so that the panel looks the same from 128 pixels to 4K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from effvit_edge.core.optional import require
from effvit_edge.live.decision import Decision
from effvit_edge.live.roi import Box
from effvit_edge.live.text import Mask, ascent_px, descent_px, fitted, text_mask

Image: TypeAlias = npt.NDArray[np.uint8]
"""``(H, W, 3)`` uint8 RGB."""
Colour: TypeAlias = tuple[int, int, int]

_PANEL: Colour = (14, 17, 22)
_TRACK: Colour = (70, 76, 86)
_TEXT: Colour = (255, 255, 255)
_FAINT: Colour = (176, 184, 196)
_ACCENT: Colour = (64, 214, 164)
_OTHERS: Colour = (142, 152, 168)
_WARMING: Colour = (255, 190, 84)
_PANEL_OPACITY = 0.78
_MIN_SIDE_PX = 128  # a smaller picture is enlarged, or nothing could be read on it
_MAX_SIDE_PX = 4096
_MIN_PANEL_PX = 48  # with less than this nothing is drawn: the picture is a line
_MAX_PANEL_HEIGHT = 0.55  # of the picture's


@dataclass(frozen=True)
class _Layout:
    """Where things are, in pixels of the picture."""

    left: int
    top: int
    width: int
    height: int
    pad: int
    label_cap: float
    small_cap: float
    row: int
    """From one line of small text to the next."""
    gap: int
    """More space, between the status and the bars."""
    bars: int
    """How many candidates there is room for."""
    names: int
    """Width of the column of candidates' names."""


class Overlay:
    """Draws decisions into pictures.

    Args:
        labels: all the labels there are, which settle the widths, so that nothing jumps.
        topk: how many candidates to show where there is room.
        with_events: the headline is the event that goes on; the best label is faint without one.
    """

    def __init__(self, labels: Sequence[str], topk: int = 3, with_events: bool = False) -> None:
        self._labels = tuple(labels)
        self._topk = min(topk, len(self._labels))
        self._with_events = with_events
        self._layouts: dict[tuple[int, int], _Layout] = {}

    def draw(
        self, image: Image, pts_seconds: float, decision: Decision | None, box: Box | None = None
    ) -> Image:
        """A copy of the picture with the panel in its lower left corner.

        Args:
            image: ``(H, W, 3)`` uint8 RGB. A picture with a side below 128 pixels is enlarged by
                a whole factor first, unless the other side would become huge.
            pts_seconds: the picture's own time.
            decision: the latest there is, which may be about an earlier frame.
            box: the region that is labelled, in pixels of ``image``; marked by a frame around it.

        Returns:
            ``(H, W, 3)`` uint8 RGB, larger where the picture was enlarged.
        """
        canvas = _enlarged(image)
        size = (canvas.shape[0], canvas.shape[1])
        if min(size) < _MIN_PANEL_PX:
            return canvas
        if box:
            _draw_frame(canvas, box, canvas.shape[0] // image.shape[0])
        layout = self._layouts.get(size)
        if layout is None:
            layout = self._layouts[size] = self._arrange(*size)
        _blend(
            canvas, _rounded(layout.width, layout.height, layout.pad // 2), layout.left,
            layout.top, _PANEL, _PANEL_OPACITY,
        )  # fmt: skip
        self._draw_content(canvas, layout, pts_seconds, decision)
        return canvas

    def _arrange(self, height: int, width: int) -> _Layout:
        label_cap = 5.0 + 0.0215 * min(height, width)
        small_cap = max(5.6, 0.66 * label_cap)
        margin, pad = max(3, round(0.8 * label_cap)), max(4, round(0.85 * label_cap))
        panel_width = min(width - 2 * margin, round(18.5 * label_cap))
        row, gap = round(2.1 * small_cap), round(0.5 * small_cap)
        head = 2 * pad + round(label_cap) + row + gap
        room = round(_MAX_PANEL_HEIGHT * height) - head
        bars = max(0, min(self._topk, room // row))
        panel_height = head + bars * row
        inner = panel_width - 2 * pad
        widest = max(text_mask(label, small_cap).shape[1] for label in self._labels)
        return _Layout(
            left=margin,
            top=height - margin - panel_height,
            width=panel_width,
            height=panel_height,
            pad=pad,
            label_cap=label_cap,
            small_cap=small_cap,
            row=row,
            gap=gap,
            bars=bars,
            names=min(widest, round(0.6 * inner)),
        )

    def _draw_content(
        self, canvas: Image, layout: _Layout, pts_seconds: float, decision: Decision | None
    ) -> None:
        baseline = layout.top + layout.pad + round(layout.label_cap)
        if decision is not None:
            _draw_headline(canvas, layout, decision, baseline, self._with_events)
        baseline += layout.row
        _draw_status(canvas, layout, pts_seconds, decision, baseline)
        baseline += layout.gap
        if decision is not None:
            for rank in range(min(layout.bars, len(decision.topk))):
                baseline += layout.row
                _draw_bar(canvas, layout, decision, rank, baseline)


def _draw_headline(
    canvas: Image, layout: _Layout, decision: Decision, baseline: int, with_events: bool
) -> None:
    """The event's label, or the best one there is, and its score at the right end."""
    shown = decision.event or decision.topk[0]
    doubtful = decision.warming_up or (with_events and decision.event is None)
    colour = _FAINT if doubtful else _TEXT
    right = layout.left + layout.width - layout.pad
    now = next((best.score for best in decision.topk if best.label == shown.label), shown.score)
    score = text_mask(_percent(now), layout.label_cap)
    _write(canvas, score, right - score.shape[1], baseline, layout.label_cap, colour)
    room = layout.width - 2 * layout.pad - score.shape[1] - round(layout.label_cap * 0.8)
    cap = layout.label_cap
    wanted = text_mask(shown.label, cap, bold=True).shape[1]
    if wanted > room:
        cap = max(layout.small_cap, cap * room / wanted)
    bold = text_mask(shown.label, cap, bold=True).shape[1] <= room
    label = fitted(shown.label, cap, room, bold)
    _write(canvas, label, layout.left + layout.pad, baseline, cap, colour)


def _draw_status(
    canvas: Image, layout: _Layout, pts_seconds: float, decision: Decision | None, baseline: int
) -> None:
    """The picture's time, and at the right end what the model is at."""
    left, right = layout.left + layout.pad, layout.left + layout.width - layout.pad
    time = text_mask(_clock_time(pts_seconds), layout.small_cap)
    _write(canvas, time, left, baseline, layout.small_cap, _FAINT)
    room = right - left - time.shape[1] - round(layout.small_cap)
    if decision is None:
        texts, colour = ["waiting"], _FAINT
    elif decision.warming_up:
        fill = _percent(decision.window_fill)
        texts, colour = [f"warming up {fill}", "warming up", fill], _WARMING
    else:
        late = f"{decision.latency_ms.total:.1f} ms"
        texts, colour = [f"{decision.dropped} dropped, {late}"] * bool(decision.dropped), _FAINT
        texts.append(late)
    for text in texts:
        mask = text_mask(text, layout.small_cap)
        if mask.shape[1] <= room:
            _write(canvas, mask, right - mask.shape[1], baseline, layout.small_cap, colour)
            break


def _draw_bar(canvas: Image, layout: _Layout, decision: Decision, rank: int, baseline: int) -> None:
    """One candidate: its name, and a bar as long as its score."""
    candidate = decision.topk[rank]
    left, right = layout.left + layout.pad, layout.left + layout.width - layout.pad
    colour = _OTHERS
    if rank == 0:
        colour = _WARMING if decision.warming_up else _ACCENT
    name = fitted(candidate.label, layout.small_cap, layout.names)
    _write(canvas, name, left, baseline, layout.small_cap, _TEXT if rank == 0 else _FAINT)
    start = left + layout.names + round(layout.small_cap)
    thickness = max(3, round(0.7 * layout.small_cap))
    top = baseline - round((layout.small_cap + thickness) / 2)
    track = right - start
    _blend(canvas, _rounded(track, thickness, thickness // 2), start, top, _TRACK, 1.0)
    length = round(track * candidate.score)
    if length:
        bar = _rounded(track, thickness, thickness // 2)[:, :length]
        _blend(canvas, bar, start, top, colour, 1.0)


def _draw_frame(canvas: Image, box: Box, factor: int) -> None:
    """A rectangle just inside the region's border, in the accent's colour on a dark line."""
    cv2: Any = require("cv2", "video")
    x, y, width, height = (side * factor for side in box)
    corners = (x, y), (x + width - 1, y + height - 1)
    thickness = max(2, round(min(canvas.shape[:2]) / 200))
    cv2.rectangle(canvas, *corners, _PANEL, thickness + 2)
    cv2.rectangle(canvas, *corners, _ACCENT, thickness)


def _percent(part: float) -> str:
    return f"{100 * part:.0f}%"


def _clock_time(seconds: float) -> str:
    """``12.43`` is ``0:12.43``; hours are shown when there are some."""
    sign = "-" if seconds < 0 else ""
    hundredths = round(abs(seconds) * 100)
    minutes, rest = divmod(hundredths, 6000)
    tail = f"{rest // 100:02d}.{rest % 100:02d}"
    if minutes < 60:
        return f"{sign}{minutes}:{tail}"
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{tail}"


def _enlarged(image: Image) -> Image:
    """A copy, scaled up by a whole factor where it is too small to write on."""
    height, width = image.shape[:2]
    factor = min(-(-_MIN_SIDE_PX // min(height, width)), _MAX_SIDE_PX // max(height, width))
    return (
        np.repeat(np.repeat(image, factor, axis=0), factor, axis=1) if factor > 1 else image.copy()
    )


def _write(canvas: Image, mask: Mask, x: int, baseline: int, cap_px: float, colour: Colour) -> None:
    assert mask.shape[0] == ascent_px(cap_px) + descent_px(cap_px)
    _blend(canvas, mask, x, baseline - ascent_px(cap_px), colour, 1.0)


def _blend(canvas: Image, mask: Mask, x: int, y: int, colour: Colour, opacity: float) -> None:
    """Lay a colour over the part of the picture that the mask covers."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(canvas.shape[0], y + mask.shape[0]), min(canvas.shape[1], x + mask.shape[1])
    if top >= bottom or left >= right:
        return
    cv2: Any = require("cv2", "video")
    cover = mask[top - y : bottom - y, left - x : right - x] * np.float32(opacity)
    below = np.ascontiguousarray(canvas[top:bottom, left:right])
    ink = np.empty_like(below)
    ink[:] = colour
    canvas[top:bottom, left:right] = cv2.blendLinear(ink, below, cover, 1 - cover)


@lru_cache(maxsize=64)
def _rounded(width: int, height: int, radius: int) -> Mask:
    """A rectangle with rounded corners, antialiased."""
    radius = max(0, min(radius, width // 2, height // 2))
    x = np.arange(width) + 0.5
    y = np.arange(height) + 0.5
    dx = np.maximum(np.abs(x - width / 2) - (width / 2 - radius), 0)
    dy = np.maximum(np.abs(y - height / 2) - (height / 2 - radius), 0)
    distance = np.hypot(dx[None, :], dy[:, None]) - radius
    mask: Mask = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    return mask if radius else np.ones((height, width), np.float32)
