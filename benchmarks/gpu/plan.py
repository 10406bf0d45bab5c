"""Which runs are made, and in which size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.gpu.memory import saved_bytes
from benchmarks.variants.fixed_batch import CLASSES, Setting
from effvit_edge.nn.efficientvit.presets import PRESETS
from effvit_edge.train.precision import Kind

PRECISIONS: tuple[Kind, ...] = ("bf16", "fp16")
_SHARE = 0.5
"""Of the device's memory that a clip's counted activations may fill; the rest is for weights,
gradients, the optimiser and what kernels need."""
_MOST_CLIPS = 32


@dataclass(frozen=True)
class Size:
    """Of the clips, and how long each run takes."""

    pixels: int = 224
    frames: int = 16
    steps: int = 30
    precisions: tuple[Kind, ...] = PRECISIONS
    ratio_variants: tuple[str, ...] = ("b0", "b1", "l1")
    """Run again with recomputed activations, and compiled."""
    compiles: bool = True


TINY = Size(
    pixels=32, frames=2, steps=3, precisions=("bf16",), ratio_variants=("b0",), compiles=False
)
"""For a machine without a GPU: all but compiling, which takes minutes; no figure means anything."""


def batch_for(variant: str, size: Size, *, causal: bool, memory: int) -> int:
    """As many clips as should fit, a multiple of the classes; at least one clip of each class.

    Args:
        variant: of the network.
        size: of the clips.
        causal: how it is built.
        memory: bytes of the device.
    """
    clip = saved_bytes(
        f"efficientvit3d_{variant}",
        size=size.pixels,
        frames=size.frames,
        causal=causal,
        window=size.frames,
    )
    fitting = min(_MOST_CLIPS, int(_SHARE * memory / clip))
    return max(1, fitting // CLASSES) * CLASSES


def settings(
    size: Size, *, device: str, memory: int, variants: tuple[str, ...] = ()
) -> Iterator[Setting]:
    """Every variant, centred and causal, in every half format."""
    for variant in variants or tuple(PRESETS):
        for causal in (False, True):
            batch = batch_for(variant, size, causal=causal, memory=memory)
            for precision in size.precisions:
                yield Setting(
                    variant,
                    causal,
                    precision,
                    size=size.pixels,
                    frames=size.frames,
                    batch=batch,
                    steps=size.steps,
                    device=device,
                )


def ratio_settings(setting: Setting, *, compiles: bool) -> Iterator[Setting]:
    """A run, the same with recomputed activations, and the same compiled."""
    yield setting
    yield replace(setting, recompute=True)
    if compiles:
        yield replace(setting, compile=True)
