"""One network at work in either runtime, on one thread, with nothing made anew between calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from benchmarks.peers.catalogue import Built
from effvit_edge.runtime.onnxrt import ONLY_FATAL

Frames = npt.NDArray[np.uint8]


def open_onnx(path: Path) -> Any:
    """A session with the options of the package's own on one CPU thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ONLY_FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class OnnxRun:
    """Inputs and outputs are bound once; a step's two sets of states change places.

    Args:
        path: of a graph that takes ``frame`` or ``frames`` and ``state_…``.
        frames: ``(T, H, W, 3)``, at least as many and as large as it takes.
    """

    def __init__(self, path: Path, frames: Frames) -> None:
        self._session = open_onnx(path)
        image, *states = self._session.get_inputs()
        self._pictures = _pictures(frames, tuple(image.shape))
        # its own memory: a value made from an array writes into that array
        self._image = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(self._pictures[0]))
        self._logits = _zeros(self._session.get_outputs()[0])
        banks = [{state.name: _zeros(state) for state in states} for _ in range(2)]
        self._bindings = [self._bind(image.name, banks[i], banks[1 - i]) for i in range(2)]
        self._calls = 0

    def _bind(self, image: str, before: dict[str, Any], after: dict[str, Any]) -> Any:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(image, self._image)
        binding.bind_ortvalue_output("logits", self._logits)
        for name, value in before.items():
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(f"next_{name}", after[name])
        return binding

    def call(self) -> None:
        """Give one label: of the next frame, or of the clip again."""
        self._image.update_inplace(self._pictures[self._calls % len(self._pictures)])
        self._session.run_with_iobinding(self._bindings[self._calls % 2])
        self._calls += 1

    def logits(self) -> npt.NDArray[np.float32]:
        """Of the last call."""
        values: npt.NDArray[np.float32] = self._logits.numpy().copy()
        return values


class TorchRun:
    """The network as torch runs it when nothing is done about it: eager.

    Args:
        built: the network.
        frames: as for ``OnnxRun``.
    """

    def __init__(self, built: Built, frames: Frames) -> None:
        import torch

        self._graph = built.graph.eval()
        self._state = built.inputs[1:]
        pictures = _pictures(frames, tuple(built.inputs[0].shape))
        self._pictures = [torch.from_numpy(picture) for picture in pictures]
        self._inference = torch.inference_mode
        self._calls = 0
        self.answer: Any = None

    def call(self) -> None:
        """Give one label."""
        with self._inference():
            picture = self._pictures[self._calls % len(self._pictures)]
            self.answer = self._graph(picture, *self._state)
            if isinstance(self.answer, tuple):
                self.answer, *after = self.answer
                self._state = tuple(after)
        self._calls += 1


def _pictures(frames: Frames, shape: tuple[int, ...]) -> list[Frames]:
    """The top left corners: a clip for a clip's shape, or each frame for a frame's."""
    height, width = shape[-3:-1]
    corner = np.ascontiguousarray(frames[:, :height, :width])
    if len(shape) == 3:
        return list(corner)
    return [np.ascontiguousarray(corner[: shape[0]])]


def _zeros(tensor: Any) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(np.zeros(tensor.shape, np.float32))
