"""How far FP16 and INT8 graphs answer as their float32 parent, on real video, and how fast.

Run in the checkout, with the data of the tests: see README.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from effvit_edge.core.card import ModelCard
from effvit_edge.core.comparison import Logits, compare
from effvit_edge.core.errors import GateFailure
from effvit_edge.export.convert import REDUCED, Parent, convert, read_parent
from effvit_edge.export.footage import real_footage
from effvit_edge.export.gate import LIMITS
from effvit_edge.export.precision.calibrate import METHODS, calibrate
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import Runner
from effvit_edge.train.evaldata import Question, open_evaluation

_TIMED_FRAMES = 150


def main() -> None:
    """Convert, compare, time, and write the figures."""
    arguments = _parse()
    parent = read_parent(arguments.model)
    calibration, _ = open_evaluation(
        Question(arguments.calibrate, tuple(arguments.calibrate_where)), parent.card
    )
    shown = list(_sequences(arguments.data, arguments.where, parent.card, arguments.frames))
    expected = [Runner(parent.model).answers(frames) for frames in shown]
    report: dict[str, object] = {
        "model": arguments.model.name,
        "variant": parent.card.variant,
        "machine": platform.processor() or platform.machine(),
        "sequences": len(shown),
        "frames": sum(map(len, shown)),
        "float32": {"ms_a_step": _milliseconds(parent.model, shown[0])},
    }
    footage = real_footage(parent.card, calibration, 0)
    for precision in REDUCED:
        ranges = None
        if precision == "int8":
            ranges = calibrate(parent.model, calibration, method=arguments.method)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            agreement = {"agreement": arguments.agreement} if precision == "int8" else {}
            try:
                made = convert(
                    parent,
                    path,
                    precision=precision,
                    limits=dataclasses.replace(LIMITS[precision], **agreement),
                    calibration=ranges,
                    auto_exclude=True,
                    footage=footage,
                )
            except GateFailure as error:
                report[precision] = {"failed": str(error)}
                continue
            child = onnx.load(path)
        report[precision] = {
            "bytes": made.size_bytes,
            "excluded": list(made.excluded),
            "quantised": made.quantised,
            "as_a_device_rounds": _figures(emulate_half(child), parent, shown, expected),
            "as_onnx_runtime_runs_it": _figures(child, parent, shown, expected),
            "ms_a_step": _milliseconds(child, shown[0]),
        }
    text = json.dumps(report, indent=2)
    arguments.output.write_text(text + "\n")
    print(text)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a float32 ONNX file of a stream")
    parser.add_argument("--data", nargs="+", required=True, help="CSV files or folders of classes")
    parser.add_argument("--where", action="append", default=[], help="rows of the first CSV")
    parser.add_argument("--calibrate", required=True)
    parser.add_argument("--calibrate-where", action="append", default=[])
    parser.add_argument("--method", default="percentile", choices=METHODS)
    parser.add_argument("--agreement", type=float, default=LIMITS["int8"].agreement)
    parser.add_argument("--frames", type=int, default=6000, help="at most")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def _sequences(
    sources: list[str], where: list[str], card: ModelCard, most: int
) -> Iterator[np.ndarray]:
    """Whole sequences, until there are enough frames."""
    seen = 0
    for number, source in enumerate(sources):
        filters = tuple(where) if number == 0 else ()
        sequences, _ = open_evaluation(Question(source, filters), card)
        for index in range(len(sequences)):
            sequence = sequences[index]
            if sequence is not None and seen < most:
                seen += len(sequence.frames)
                yield sequence.frames


def _figures(
    child: onnx.ModelProto, parent: Parent, shown: list[np.ndarray], expected: list[Logits]
) -> dict[str, float]:
    runner = Runner(child)
    answers = np.concatenate([runner.answers(frames) for frames in shown])
    return dataclasses.asdict(compare(np.concatenate(expected), answers, parent.card.label_groups))


def _milliseconds(model: onnx.ModelProto, frames: np.ndarray) -> float:
    """The median of a step."""
    runner = Runner(model)
    times = []
    state = runner.start()
    for number in range(_TIMED_FRAMES):
        start = time.perf_counter()
        _, state, _ = runner.run(frames[number % len(frames)], state)
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)), 3)


if __name__ == "__main__":
    main()
