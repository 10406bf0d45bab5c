"""Blocks that keep no activations and compute them again on the way backwards.

Also called gradient checkpointing. The second pass draws the same dropout as the first, and leaves
BatchNorm's running statistics alone, which would take the same batch in twice otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from effvit_edge.nn.timeline import Timeline


def recomputed(block: nn.Module, x: Tensor, time: Timeline) -> Tensor:
    """``block(x, time)``, keeping only ``x`` for the way back.

    Args:
        block: takes a tensor and a timeline without state of its own.
        x: the block's input.
        time: the clip's timeline.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(block)

    result: Tensor = checkpoint(block, x, time, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Norms take the batch in a second time into copies that are thrown away.

    (Without statistics to take it into, torch would keep fewer tensors than the first time, which
    it refuses.)
    """
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.training]
    own = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    try:
        for norm, buffers in zip(norms, own, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())
        yield
    finally:
        for norm, buffers in zip(norms, own, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
