"""The errors this package raises on purpose. Each owns the exit code of the command it ends."""

from __future__ import annotations

from typing import ClassVar

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class EdgeError(Exception):
    """The work failed. The message is one or two sentences: what, where, what to do."""

    exit_code: ClassVar[int] = 1


class InputError(EdgeError):
    """Wrong usage, or an input that cannot be used: a file, a value, an option."""

    exit_code: ClassVar[int] = 2


class EnvironmentFault(EdgeError):
    """This machine lacks something: a library, a device, a permission."""

    exit_code: ClassVar[int] = 3


class GateFailure(EdgeError):
    """An accuracy or parity gate did not pass; nothing worse is passed off as good."""

    exit_code: ClassVar[int] = 4


class IncompatibleArtifact(EdgeError):
    """The artifact is sound, but was built for another device or version."""

    exit_code: ClassVar[int] = 5
