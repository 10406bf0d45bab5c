"""Hold an ONNX file to the network it was made from, on pictures, with numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from effvit_edge.core.card import Preprocess
from effvit_edge.core.comparison import Comparison, Logits
from effvit_edge.core.errors import EdgeError, GateFailure
from effvit_edge.core.optional import require
from effvit_edge.export.samples import Clips
from effvit_edge.nn import EfficientViT, EfficientViT3d
from effvit_edge.runtime.onnxrt import ONLY_FATAL

FP32_LIMIT = 1e-4


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


def onnx_logits(path: Path, clips: Clips, *, batch: int | None = None) -> Logits:
    """An ONNX file's answers in ONNX Runtime on the CPU, shaped as :func:`parent_logits`.

    Args:
        path: the file.
        clips: ``(K, T, H, W, 3)`` uint8.
        batch: ``B`` of the graph; clips are then run ``B`` at a time, the last ones repeated.

    Raises:
        EdgeError: ONNX Runtime does not take the file.
    """
    ort = require("onnxruntime", "export")
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = ONLY_FATAL
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own types share no base but this one
        reason = str(error).splitlines()[0]
        raise EdgeError(f"ONNX Runtime refuses the exported graph: {reason}.") from error
    stream = session.get_inputs()[0].name == "frame"
    run = _run_stream if stream else _run_clip
    if batch is None:
        return np.stack([run(session, clip) for clip in clips])
    groups = []
    for start in range(0, len(clips), batch):
        chosen = clips[[min(i, len(clips) - 1) for i in range(start, start + batch)]]
        logits = run(session, chosen.swapaxes(0, 1) if stream else chosen)
        groups.append(logits.swapaxes(0, 1) if stream else logits)
    return np.concatenate(groups)[: len(clips)]


def _run_clip(session: Any, frames: Clips) -> Logits:
    logits: Logits = session.run(["logits"], {"frames": np.ascontiguousarray(frames)})[0]
    return logits


def _run_stream(session: Any, frames: Clips) -> Logits:
    """Step through ``frames (T, [B,] H, W, 3)`` from a state of zeros -> ``(T, [B,] classes)``."""
    states = [tensor for tensor in session.get_inputs() if tensor.name != "frame"]
    state = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in states}
    outputs = ["logits", *(f"next_{name}" for name in state)]
    answers = []
    for frame in frames:
        feeds = {"frame": np.ascontiguousarray(frame), **state}
        logits, *after = session.run(outputs, feeds)
        state = dict(zip(state, after, strict=True))
        answers.append(logits)
    return np.stack(answers)


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
