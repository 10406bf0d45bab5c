"""Sessions on ONNX Runtime: the CPU everywhere, CUDA where its build has it.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from effvit_edge.core.attention_op import CLIP_OP, DOMAIN
from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.optional import install_line, require
from effvit_edge.runtime.device_session import DeviceSession
from effvit_edge.runtime.graph import CARD_KEY
from effvit_edge.runtime.onnx_executor import OnnxExecutor, OrtPlace, first_line
from effvit_edge.runtime.tuning import DEFAULT, Tuning

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_NOT_BUILT_IN = "this ONNX Runtime is built without it"
ONLY_FATAL = 4
"""ONNX Runtime's log level: what matters comes back as an exception."""


def open_onnx(
    path: Path,
    provider: str,
    threads: int,
    tried: str = "",
    *,
    device: int = 0,
    tuning: Tuning = DEFAULT,
) -> DeviceSession:
    """Load an ONNX file and check it against its card.

    Args:
        path: an ONNX file written by the export command.
        provider: ``cpu``, ``cuda`` or ``auto`` (CUDA where it works, else the CPU).
        threads: for one operator, on the CPU.
        tried: for the report: what was tried before, and why it does not work.
        device: which of CUDA's devices, by its number.
        tuning: how it runs; of it, a CPU knows spinning and the profile.

    Raises:
        InputError: not an ONNX file, no card in it, or a graph that does not fit the card.
        EnvironmentFault: ONNX Runtime is absent, or ``cuda`` was asked for and does not work.
    """
    ort = require("onnxruntime", "ort")
    before = f" ({tried})" if tried else ""
    fallback = ""
    profile = TemporaryDirectory(prefix="effvit-edge-") if tuning.profiled else None
    wanted = _Wanted(path, threads, tuning, profile)
    if provider != "cpu":
        session, refusal = _start_cuda(ort, wanted, device)
        if session is not None:
            place = OrtPlace("cuda", device)
            which = f" device {device}" if device else ""
            report = f"ONNX Runtime {ort.__version__} on CUDA{which}{before}"
            return _checked(ort, session, wanted, place, report)
        if provider == "cuda":
            raise EnvironmentFault(
                f"CUDA was asked for and cannot be used: {refusal}. "
                f"Install, in the checkout: {install_line('ort-gpu')}, or use --provider cpu."
            )
        fallback = _fallback(refusal)
    session = _create(ort, wanted, {_CPU: {}})
    plural = "" if threads == 1 else "s"
    cpu = f"ONNX Runtime {ort.__version__} on the CPU, {threads} thread{plural}"
    return _checked(ort, session, wanted, OrtPlace(), f"{cpu}{before}{fallback}")


def short_report(report: str) -> str:
    """A session's report without the remark that CUDA is not built in.

    That is so by choice of the package installed. Any other reason is a fault, and stays.
    """
    return report.removesuffix(_fallback(_NOT_BUILT_IN))


def _fallback(refusal: str) -> str:
    return f" (not CUDA: {refusal})"


@dataclass(frozen=True)
class _Wanted:
    """What is to be loaded, whatever it is to run on."""

    path: Path
    threads: int
    tuning: Tuning
    profile: TemporaryDirectory[str] | None
    """For ONNX Runtime's profile."""


def _start_cuda(ort: ModuleType, wanted: _Wanted, device: int) -> tuple[Any, str]:
    """A session on CUDA, or None and why there is none."""
    if _CUDA not in ort.get_available_providers():
        return None, _NOT_BUILT_IN
    try:
        session = _create(ort, wanted, {_CUDA: {"device_id": str(device)}, _CPU: {}})
    except InputError as error:  # of the model, too: the CPU will say the same of it
        return None, first_line(error.__cause__ or error)
    if _CUDA not in session.get_providers():  # ONNX Runtime falls back without a word
        return None, "ONNX Runtime has it built in, but it does not start on this machine"
    return session, ""


def _create(ort: ModuleType, wanted: _Wanted, providers: Mapping[str, Mapping[str, str]]) -> Any:
    path, options = wanted.path, ort.SessionOptions()
    options.intra_op_num_threads = wanted.threads
    options.log_severity_level = ONLY_FATAL
    # Idle threads sleep: between two frames of a live source, decoding needs the cores.
    spin = "1" if wanted.tuning.waiting == "spin" else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spin)
    if wanted.profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(wanted.profile.name) / "profile")
    try:
        return ort.InferenceSession(str(path), options, list(providers), list(providers.values()))
    except Exception as error:  # ONNX Runtime's own types share no base but this one
        if f"{DOMAIN}:{CLIP_OP}" in str(error):  # the start of the step's name, too
            raise InputError(
                f"{path} has the attention as one operator, which only TensorRT with the plugin "
                "runs. Use --provider tensorrt, or export the checkpoint with --attention native."
            ) from error
        raise InputError(
            f"{path} cannot be loaded as an ONNX model: {first_line(error)}. "
            "Is it complete, and was it written by: effvit-edge export?"
        ) from error


def _checked(
    ort: ModuleType, ort_session: Any, wanted: _Wanted, place: OrtPlace, report: str
) -> DeviceSession:
    path = wanted.path
    text = ort_session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise InputError(
            f"{path} has no model card, so its labels and its input are unknown. "
            "Export the checkpoint with: effvit-edge export."
        )
    card = ModelCard.from_json(text, str(path))
    tuning, profile = wanted.tuning, wanted.profile
    executor = OnnxExecutor(ort, ort_session, card, str(path), place, report, tuning, profile)
    return DeviceSession(card, executor)
