"""The datasets: from published lists to labelled segments. See docs/datasets.md."""

from effvit_edge.data.sets.base import Part, SetCard, Source
from effvit_edge.data.sets.disk import drop_missing, keep_present
from effvit_edge.data.sets.registry import find_set, list_sets
from effvit_edge.data.sets.splits import hold_out, open_part, open_split

__all__ = [
    "Part",
    "SetCard",
    "Source",
    "drop_missing",
    "find_set",
    "hold_out",
    "keep_present",
    "list_sets",
    "open_part",
    "open_split",
]
