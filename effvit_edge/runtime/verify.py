"""``NAME.verify.npz`` beside a model: clips, and the answers that its parent gave to them.

Notation: ``K`` clips, ``T`` their frames, ``H W`` the model's input in pixels.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.runtime.base import Image, Logits, Session
from effvit_edge.runtime.kinds import is_plan
from effvit_edge.runtime.sidecar import read_sidecar

Clips = npt.NDArray[np.uint8]


def verify_path(onnx: Path) -> Path:
    """``NAME.verify.npz`` of ``NAME.onnx``."""
    return onnx.with_name(f"{onnx.stem}.verify.npz")


def find_verify(model: Path) -> Path | None:
    """The file that lies beside a model; of an engine it may be called after its ONNX file.

    Raises:
        InputError: an engine's sidecar cannot be used.
    """
    models = [model]
    if is_plan(model):
        models.append(model.with_name(read_sidecar(model).onnx_name))
    return next((path for path in map(verify_path, models) if path.is_file()), None)


def read_verify(verify: Path, card: ModelCard) -> tuple[Clips, Logits]:
    """Clips ``(K, T, H, W, 3)``; answers ``(K, T, classes)``, of a clip model ``(K, classes)``.

    Raises:
        InputError: the file cannot be read, or is of another model.
    """
    try:
        with np.load(verify, allow_pickle=False) as file:
            clips, logits = file["clips"], file["logits"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(
            f"{verify} cannot be read as clips and answers: {error}. Export the ONNX file again, "
            "which writes it."
        ) from error
    spec = card.preprocess
    picture = (spec.height, spec.width, 3)
    answers = (*clips.shape[:2], card.num_classes)
    if card.mode == "clip":
        answers = (*clips.shape[:1], card.num_classes)
    if clips.shape[2:] != picture or clips.dtype != np.uint8 or logits.shape != answers:
        raise InputError(
            f"{verify} is of another model: clips {clips.shape} {clips.dtype}, answers "
            f"{logits.shape}, expected {answers}. Export the ONNX file again, which writes it."
        )
    if clips.size == 0:  # in shape, and nothing could be told by it
        what = "has clips without frames" if len(clips) else "has no clips"
        raise InputError(f"{verify} {what}. Export the ONNX file again, which writes it.")
    return clips, logits


def session_answers(session: Session, clip: Image) -> Logits:
    """``(T, classes)`` of a stream from its start, ``(classes,)`` of a clip."""
    if session.card.mode == "clip":
        return session.run(clip)
    state = session.init_state()
    answers = []
    for frame in clip:
        logits, state = session.step(frame, state)
        answers.append(logits)
    return np.stack(answers)
