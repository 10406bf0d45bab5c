"""Hold an ONNX file to the network it was made from, on pictures, with numbers."""

from __future__ import annotations

import torch

from effvit_edge.core.card import Preprocess
from effvit_edge.core.comparison import Comparison, Logits
from effvit_edge.core.errors import GateFailure
from effvit_edge.export.samples import Clips
from effvit_edge.nn import EfficientViT, EfficientViT3d


def parent_logits(model: EfficientViT, spec: Preprocess, clips: Clips, *, stream: bool) -> Logits:
    """The network's own answers, in torch, by the forms that the exported graph does not use.

    Args:
        model: in evaluation mode, as trained.
        spec: its card's preprocessing.
        clips: ``(K, T, H, W, 3)`` uint8.
        stream: an answer for each frame instead of one a clip.

    Returns:
        ``(K, T, classes)`` for a stream, else ``(K, classes)``.
    """
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    answers = []
    with torch.inference_mode():
        for clip in clips:
            # (T, H, W, 3) -> (1, 3, T, H, W)
            x = ((torch.from_numpy(clip).float() / 255 - mean) / std).permute(3, 0, 1, 2)[None]
            if not isinstance(model, EfficientViT3d):
                answers.append(model(x[0].transpose(0, 1)))
            else:
                answers.append((model.forward_frames(x) if stream else model(x))[0])
    logits: Logits = torch.stack(answers).numpy()
    return logits


def check_gate(comparison: Comparison, limit: float, what: str) -> None:
    """Refuse an artifact that answers otherwise than its parent.

    Raises:
        GateFailure: the largest difference is above ``limit``, or not a number.
    """
    if not comparison.max_abs <= limit:
        raise GateFailure(
            f"{what} differs from the network by up to {comparison.max_abs:.2e} "
            f"(mean {comparison.mean_abs:.2e}, same label for {comparison.top1_agreement:.1%} of "
            f"{comparison.answers} answers), the limit is {limit:.0e}. Nothing was written."
        )
