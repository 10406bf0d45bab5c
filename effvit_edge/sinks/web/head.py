"""Reads the head of a request, and no more of it than allowed."""

from __future__ import annotations

import io


class HeadTooLarge(Exception):
    """A request's line and headers are longer than allowed."""


class BoundedHead(io.BufferedIOBase):
    """The part of a file that ``http.server`` reads requests by, with a bound.

    Args:
        file: the connection's.
        most_bytes: between two calls of ``restart``.
    """

    def __init__(self, file: io.BufferedIOBase, most_bytes: int) -> None:
        self._file = file
        self._most = most_bytes
        self.restart()

    def restart(self) -> None:
        """Another request begins."""
        self._left = self._most

    def readline(self, size: int | None = -1) -> bytes:
        """The next line.

        Raises:
            HeadTooLarge: the request's bytes are used up.
        """
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise HeadTooLarge
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
