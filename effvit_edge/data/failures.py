"""Segments that cannot be used: named, counted, and too many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from effvit_edge.core.errors import InputError

_NAMED = 5


class Failures:
    """What had to be left out of a list, up to a share of it.

    Args:
        total: segments on the list, those of missing files included.
        max_share: more than this share of them stops the run.
        missing: a sentence for each file that is known from the start to be missing.
        absent: segments that those files cost.

    Raises:
        InputError: too many are missing.
    """

    def __init__(
        self, total: int, max_share: float, missing: Sequence[str] = (), absent: int = 0
    ) -> None:
        self.sentences = list(missing)
        """One for each reason, said once."""
        self.by_name: dict[str, str] = {}
        """Why each segment failed that was tried, in the order of the failures."""
        self._said = set(missing)
        self._total = total
        self._max_share = max_share
        self._absent = absent
        self._check()

    def __contains__(self, name: str) -> bool:
        """Whether the segment of this name failed before."""
        return name in self.by_name

    def add(self, name: str, error: InputError) -> None:
        """Count a segment, once.

        Raises:
            InputError: that makes too many.
        """
        self.include({name: str(error)})

    def include(self, by_name: Mapping[str, str]) -> None:
        """Count what was found here or by another process: sentences by the segments' names.

        Raises:
            InputError: that makes too many.
        """
        known = len(self.by_name)
        for name, sentence in by_name.items():
            if name in self.by_name:
                continue
            self.by_name[name] = sentence
            if sentence not in self._said:
                self._said.add(sentence)
                self.sentences.append(sentence)
        if len(self.by_name) > known:
            self._check()

    def _check(self) -> None:
        count = self._absent + len(self.by_name)
        if count > self._max_share * self._total:
            raise InputError(
                f"{count} of {self._total} segments are missing or cannot be decoded, and "
                f"data.max_failed_share allows {self._max_share:.0%}. First: {self.sentences[0]} "
                f"Mend them, take them off the list, or allow more."
            )


def describe_failures(failures: Sequence[str]) -> str:
    """How many videos were left out, and the first of them; empty when none was."""
    if not failures:
        return ""
    shown = " ".join(failures[:_NAMED])
    more = len(failures) - _NAMED
    videos = "1 video" if len(failures) == 1 else f"{len(failures)} videos"
    return f"{videos} left out. {shown}" + (f" And {more} more." if more > 0 else "")
