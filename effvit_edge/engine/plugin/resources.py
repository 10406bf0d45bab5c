"""What ptxas reports of each kernel: registers, shared memory, spills."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ENTRY = re.compile(r"Compiling entry function '(?P<kernel>\w+)' for '(?P<device>sm_\w+)'")
_STACK = re.compile(
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads"
)
_USED = re.compile(r"Used (?P<registers>\d+) registers")
_SHARED = re.compile(r"(?P<shared>\d+) bytes smem")


@dataclass(frozen=True)
class KernelResources:
    """One kernel on one architecture.

    Attributes:
        kernel: its name.
        device: ``sm_87`` and so on.
        registers: of a thread.
        stack_bytes: of a thread, in local memory.
        spill_bytes: stored and loaded because registers ran out; 0 in a kernel that is right.
        shared_bytes: of a block.
    """

    kernel: str
    device: str
    registers: int
    stack_bytes: int
    spill_bytes: int
    shared_bytes: int


def read_report(text: str) -> tuple[KernelResources, ...]:
    """The kernels of a compiler's output that was asked for ``ptxas -v``, in its order."""
    found = []
    starts = list(_ENTRY.finditer(text))
    for i, start in enumerate(starts):
        end = starts[i + 1].start() if i + 1 < len(starts) else len(text)
        part = text[start.end() : end]
        stack, used, shared = _STACK.search(part), _USED.search(part), _SHARED.search(part)
        if stack is None or used is None:
            continue
        resources = KernelResources(
            kernel=start["kernel"],
            device=start["device"],
            registers=int(used["registers"]),
            stack_bytes=int(stack["stack"]),
            spill_bytes=int(stack["stores"]) + int(stack["loads"]),
            shared_bytes=int(shared["shared"]) if shared else 0,
        )
        found.append(resources)
    return tuple(found)


def most_registers(resources: Iterable[KernelResources]) -> dict[str, int]:
    """The most registers that a thread takes on each architecture."""
    most: dict[str, int] = {}
    for one in resources:
        most[one.device] = max(most.get(one.device, 0), one.registers)
    return most
