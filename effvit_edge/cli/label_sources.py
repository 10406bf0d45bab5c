"""From what the command line names to lanes of sources, each with a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from effvit_edge.core.errors import InputError

if TYPE_CHECKING:
    from effvit_edge.live import Lane
    from effvit_edge.sources import SourceRef


def list_lanes(sources: Sequence[str], roi: Sequence[str]) -> list[Lane]:
    """A lane for each source that was named; a folder or pattern is one lane.

    Args:
        sources: as on the command line.
        roi: none, one for all, or one for each.

    Raises:
        InputError: a source or region is not well formed, or a source is named twice.
    """
    from effvit_edge.live import Lane, parse_roi
    from effvit_edge.sources import list_sources

    regions = [parse_roi(text) for text in roi]
    if len(regions) < len(sources):
        regions *= len(sources)
    lanes = []
    for number, uri in enumerate(sources):
        refs = tuple(list_sources(uri))
        region = regions[number] if regions else None
        lanes.append(Lane(refs, region, is_live=all(is_live(ref.uri) for ref in refs)))
    return _with_own_names(lanes)


def is_live(uri: str) -> bool:
    """Whether a source may go on for good, told from its name alone."""
    from effvit_edge.sources import parse_uri

    source = parse_uri(uri)
    if source.kind == "synthetic":
        return source.options.paced or source.options.seconds is None
    if source.kind == "http":
        return source.options.live is not False
    return source.kind in ("v4l2", "csi", "rtsp", "gst")


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
