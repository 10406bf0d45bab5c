"""Files that cannot be used: named, counted, and too many of them."""

from __future__ import annotations

from collections.abc import Sequence

from effvit_edge.core.errors import InputError

_NAMED = 5


class Failures:
    """What had to be left out of a list, up to a share of it.

    Args:
        total: how many there are, the missing included.
        max_share: more than this share of them stops the run.
        missing: a sentence for each that is known from the start to be missing.

    Raises:
        InputError: too many are missing.
    """

    def __init__(self, total: int, max_share: float, missing: Sequence[str] = ()) -> None:
        self.sentences = list(missing)
        """One for each, said once."""
        self._total = total
        self._max_share = max_share
        self._count = len(missing)
        self._known: set[str] = set()
        self._check()

    def __contains__(self, name: str) -> bool:
        """Whether the segment of this name failed before."""
        return name in self._known

    def add(self, name: str, error: InputError) -> None:
        """Count a segment, once.

        Raises:
            InputError: that makes too many.
        """
        if name in self._known:
            return
        self._known.add(name)
        self._count += 1
        if str(error) not in self.sentences:
            self.sentences.append(str(error))
        self._check()

    def _check(self) -> None:
        if self._count > self._max_share * self._total:
            raise InputError(
                f"{self._count} of {self._total} videos are missing or cannot be decoded, and "
                f"data.max_failed_share allows {self._max_share:.0%}. First: {self.sentences[0]} "
                f"Mend them, take them off the list, or allow more."
            )


def describe_failures(failures: Sequence[str]) -> str:
    """How many videos were left out, and the first of them; empty when none was."""
    if not failures:
        return ""
    shown = " ".join(failures[:_NAMED])
    more = len(failures) - _NAMED
    return f"{len(failures)} videos left out. {shown}" + (f" And {more} more." if more > 0 else "")
