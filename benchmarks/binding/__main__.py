"""``python -m benchmarks.binding``: measure, print, write the result as JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
import numpy as np
import onnxruntime as ort

from benchmarks.interleaved import circumstances, measure, record_path
from effvit_edge.core.files import atomic_path
from effvit_edge.runtime import open_session
from effvit_edge.runtime.onnxrt import ONLY_FATAL

MODEL = Path(__file__).resolve().parents[2] / "models" / "demo.onnx"


class ByArrays:
    """The state goes into every call as arrays and comes out as new ones."""

    def __init__(self, path: Path, frames: np.ndarray, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ONLY_FATAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        names = [state.name for state in self._session.get_inputs()[1:]]
        self._outputs = ["logits", *(f"next_{name}" for name in names)]
        shapes = [state.shape for state in self._session.get_inputs()[1:]]
        self._state = {n: np.zeros(s, np.float32) for n, s in zip(names, shapes, strict=True)}
        self._frames, self._calls = frames, 0

    def step(self) -> np.ndarray:
        """The next frame's logits."""
        frame = self._frames[self._calls % len(self._frames)]
        self._calls += 1
        logits, *after = self._session.run(self._outputs, {"frame": frame, **self._state})
        self._state = dict(zip(self._state, after, strict=True))
        return np.asarray(logits)


class InPlace:
    """The project's session."""

    def __init__(self, path: Path, frames: np.ndarray, threads: int) -> None:
        self._session = open_session(path, "cpu", threads, self_test=False)
        self._state = self._session.init_state()
        self._frames, self._calls = frames, 0

    def step(self) -> np.ndarray:
        """The next frame's logits."""
        frame = self._frames[self._calls % len(self._frames)]
        self._calls += 1
        logits, self._state = self._session.step(frame, self._state)
        return logits


@click.command()
@click.argument("model", type=click.Path(path_type=Path), default=MODEL)
@click.option("--threads", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option("--rounds", type=click.IntRange(min=20), default=500, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.")
def main(model: Path, threads: tuple[int, ...], rounds: int, output: Path | None) -> None:
    """Compare a session's step on a stream MODEL with one that hands states over as arrays."""
    with np.load(model.with_name(f"{model.stem}.verify.npz")) as samples:
        frames = np.concatenate([*samples["clips"]])
    report = {**circumstances(), "model": model.name, "rounds": rounds, "results": []}
    for count in threads:
        arrays, places = ByArrays(model, frames, count), InPlace(model, frames, count)
        for _ in frames:
            if not np.array_equal(arrays.step(), places.step()):
                raise click.ClickException("The two do not answer the same.")
        timings = measure({"arrays": arrays.step, "places": places.step}, rounds)
        ratio = timings["places"].median_ms / timings["arrays"].median_ms
        cpu_ratio = timings["places"].cpu_median_ms / timings["arrays"].cpu_median_ms
        print(
            f"{count} thread(s): arrays {timings['arrays'].median_ms:.3f} ms, places "
            f"{timings['places'].median_ms:.3f} ms, ratio {ratio:.3f} (processor {cpu_ratio:.3f})"
        )
        report["results"].append(
            {
                "threads": count,
                "timings": {name: dataclasses.asdict(t) for name, t in timings.items()},
                "ratio": round(ratio, 4),
                "cpu_ratio": round(cpu_ratio, 4),
            }
        )
    path = output or record_path("binding")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
