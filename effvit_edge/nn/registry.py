"""Networks by name: ``create_model`` builds, ``list_models`` tells what there is."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from effvit_edge.nn.efficientvit import create as efficientvit
from effvit_edge.nn.efficientvit.model import EfficientViT

# One entry a family: its names, and what builds one of them from flat keywords.
_FAMILIES: tuple[dict[str, Callable[..., EfficientViT]], ...] = (efficientvit.BUILDERS,)


def list_models() -> list[str]:
    """Names that :func:`create_model` takes."""
    return [name for family in _FAMILIES for name in family]


def create_model(name: str, **kwargs: Any) -> EfficientViT:
    """Build a network with random weights; under ``torch.device("meta")`` without any.

    Args:
        name: a preset, see :func:`list_models`.
        **kwargs: the preset's keywords: ``num_classes``, ``head_widths``, ``drop_path``,
            ``head_dropout``, ``eps``; for video also ``num_frames``, ``causal``, ``window``,
            ``temporal_kernels``, ``temporal_strides``, ``temporal_padding``.

    Returns:
        The network; ``network_kwargs`` holds every keyword that rebuilds it.

    Raises:
        ValueError: unknown name, or a value that does not fit.
        TypeError: unknown keyword.
    """
    for family in _FAMILIES:
        if name in family:
            build = family[name]
            _check_keywords(name, build, kwargs)
            model = build(**kwargs)
            model.preset_name = name
            return model
    close = difflib.get_close_matches(name, list_models(), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "list_models() has all names"
    raise ValueError(f"unknown model {name!r}; {hint}")


def _check_keywords(name: str, build: Callable[..., Any], kwargs: dict[str, Any]) -> None:
    known = inspect.signature(build).parameters
    unknown = sorted(kwargs.keys() - known.keys())
    if unknown:
        raise TypeError(f"{name} takes no {unknown[0]!r}; it takes {', '.join(known)}")
