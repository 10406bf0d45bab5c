"""``python -m benchmarks.batching``: measure, print, write the result as JSON."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime as ort

from benchmarks.interleaved import Timing, circumstances, measure, record_path
from effvit_edge.core.files import atomic_path
from effvit_edge.export.onnx import export_onnx
from effvit_edge.export.presets import random_preset
from effvit_edge.export.samples import render_samples
from effvit_edge.runtime import open_session
from effvit_edge.runtime.onnxrt import ONLY_FATAL

_AGREE = 1e-4
_SEEN = 8  # frames of each stream, shown again and again


@dataclasses.dataclass(frozen=True)
class Network:
    """A preset at a size."""

    name: str
    preset: str
    size: int
    frames: int
    classes: int
    kernels: tuple[int, int, int, int, int] | None


NETWORKS = (
    Network("demo", "efficientvit3d_b0", 64, 4, 9, (3, 3, 3, 3, 3)),
    Network("b1_112", "efficientvit3d_b1", 112, 8, 97, None),
)


class InTurn:
    """A session, and a state for each stream, stepped one after the other."""

    def __init__(self, path: Path, streams: np.ndarray, threads: int) -> None:
        self._session = open_session(path, "cpu", threads, self_test=False)
        self._streams = streams  # (B, T, H, W, 3)
        self._states = [self._session.init_state() for _ in streams]
        self._calls = 0

    def step(self) -> np.ndarray:
        """One more frame of each stream: logits ``(B, classes)``."""
        t = self._calls % self._streams.shape[1]
        answers = []
        for i, stream in enumerate(self._streams):
            logits, self._states[i] = self._session.step(stream[t], self._states[i])
            answers.append(logits)
        self._calls += 1
        return np.stack(answers)


class Batched:
    """A graph for all streams at once, its inputs and outputs bound as a session binds them."""

    def __init__(self, path: Path, streams: np.ndarray, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ONLY_FATAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        image, *states = self._session.get_inputs()
        self._image = _zeros(image.shape, np.uint8)
        self._logits = _zeros(self._session.get_outputs()[0].shape)
        banks = [{s.name: _zeros(s.shape) for s in states} for _ in range(2)]
        self._bindings = [self._bind(banks[i], banks[1 - i]) for i in range(2)]
        self._pictures = np.ascontiguousarray(streams.swapaxes(0, 1))  # (T, B, H, W, 3)
        self._calls = 0

    def _bind(self, before: dict[str, Any], after: dict[str, Any]) -> Any:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("frame", self._image)
        binding.bind_ortvalue_output("logits", self._logits)
        for name, value in before.items():
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(f"next_{name}", after[name])
        return binding

    def step(self) -> np.ndarray:
        """One more frame of each stream: logits ``(B, classes)``."""
        self._image.update_inplace(self._pictures[self._calls % len(self._pictures)])
        self._session.run_with_iobinding(self._bindings[self._calls % 2])
        self._calls += 1
        return np.array(self._logits.numpy())


def _zeros(shape: tuple[int, ...], dtype: type = np.float32) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, dtype))


@click.command()
@click.option(
    "--network",
    "names",
    type=click.Choice([network.name for network in NETWORKS]),
    multiple=True,
    default=[network.name for network in NETWORKS],
    show_default=True,
)
@click.option("--batch", default=4, show_default=True, help="Streams.")
@click.option("--threads", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option("--rounds", type=click.IntRange(min=20), default=100, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.")
def main(
    names: tuple[str, ...], batch: int, threads: tuple[int, ...], rounds: int, output: Path | None
) -> None:
    """Compare a step of a batch with as many steps; needs an otherwise idle machine."""
    report = {**circumstances(), "batch": batch, "rounds": rounds, "results": []}
    with tempfile.TemporaryDirectory() as folder:
        for network in (network for network in NETWORKS if network.name in names):
            one, all_at_once = _export(network, Path(folder), batch)
            streams = _streams(network, batch)
            for count in threads:
                pair = InTurn(one, streams, count), Batched(all_at_once, streams, count)
                _check_same(pair[0].step, pair[1].step)
                timings = measure({"in_turn": pair[0].step, "batched": pair[1].step}, rounds)
                report["results"].append(_tell(network, count, timings))
    path = output or record_path("batching")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def _export(network: Network, folder: Path, batch: int) -> tuple[Path, Path]:
    model, card = random_preset(
        network.preset,
        "stream",
        num_classes=network.classes,
        num_frames=network.frames,
        input_size=network.size,
        temporal_kernels=network.kernels,
    )
    paths = folder / f"{network.name}.onnx", folder / f"{network.name}_batch.onnx"
    export_onnx(model, card, paths[0], mode="stream")
    export_onnx(model, card, paths[1], mode="stream", batch=batch)
    return paths


def _streams(network: Network, batch: int) -> np.ndarray:
    """Different footage for each, ``(B, T, H, W, 3)``."""
    _, card = random_preset(network.preset, "stream", input_size=network.size)
    clips = render_samples(card, _SEEN)
    return np.stack([np.roll(clips[i % len(clips)], i, axis=0) for i in range(batch)])


def _check_same(in_turn: Callable[[], np.ndarray], batched: Callable[[], np.ndarray]) -> None:
    for _ in range(_SEEN):
        difference = float(np.abs(in_turn() - batched()).max())
        if not difference <= _AGREE:
            raise click.ClickException(f"The two differ by {difference:.1e}, more than {_AGREE}.")


def _tell(network: Network, threads: int, timings: dict[str, Timing]) -> dict[str, Any]:
    in_turn, batched = timings["in_turn"], timings["batched"]
    ratio = batched.median_ms / in_turn.median_ms
    cpu_ratio = batched.cpu_median_ms / in_turn.cpu_median_ms
    print(
        f"{network.name:8} {threads} thread(s): in turn {in_turn.median_ms:.2f} ms, batched "
        f"{batched.median_ms:.2f} ms, ratio {ratio:.3f} (processor time {cpu_ratio:.3f})"
    )
    return {
        "network": dataclasses.asdict(network),
        "threads": threads,
        "timings": {name: dataclasses.asdict(timing) for name, timing in timings.items()},
        "ratio": round(ratio, 4),
        "cpu_ratio": round(cpu_ratio, 4),
    }


if __name__ == "__main__":
    main()
