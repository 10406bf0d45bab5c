"""MSR DailyActivity3D: everyday activities told by the names of the files."""

from __future__ import annotations

from dataclasses import dataclass

from effvit_edge.core.card import LabelGroup
from effvit_edge.core.errors import InputError
from effvit_edge.data.segments import Segment, SegmentList
from effvit_edge.data.sets.base import SetCard, Source

HOME = "https://sites.google.com/view/wanqingli/data-sets/msr-dailyactivity3d"
ACTIVITIES = (
    "drink",
    "eat",
    "read book",
    "call cellphone",
    "write on a paper",
    "use laptop",
    "use vacuum cleaner",
    "cheer up",
    "sit still",
    "toss paper",
    "play game",
    "lie down on sofa",
    "walk",
    "play guitar",
    "stand up",
    "sit down",
)
"""In the order of their numbers, from ``a01`` on."""
SUBJECTS = range(1, 11)
TAKES = (1, 2)
"""Everyone does everything twice: sitting or standing at the sofa."""


@dataclass(frozen=True)
class MsrOptions:
    """Options of ``data.set: msrdaily``."""

    train_subjects: tuple[int, ...] = (1, 3, 5, 7, 9)
    """Whose videos are for training; the others' are for evaluation."""
    suffix: str = "_rgb.avi"
    """What follows ``a01_s01_e01`` in a file's name."""


def parse(source: Source, options: MsrOptions) -> SegmentList:
    """The 320 videos that were published, or rather those of the subjects of a part.

    Raises:
        InputError: the subjects are not some, but not all, of 1 to 10.
    """
    trained = set(options.train_subjects)
    if not trained or not trained < set(SUBJECTS):
        raise InputError(
            f"data.options.train_subjects takes some of 1 to 10, and not all, got "
            f"{list(options.train_subjects)}."
        )
    names = (
        (f"a{activity:02d}_s{subject:02d}_e{take:02d}", activity - 1)
        for activity in range(1, len(ACTIVITIES) + 1)
        for subject in SUBJECTS
        for take in TAKES
        if (subject in trained) == (source.part == "train")
    )
    segments = (
        Segment(name, source.root / f"{name}{options.suffix}", (target,)) for name, target in names
    )
    return SegmentList((LabelGroup("label", ACTIVITIES),), tuple(segments))


CARD = SetCard(
    name="msrdaily",
    summary="MSR DailyActivity3D, 16 activities of ten people at a sofa",
    options=MsrOptions,
    parse=parse,
    home=HOME,
)
