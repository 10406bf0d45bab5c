"""What of a network is trained, which norms keep their statistics, and how it is evaluated."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from effvit_edge.core.errors import InputError


def select_trainable(model: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze every parameter that no pattern names; without patterns everything is trained.

    Args:
        model: changed in place.
        patterns: of parameter names, with ``*``, ``?`` and ``[]``.

    Raises:
        InputError: a pattern names no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f"model.trainable: no parameter is named {pattern!r}.{_nearest(pattern, names)}"
            )
    if not patterns:
        return
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))


def kept_norms(model: nn.Module, batch_norm: str) -> list[nn.Module]:
    """The norms whose statistics stay as they are: all of them, or those that nothing trains.

    Args:
        model: after :func:`select_trainable`.
        batch_norm: ``model.batch_norm`` of the recipe.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if batch_norm == "frozen":
        return list(norms)
    return [norm for norm in norms if not any(p.requires_grad for p in norm.parameters())]


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """Within it the network is in evaluation mode; then every module is again as it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _nearest(pattern: str, names: Sequence[str]) -> str:
    """Names like the pattern: whole ones, and the modules they lie in."""
    modules = {name.rsplit(".", count)[0] + ".*" for name in names for count in (1, 2, 3)}
    near = difflib.get_close_matches(pattern, [*sorted(modules), *names], n=3, cutoff=0.4)
    if near:
        return f" Near it: {', '.join(near)}."
    return f" The first is {names[0]}, the last {names[-1]}."
