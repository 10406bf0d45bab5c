"""Names of EfficientViT's tensors: the official layout, timm's, and ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Layout = Literal["official", "timm", "effvit_edge"]

# The attention's eps each code trains and evaluates with; ours is in the checkpoint's card.
ATTENTION_EPS: dict[Layout, float] = {"official": 1e-15, "timm": 1e-5}

# One tensor that only a network of that layout has.
_SIGNATURES: dict[str, Layout] = {
    "backbone.input_stem.op_list.0.conv.weight": "official",  # B
    "backbone.stages.0.op_list.0.conv.weight": "official",  # L
    "stem.in_conv.conv.weight": "timm",
    "stem.0.conv.weight": "effvit_edge",
}

_HEADS: dict[Layout, dict[str, str]] = {
    "official": {
        "head.op_list.0.": "head.in_conv.",
        "head.op_list.2.linear.": "head.hidden.",
        "head.op_list.2.norm.": "head.norm.",
        "head.op_list.3.linear.": "head.classifier.",
    },
    "timm": {
        "head.classifier.0.": "head.hidden.",
        "head.classifier.1.": "head.norm.",
        "head.classifier.4.": "head.classifier.",
    },
    "effvit_edge": {},
}

# What official and timm blocks have in common, after the block's own address.
_BLOCK = {
    "context_module.main.qkv.conv.": "attention.qkv.",
    "context_module.main.aggreg.0.0.": "attention.aggregate_space.",
    "context_module.main.aggreg.0.1.": "attention.aggregate_heads.",
    "context_module.main.proj.": "attention.proj.",
    "local_module.main.": "local.",
    "main.": "",
}

_OFFICIAL_STEM = re.compile(r"backbone\.input_stem\.op_list\.(\d+)\.")
_OFFICIAL_STAGE = re.compile(r"backbone\.stages\.(\d+)\.op_list\.(\d+)\.")
_TIMM_STEM = re.compile(r"stem\.(?:in_conv|res(\d+))\.")
_TIMM_STAGE = re.compile(r"stages\.(\d+)\.blocks\.(\d+)\.")


def find_layout(names: Iterable[str]) -> Layout | None:
    """The layout that ``names`` are written in, None where it is neither of the three."""
    present = set(names)
    return next((layout for name, layout in _SIGNATURES.items() if name in present), None)


def our_names(names: Iterable[str], layout: Layout) -> dict[str, str]:
    """Each of ``names`` with our name for it; a name that is not understood stays as it is."""
    names = list(names)
    if layout == "effvit_edge":
        return {name: name for name in names}
    large = layout == "official" and not any(_OFFICIAL_STEM.match(name) for name in names)
    return {name: _our_name(name, layout, large) for name in names}


def _our_name(name: str, layout: Layout, large: bool) -> str:
    for theirs, ours in _HEADS[layout].items():
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    found = _official_address(name, large) if layout == "official" else _timm_address(name)
    if found is None:
        return name
    address, rest = found
    for theirs, ours in _BLOCK.items():
        if rest.startswith(theirs):
            return address + ours + rest[len(theirs) :]
    return address + rest


def _official_address(name: str, large: bool) -> tuple[str, str] | None:
    """Our address of the block and the rest of the name. In L networks the stem is stage 0."""
    if match := _OFFICIAL_STEM.match(name):
        return f"stem.{match[1]}.", name[match.end() :]
    if match := _OFFICIAL_STAGE.match(name):
        stage, block = int(match[1]) - large, match[2]
        address = f"stages.{stage}.{block}." if stage >= 0 else f"stem.{block}."
        return address, name[match.end() :]
    return None


def _timm_address(name: str) -> tuple[str, str] | None:
    if match := _TIMM_STEM.match(name):
        block = 0 if match[1] is None else int(match[1]) + 1
        return f"stem.{block}.", name[match.end() :]
    if match := _TIMM_STAGE.match(name):
        return f"stages.{match[1]}.{match[2]}.", name[match.end() :]
    return None
