"""Sessions on ONNX Runtime: the CPU everywhere, CUDA where its build has it.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from effvit_edge.core.attention_op import CLIP_OP, DOMAIN
from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import EdgeError, EnvironmentFault, InputError
from effvit_edge.core.optional import install_line, require
from effvit_edge.runtime.base import CheckedSession, Image, Logits, State
from effvit_edge.runtime.graph import CARD_KEY, NEXT_PREFIX, TensorSpec, check_graph

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_NOT_BUILT_IN = "this ONNX Runtime is built without it"
_NUMPY_NAMES = {"tensor(float)": "float32", "tensor(float16)": "float16"}
ONLY_FATAL = 4
"""ONNX Runtime's log level: what matters comes back as an exception."""


class OnnxSession(CheckedSession):
    """An exported model in ONNX Runtime. Opened by ``open_onnx``."""

    def __init__(self, ort_session: Any, card: ModelCard, path: Path, provider_report: str) -> None:
        inputs = [_tensor_spec(arg) for arg in ort_session.get_inputs()]
        outputs = [_tensor_spec(arg) for arg in ort_session.get_outputs()]
        self._states = check_graph(card, inputs, outputs, str(path))
        names = [state.name for state in self._states]
        super().__init__(card, provider_report, frozenset(names))
        self._session = ort_session
        self._outputs = ["logits", *(NEXT_PREFIX + name for name in names)]

    def close(self) -> None:
        """See ``Session.close``."""
        super().close()
        self._session = None

    def _run(self, clip: Image) -> Logits:
        logits: Logits = self._infer({"frames": np.ascontiguousarray(clip)})[0]
        return logits

    def _init_state(self) -> State:
        return {state.name: np.zeros(state.shape, state.dtype) for state in self._states}

    def _step(self, frame: Image, state: State) -> tuple[Logits, State]:
        logits, *values = self._infer({"frame": np.ascontiguousarray(frame), **state})
        names = (part.name for part in self._states)
        return logits, dict(zip(names, values, strict=True))

    def _infer(self, feeds: dict[str, Any]) -> list[Any]:
        try:
            results: list[Any] = self._session.run(self._outputs, feeds)
        except Exception as error:  # ONNX Runtime's own types share no base but this one
            raise EdgeError(f"ONNX Runtime failed: {_first_line(error)}.") from error
        return results


def open_onnx(path: Path, provider: str, threads: int, tried: str = "") -> OnnxSession:
    """Load an ONNX file and check it against its card.

    Args:
        path: an ONNX file written by the export command.
        provider: ``cpu``, ``cuda`` or ``auto`` (CUDA where it works, else the CPU).
        threads: for one operator, on the CPU.
        tried: for the report: what was tried before, and why it does not work.

    Raises:
        InputError: not an ONNX file, no card in it, or a graph that does not fit the card.
        EnvironmentFault: ONNX Runtime is absent, or ``cuda`` was asked for and does not work.
    """
    ort = require("onnxruntime", "ort")
    before = f" ({tried})" if tried else ""
    fallback = ""
    if provider != "cpu":
        session, refusal = _start_cuda(ort, path, threads)
        if session is not None:
            return _checked(session, path, f"ONNX Runtime {ort.__version__} on CUDA{before}")
        if provider == "cuda":
            raise EnvironmentFault(
                f"CUDA was asked for and cannot be used: {refusal}. "
                f"Install, in the checkout: {install_line('ort-gpu')}, or use --provider cpu."
            )
        fallback = _fallback(refusal)
    session = _create(ort, path, [_CPU], threads)
    plural = "" if threads == 1 else "s"
    cpu = f"ONNX Runtime {ort.__version__} on the CPU, {threads} thread{plural}"
    report = f"{cpu}{before}{fallback}"
    return _checked(session, path, report)


def short_report(report: str) -> str:
    """A session's report without the remark that CUDA is not built in.

    That is so by choice of the package installed. Any other reason is a fault, and stays.
    """
    return report.removesuffix(_fallback(_NOT_BUILT_IN))


def _fallback(refusal: str) -> str:
    return f" (not CUDA: {refusal})"


def _start_cuda(ort: ModuleType, path: Path, threads: int) -> tuple[Any, str]:
    """A session on CUDA, or None and why there is none."""
    if _CUDA not in ort.get_available_providers():
        return None, _NOT_BUILT_IN
    try:
        session = _create(ort, path, [_CUDA, _CPU], threads)
    except InputError as error:  # of the model, too: the CPU will say the same of it
        return None, _first_line(error.__cause__ or error)
    if _CUDA not in session.get_providers():  # ONNX Runtime falls back without a word
        return None, "ONNX Runtime has it built in, but it does not start on this machine"
    return session, ""


def _create(ort: ModuleType, path: Path, providers: Sequence[str], threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ONLY_FATAL
    # Idle threads sleep: between two frames of a live source, decoding needs the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's own types share no base but this one
        if f"{DOMAIN}:{CLIP_OP}" in str(error):  # the start of the step's name, too
            raise InputError(
                f"{path} has the attention as one operator, which only TensorRT with the plugin "
                "runs. Use --provider tensorrt, or export the checkpoint with --attention native."
            ) from error
        raise InputError(
            f"{path} cannot be loaded as an ONNX model: {_first_line(error)}. "
            "Is it complete, and was it written by: effvit-edge export?"
        ) from error


def _checked(ort_session: Any, path: Path, provider_report: str) -> OnnxSession:
    text = ort_session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise InputError(
            f"{path} has no model card, so its labels and its input are unknown. "
            "Export the checkpoint with: effvit-edge export."
        )
    return OnnxSession(ort_session, ModelCard.from_json(text, str(path)), path, provider_report)


def _tensor_spec(arg: Any) -> TensorSpec:
    dtype = _NUMPY_NAMES.get(arg.type, arg.type.removeprefix("tensor(").removesuffix(")"))
    return TensorSpec(arg.name, dtype, tuple(arg.shape))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
