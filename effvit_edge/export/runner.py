"""Running a graph over frames in ONNX Runtime on the CPU, with a look inside. No torch here.

Notation: ``B`` batch (cameras), ``T`` frames, ``H W`` pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from effvit_edge.core.comparison import Logits
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.optional import require
from effvit_edge.export.samples import Clips
from effvit_edge.runtime.graph import NEXT_PREFIX
from effvit_edge.runtime.onnxrt import ONLY_FATAL
from effvit_edge.runtime.open import default_threads

Tensors = Mapping[str, npt.NDArray[Any]]
_NUMPY = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Runner:
    """A graph that is ready to answer.

    Args:
        model: a file, or a graph in memory.
        taps: tensors within, to be returned with every answer; only of a graph in memory.

    Raises:
        EdgeError: ONNX Runtime does not take it.
    """

    def __init__(self, model: Path | onnx.ModelProto, taps: Sequence[str] = ()) -> None:
        ort = require("onnxruntime", "export")
        options = ort.SessionOptions()
        options.intra_op_num_threads = default_threads()
        options.log_severity_level = ONLY_FATAL
        source = str(model) if isinstance(model, Path) else _with_taps(model, taps)
        try:
            self._session = ort.InferenceSession(source, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own types share no base but this one
            reason = str(error).splitlines()[0]
            raise EdgeError(f"ONNX Runtime refuses the exported graph: {reason}.") from error
        inputs = self._session.get_inputs()
        self._image = inputs[0].name
        self.stream = self._image == "frame"
        self._zeros = {t.name: np.zeros(t.shape, _NUMPY[t.type]) for t in inputs[1:]}
        self._taps = list(taps)

    def start(self) -> Tensors:
        """The state of a stream that has seen nothing."""
        return self._zeros

    def run(self, image: Clips, state: Tensors) -> tuple[Logits, Tensors, Tensors]:
        """Answer for ``([B,] H, W, 3)`` of a stream, or a clip ``([B,] T, H, W, 3)``.

        Returns:
            Logits, the next state, and the taps.
        """
        names = ["logits", *(NEXT_PREFIX + name for name in self._zeros), *self._taps]
        feeds = {self._image: np.ascontiguousarray(image)}
        feeds.update((name, state[name].astype(z.dtype)) for name, z in self._zeros.items())
        logits, *rest = self._session.run(names, feeds)
        after = dict(zip(self._zeros, rest, strict=False))
        return logits, after, dict(zip(self._taps, rest[len(after) :], strict=True))

    def follow(self, frames: Clips) -> Iterator[tuple[Clips, Tensors, Logits, Tensors]]:
        """Step through ``(T, [B,] H, W, 3)`` from zeros: frame, state before, logits and taps."""
        state = self.start()
        for frame in frames:
            logits, after, taps = self.run(frame, state)
            yield frame, state, logits, taps
            state = after

    def answers(self, clip: Clips) -> Logits:
        """``(T, [B,] classes)`` of a stream, ``([B,] classes)`` of a clip."""
        if not self.stream:
            return self.run(clip, {})[0]
        return np.stack([logits for _, _, logits, _ in self.follow(clip)])


def onnx_logits(model: Path | onnx.ModelProto, clips: Clips, *, batch: int | None = None) -> Logits:
    """A graph's answers, ``(K, T, classes)`` for a stream, else ``(K, classes)``.

    Args:
        model: a file, or a graph in memory.
        clips: ``(K, T, H, W, 3)`` uint8.
        batch: ``B`` of the graph; clips are then run ``B`` at a time, the last ones repeated.

    Raises:
        EdgeError: ONNX Runtime does not take the graph.
    """
    runner = Runner(model)
    if batch is None:
        return np.stack([runner.answers(clip) for clip in clips])
    groups = []
    for start in range(0, len(clips), batch):
        chosen = clips[[min(i, len(clips) - 1) for i in range(start, start + batch)]]
        logits = runner.answers(chosen.swapaxes(0, 1) if runner.stream else chosen)
        groups.append(logits.swapaxes(0, 1) if runner.stream else logits)
    return np.concatenate(groups)[: len(clips)]


def batch_of(model: onnx.ModelProto) -> int | None:
    """``B`` of a graph; None where it has no such axis."""
    image = model.graph.input[0]
    axes = image.type.tensor_type.shape.dim
    without = 3 if image.name == "frame" else 4
    return int(axes[0].dim_value) if len(axes) > without else None


def _with_taps(model: onnx.ModelProto, taps: Sequence[str]) -> bytes:
    present = {tensor.name for tensor in model.graph.output}
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    if taps:
        inferred = onnx.shape_inference.infer_shapes(model).graph
        known = {value.name: value for value in [*inferred.value_info, *inferred.input]}
        tapped.graph.output.extend(known[name] for name in taps if name not in present)
    return bytes(tapped.SerializeToString())
