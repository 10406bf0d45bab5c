"""Memory, streams and graphs of one CUDA device, behind one narrow protocol.

An address is an integer, as TensorRT takes it. What is put on a stream is finished only by
``synchronize``; until then the caller keeps the host's arrays alive.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from effvit_edge.core.errors import EdgeError, EnvironmentFault

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class DeviceFacts:
    """What an engine depends on of a device."""

    name: str
    compute_capability: str
    """``8.7``, for example."""
    multiprocessors: int
    cuda: str
    """Version of the CUDA runtime that is used, ``12.6`` for example."""

    def __str__(self) -> str:
        """For messages."""
        return f"{self.name} (compute {self.compute_capability}, {self.multiprocessors} SMs)"


@dataclass(frozen=True)
class HostBuffer:
    """Memory of the host that is never paged out, so that the device copies it on its own."""

    array: npt.NDArray[np.uint8]
    address: int | None
    """Where the device reads and writes it without a copy; None unless it was asked for."""


class NoGraph(EdgeError):
    """This work cannot be captured; putting it on the stream each time still works."""


class DeviceMemory(Protocol):
    """One device. Methods work in any thread, one thread at a time."""

    library: str
    """What is behind it, for reports."""
    integrated: bool
    """Whether the device has no memory of its own and can work in the host's."""

    def facts(self) -> DeviceFacts:
        """What the device is."""

    def current(self) -> AbstractContextManager[None]:
        """Within it, what else uses CUDA in this thread, such as TensorRT, uses this device."""

    def create_stream(self) -> int:
        """A new stream's handle."""

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back."""

    def allocate(self, size: int) -> int:
        """The address of ``size`` bytes.

        Raises:
            EdgeError: the device has no such room.
        """

    def free(self, address: int) -> None:
        """Give back what ``allocate`` gave."""

    def allocate_host(self, size: int, *, mapped: bool) -> HostBuffer:
        """``size`` bytes of the host's memory.

        Args:
            size: in bytes.
            mapped: give the device an address of them, too; for an integrated one.

        Raises:
            EdgeError: there is no such room.
        """

    def free_host(self, buffer: HostBuffer) -> None:
        """Give back what ``allocate_host`` gave; no view of its array may be used after."""

    def upload(self, address: int, array: Array, stream: int) -> None:
        """Copy a contiguous array to the device."""

    def download(self, array: Array, address: int, stream: int) -> None:
        """Fill a contiguous array from the device."""

    def synchronize(self, stream: int) -> None:
        """Wait until all that was put on the stream is done.

        Raises:
            EdgeError: some of it failed.
        """

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Record what ``work`` puts on a stream, without doing it; the recorded graph's handle.

        Raises:
            NoGraph: it cannot be recorded; the stream is as it was.
        """

    def launch(self, graph: int, stream: int) -> None:
        """Put all that was recorded on a stream, at once."""

    def destroy_graph(self, graph: int) -> None:
        """Give a graph back."""

    def create_event(self) -> int:
        """A new mark for a stream."""

    def destroy_event(self, event: int) -> None:
        """Give a mark back."""

    def record(self, event: int, stream: int) -> None:
        """Put a mark on a stream; it notes the device's time each time that it is reached."""

    def elapsed(self, begin: int, end: int) -> float:
        """Milliseconds between two marks that were reached, by the device's own clock.

        Raises:
            EdgeError: one of them was not reached yet.
        """

    def close(self) -> None:
        """Let go of the device. Closing twice is allowed."""


def no_device(reason: object) -> EnvironmentFault:
    """The error where CUDA finds no device, or not the one asked for."""
    return EnvironmentFault(
        f"CUDA finds no device on this machine: {str(reason).rstrip('.')}. Run where there is an "
        "NVIDIA GPU and its driver, or use --provider cpu with an ONNX file."
    )


def check_index(index: int, count: int) -> None:
    """Refuse a device that is not there.

    Raises:
        EnvironmentFault: CUDA finds no device, or fewer than the index asks for.
    """
    if not count:
        raise no_device("it counts none")
    if index >= count:
        raise EnvironmentFault(
            f"There is no CUDA device {index}: this machine has {count}, counted from 0."
        )


def cuda_error(call: str, text: str, full: bool) -> EdgeError:
    """The error of a call that failed; ``full`` where memory is out."""
    if full:
        return EdgeError(
            f"The device is out of memory ({call}). Close what else uses it; on a Jetson, where "
            "it is shared, also stop the desktop."
        )
    return EdgeError(f"CUDA failed in {call}: {text}.")
