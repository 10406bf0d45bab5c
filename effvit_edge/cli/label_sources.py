"""From what the command line names to lanes of sources, each with a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from effvit_edge.core.errors import InputError

if TYPE_CHECKING:
    from effvit_edge.live import Lane, Roi
    from effvit_edge.sources import SourceRef


def list_lanes(sources: Sequence[str], roi: Sequence[str]) -> list[Lane]:
    """A lane for each source that was named; a folder or pattern is one lane.

    Args:
        sources: as on the command line.
        roi: none, one for all, or one for each.

    Raises:
        InputError: a source or region is not well formed, or a source is named twice.
    """
    from effvit_edge.live import lane_of, parse_roi

    regions: list[Roi | None] = [parse_roi(text) for text in roi]
    if len(regions) < len(sources):
        regions = (regions or [None]) * len(sources)
    named = zip(sources, regions, strict=True)
    return _with_own_names([lane_of(uri, region) for uri, region in named])


def _with_own_names(lanes: list[Lane]) -> list[Lane]:
    """Where two sources share a name, as files of two folders may, both get the whole one."""
    from effvit_edge.sources import redacted

    uris = Counter(ref.uri for lane in lanes for ref in lane.refs)
    twice = next((uri for uri, count in uris.items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{redacted(twice)} is given twice. Give each source once.")
    names = Counter(ref.name for lane in lanes for ref in lane.refs)

    def own(ref: SourceRef) -> SourceRef:
        return replace(ref, name=redacted(ref.uri)) if names[ref.name] > 1 else ref

    return [replace(lane, refs=tuple(own(ref) for ref in lane.refs)) for lane in lanes]
