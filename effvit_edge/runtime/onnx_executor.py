"""A model in ONNX Runtime, with everything it reads and writes bound once.

Notation: H W are the model's input in pixels, T its frames; frames are uint8 RGB.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import EdgeError
from effvit_edge.runtime.base import Image, Logits
from effvit_edge.runtime.graph import NEXT_PREFIX, TensorSpec, check_graph, find_tensor
from effvit_edge.runtime.onnx_profile import read_profile
from effvit_edge.runtime.slots import Array
from effvit_edge.runtime.tuning import DEFAULT, LayerTime, Split, Switches, Tuning

_NUMPY_NAMES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


@dataclass(frozen=True)
class OrtPlace:
    """A device, as ONNX Runtime names it."""

    kind: str = "cpu"
    """``cpu`` or ``cuda``."""
    index: int = 0


class OnnxExecutor:
    """An exported model in ONNX Runtime; see `Executor`.

    Inputs, outputs and states lie in memory that is taken once and bound once for each slot, on
    the device that runs the model: a step copies the frame there and the logits back.

    Args:
        ort: the module.
        ort_session: of the model.
        card: of the model.
        where: its file, for messages.
        device: where states lie.
        report: what runs the model.
        tuning: how it runs; the session was made with it.
        profile: the folder of its profile, which goes when this is closed.

    Raises:
        InputError: the graph does not fit the card.
        EdgeError: there is no room for the memory.
    """

    def __init__(
        self,
        ort: ModuleType,
        ort_session: Any,
        card: ModelCard,
        where: str,
        device: OrtPlace,
        report: str,
        tuning: Tuning = DEFAULT,
        profile: TemporaryDirectory[str] | None = None,
    ) -> None:
        inputs = [_tensor_spec(arg) for arg in ort_session.get_inputs()]
        outputs = [_tensor_spec(arg) for arg in ort_session.get_outputs()]
        self.states = check_graph(card, inputs, outputs, where)
        self.report = report
        self._values, self._session, self._place = ort.OrtValue, ort_session, device
        self._tuning, self._profile = tuning, profile
        self.split: Split | None = None
        self._image_name = "frame" if card.mode == "stream" else "frames"
        self._image = self._allocate(find_tensor(inputs, self._image_name))
        self._logits = self._allocate(find_tensor(outputs, "logits"))
        self._slots: list[list[Any]] = []
        self._bindings = [self._bind([], [])] if card.mode == "clip" else []

    def add_pair(self) -> None:
        """See `SlotStore`."""
        pair = [[self._allocate(state) for state in self.states] for _ in range(2)]
        bindings = [self._bind(pair[0], pair[1]), self._bind(pair[1], pair[0])]
        self._slots += pair
        self._bindings += bindings

    def write(self, slot: int, parts: Sequence[Array]) -> None:
        """See `SlotStore`."""
        with _told():
            for value, part in zip(self._slots[slot], parts, strict=True):
                value.update_inplace(part)

    def read(self, slot: int) -> dict[str, Array]:
        """See `SlotStore`."""
        names = (state.name for state in self.states)
        with _told():
            # Of the CPU's memory, numpy() may be a view.
            return {n: np.array(v.numpy()) for n, v in zip(names, self._slots[slot], strict=True)}

    def infer(self, image: Image, slot: int) -> Logits:
        """See `Executor`."""
        binding, now = self._bindings[slot], time.perf_counter
        with _told():
            begun = now()
            self._image.update_inplace(np.ascontiguousarray(image))
            binding.synchronize_inputs()
            uploaded = now()
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            inferred = now()
            # Of the CPU's memory, numpy() may be a view.
            logits: Logits = np.array(self._logits.numpy(), np.float32)
        if self.split_by:
            marks = (begun, uploaded, inferred, now())
            self.split = Split(*(1000 * (after - before) for before, after in pairwise(marks)))
        return logits

    @property
    def switches(self) -> Switches:
        """See `Telemetry`."""
        if self._place.kind == "cuda":
            waiting = "as ONNX Runtime does"
            return Switches("no, ONNX Runtime launches each kernel", waiting, "of ordinary memory")
        waiting = "threads spin" if self._tuning.waiting == "spin" else "threads sleep"
        return Switches("none on a CPU", waiting, "none on a CPU")

    @property
    def split_by(self) -> str:
        """See `Telemetry`; on a CPU nothing goes anywhere."""
        return "the host's clock" if self._tuning.timed and self._place.kind != "cpu" else ""

    def layers(self) -> Sequence[LayerTime]:
        """See `Telemetry`; ONNX Runtime ends its profile with it, and gives no second one.

        None on CUDA, where its times are those of launching kernels.
        """
        if self._profile is None or self._place.kind != "cpu":
            return ()
        with _told():
            return read_profile(Path(self._session.end_profiling()))

    def close(self) -> None:
        """See `Executor`."""
        self._bindings, self._slots = [], []
        self._image = self._logits = self._session = None
        if self._profile:
            self._profile.cleanup()

    def _allocate(self, tensor: TensorSpec) -> Any:
        place = self._place
        with _told():
            return self._values.ortvalue_from_shape_and_type(
                tensor.sizes, np.dtype(tensor.dtype), place.kind, place.index
            )

    def _bind(self, source: Sequence[Any], target: Sequence[Any]) -> Any:
        with _told():
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(self._image_name, self._image)
            binding.bind_ortvalue_output("logits", self._logits)
            for state, before, after in zip(self.states, source, target, strict=True):
                binding.bind_ortvalue_input(state.name, before)
                binding.bind_ortvalue_output(NEXT_PREFIX + state.name, after)
        return binding


def first_line(error: BaseException) -> str:
    """Of an error's text, without the full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's own types share no base but this one
        raise EdgeError(f"ONNX Runtime failed: {first_line(error)}.") from error


def _tensor_spec(arg: Any) -> TensorSpec:
    dtype = _NUMPY_NAMES.get(arg.type, arg.type.removeprefix("tensor(").removesuffix(")"))
    return TensorSpec(arg.name, dtype, tuple(arg.shape))
