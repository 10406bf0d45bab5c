"""The processes that train one network together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from effvit_edge.core.errors import EdgeError, EnvironmentFault

T = TypeVar("T")

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others. torchrun ends them all when one dies; this is for
those that hang, and must be longer than what one of them may do alone, such as decoding a cache."""


_HARMLESS = (
    "`broadcast_buffers` is deprecated",  # its successor is not in every torch that we allow
    "Grad strides do not match bucket view strides",  # only of axes of length 1: depthwise kernels
)


_LOST = (
    "closed by peer",  # gloo
    "reset by peer",
    "Broken pipe",
    "Socket closed",
    "remote process exited",  # NCCL
    "recvValue failed",  # the store that torchrun keeps
)
"""In what torch says when another process is gone."""


class ToldElsewhere(EdgeError):
    """What went wrong is told by another process; this one only ends."""

    def __init__(self, error: EdgeError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # that of the error it stands for


class Group:
    """One process alone; :class:`ProcessGroup` is several.

    Attributes:
        rank: this process's number.
        local_rank: the same on this machine: which GPU it takes.
        world: how many there are on all machines.
    """

    rank = 0
    local_rank = 0
    world = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def agreed(self, error: EdgeError) -> EdgeError:
        """An error that all processes met together, as this one is to raise it."""
        return error if self.leads else ToldElsewhere(error)

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """Around what each process does alone: where one fails, all do, and the first one tells.

        Raises:
            EdgeError: what went wrong here.
            ToldElsewhere: what went wrong in another process, or here too.
        """
        failure: EdgeError | None = None
        try:
            yield
        except EdgeError as error:
            failure = error
        failures = self.gather(failure)
        failed = [rank for rank, error in enumerate(failures) if error is not None]
        if not failed:
            return
        first = failures[failed[0]]
        if failed[0] == self.rank and failure is not None:
            raise failure
        assert first is not None
        raise ToldElsewhere(first)

    def decided(self, decide: Callable[[], T]) -> T:
        """What the process that leads decides, in all of them."""
        decisions: list[T | None] = []
        with self.meeting():
            decisions = [decide() if self.leads else None]
        return self.gather(decisions[0])[0]  # type: ignore[return-value]

    def any(self, mine: bool) -> bool:
        """Whether something is so in any process."""
        return mine

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every process's tensor, in place."""
        return values

    def gather(self, value: T) -> list[T]:
        """Every process's value, in the order of ranks."""
        return [value]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean of every process's tensors in their place."""

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the processes."""
        return module

    def without_exchange(self, module: nn.Module) -> AbstractContextManager[None]:
        """Within it, backward passes of :meth:`parallel`'s module only add up gradients."""
        return nullcontext()


class ProcessGroup(Group):
    """Several processes over ``torch.distributed``, which must be running."""

    def __init__(self, device: torch.device) -> None:
        self.rank = dist.get_rank()
        self.world = dist.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self._device = device

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every process's tensor, in place."""
        dist.all_reduce(values)
        return values

    def any(self, mine: bool) -> bool:
        """Whether something is so in any process."""
        return bool(self.sum(torch.tensor(int(mine), device=self._device)))

    def gather(self, value: T) -> list[T]:
        """Every process's value, in the order of ranks."""
        values: list[T | None] = [None] * self.world
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean of every process's tensors in their place, in one exchange."""
        if not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = (flat / self.world).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the processes.

        Buffers are not sent around: what changes them is the same in all processes, or averaged.
        """
        devices = [self._device] if self._device.type == "cuda" else None
        return DistributedDataParallel(
            module, device_ids=devices, broadcast_buffers=False, gradient_as_bucket_view=True
        )

    def without_exchange(self, module: nn.Module) -> AbstractContextManager[None]:
        """Within it, backward passes of :meth:`parallel`'s module only add up gradients."""
        assert isinstance(module, DistributedDataParallel)
        exchange_off: AbstractContextManager[None] = module.no_sync()
        return exchange_off


def local_rank() -> int:
    """This process's number on this machine; 0 without torchrun."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def join_group(device: torch.device) -> Iterator[Group]:
    """Meet the other processes that torchrun started; alone where it did not.

    Args:
        device: of this process; CUDA devices exchange by NCCL, others by gloo.

    Raises:
        EnvironmentFault: the others are not there.
        EdgeError: one of the others ended before this one did.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise EnvironmentFault(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the other processes cannot be met: "
            f"{str(error).splitlines()[0]}. Start with torchrun, or unset WORLD_SIZE."
        ) from error
    try:
        with warnings.catch_warnings():
            for message in _HARMLESS:
                warnings.filterwarnings("ignore", message=message)
            with _lost_peers():
                yield ProcessGroup(device)
    finally:
        dist.destroy_process_group()


@contextmanager
def _lost_peers() -> Iterator[None]:
    """Say in a sentence, once a machine, that another process is gone: it has said why itself."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _LOST):
            raise
        lost = EdgeError("Another process ended; its message says why.")
        raise (ToldElsewhere(lost) if local_rank() else lost) from error
