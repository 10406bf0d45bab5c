"""Something-Something v2: JSON lists of templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source
from effvit_edge.data.sets.reading import Classes, Unique, find_file, json_records, read_json

HOME = "https://www.qualcomm.com/developer/software/something-something-v-2-dataset"
_LISTS = {
    "train": ("something-something-v2-train.json", "train.json"),
    "eval": ("something-something-v2-validation.json", "validation.json"),
}
_LABELS = ("something-something-v2-labels.json", "labels.json")


@dataclass(frozen=True)
class SsOptions:
    """Options of ``data.set: ssv2``."""

    suffix: str = ".webm"
    """Of the videos, which are named by their id."""


def parse(source: Source, options: SsOptions) -> SegmentList:
    """The videos of a part, in the order of its list; the class is the template without brackets.

    Raises:
        InputError: a list is missing, or has an object that cannot be used or an id twice.
    """
    path = find_file(source.annotations, _LISTS[source.part], home=HOME)
    classes = _classes(find_file(source.annotations, _LABELS, home=HOME))
    unique = Unique(path, "object")
    segments = []
    for number, (name, template) in enumerate(json_records(path, {"id": str, "template": str}), 1):
        unique.add(name, number)
        label = template.replace("[", "").replace("]", "")
        target = classes.number(label, f"{path}, object {number}")
        segments.append(Segment(name, source.root / f"{name}{options.suffix}", (target,)))
    group = LabelGroup("label", classes.labels)
    return SegmentList((group,), tuple(segments), directional=CARD.directional)


def _classes(path: Path) -> Classes:
    """The templates in the order of their numbers."""
    numbers = read_json(path, home=HOME)
    if not isinstance(numbers, dict) or sorted(numbers.values(), key=str) != sorted(
        (str(i) for i in range(len(numbers))), key=str
    ):
        raise InputError(f"{path} does not number its templates from 0, each once.")
    return Classes(sorted(numbers, key=lambda label: int(numbers[label])), str(path))


CARD = SetCard(
    name="ssv2",
    summary="Something-Something v2, what hands do with things",
    options=SsOptions,
    parse=parse,
    directional=True,
    lists=(_LISTS["train"][0], _LISTS["eval"][0], _LABELS[0]),
    home=HOME,
)
