"""How far FP16 and INT8 graphs answer as their float32 parent, on real video, and how fast.

Run in the checkout, with the data of the tests: see README.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.interleaved import circumstances, measure
from effvit_edge.core.card import ModelCard
from effvit_edge.core.comparison import Logits, compare
from effvit_edge.core.errors import GateFailure
from effvit_edge.core.files import atomic_path
from effvit_edge.export.convert import REDUCED, Conversion, Measure, Parent, convert, read_parent
from effvit_edge.export.footage import real_footage
from effvit_edge.export.gate import LIMITS
from effvit_edge.export.precision.calibrate import METHODS, calibrate
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.runner import Runner
from effvit_edge.runtime import open_session
from effvit_edge.train.evaldata import Question, open_evaluation
from effvit_edge.train.evaluate import SessionScorer, evaluate

_TIMED_ROUNDS = 200


def main() -> None:
    """Convert, compare, time, and write the figures."""
    arguments = _parse()
    parent = read_parent(arguments.model)
    shown_at = dataclasses.replace(parent.card, fps=arguments.fps or parent.card.fps)
    shown = list(_sequences(arguments.data, arguments.where, shown_at, arguments.frames))
    expected = [Runner(parent.model).answers(frames) for frames in shown]
    report: dict[str, Any] = {
        **circumstances(),
        "command": shlex.join(["python", "-m", "benchmarks.precision", *_public(sys.argv[1:])]),
        "model": arguments.model.name,
        "variant": parent.card.variant,
        "sequences": len(shown),
        "frames": sum(map(len, shown)),
        "frames_a_second": shown_at.fps,
    }
    graphs = {"float32": parent.model}
    for precision in REDUCED:
        started = time.process_time()
        try:
            made, child = _convert(parent, precision, arguments)
        except GateFailure as error:
            report[precision] = {"failed": str(error)}
            continue
        report[precision] = {
            "converted_in_cpu_s": round(time.process_time() - started, 1),
            "bytes": made.size_bytes,
            "quantised": made.quantised,
            "excluded": list(made.excluded),
            "accuracy": None if made.accuracy is None else dataclasses.asdict(made.accuracy),
            "as_a_device_rounds": _figures(emulate_half(child), parent, shown, expected),
            "as_onnx_runtime_runs_it": _figures(child, parent, shown, expected),
        }
        graphs[precision] = child
    report["step"] = _times(graphs, shown[0])
    with atomic_path(arguments.output) as path:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(arguments.output.read_text(encoding="utf-8"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a float32 ONNX file of a stream")
    parser.add_argument("--data", nargs="+", required=True, help="CSV files or folders of classes")
    parser.add_argument("--where", action="append", default=[], help="rows of the first CSV")
    parser.add_argument("--fps", type=float, help="show that data at another rate than the model's")
    parser.add_argument("--frames", type=int, default=6000, help="of that data, at most")
    parser.add_argument("--calibrate", required=True)
    parser.add_argument("--calibrate-where", action="append", default=[])
    parser.add_argument("--method", default="channels", choices=METHODS)
    parser.add_argument("--verify", help="labelled data to compare accuracy on")
    parser.add_argument("--verify-where", action="append", default=[])
    parser.add_argument("--agreement", type=float, default=LIMITS["int8"].agreement)
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def _public(words: list[str]) -> list[str]:
    """The command without where this machine has its files."""
    kept = []
    for word in words:
        path = Path(word)
        kept.append("/".join(("DATA", *path.parts[-2:])) if path.is_absolute() else word)
    return kept


def _convert(
    parent: Parent, precision: Any, arguments: argparse.Namespace
) -> tuple[Conversion, onnx.ModelProto]:
    """With the layers excluded that the gate finds."""
    where = tuple(arguments.calibrate_where)
    footage, _ = open_evaluation(Question(arguments.calibrate, where), parent.card)
    int8 = precision == "int8"
    limits = LIMITS[precision]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        made = convert(
            parent,
            path,
            precision=precision,
            limits=dataclasses.replace(limits, agreement=arguments.agreement) if int8 else limits,
            calibration=calibrate(parent.model, footage, method=arguments.method) if int8 else None,
            auto_exclude=True,
            footage=real_footage(parent.card, footage, 0),
            measure=_measure(parent.card, arguments),
        )
        return made, onnx.load(path)


def _measure(card: ModelCard, arguments: argparse.Namespace) -> Measure | None:
    """Accuracy on labelled data, if there is any."""
    if arguments.verify is None:
        return None
    where = tuple(arguments.verify_where)
    sequences, _ = open_evaluation(Question(arguments.verify, where), card)

    def share(path: Path) -> float:
        with open_session(path, provider="cpu") as session:
            return evaluate(SessionScorer(session), sequences).score

    return share


def _sequences(
    sources: list[str], where: list[str], card: ModelCard, most: int
) -> Iterator[np.ndarray]:
    """Whole sequences, until there are enough frames."""
    seen = 0
    for number, source in enumerate(sources):
        filters = tuple(where) if number == 0 else ()
        sequences, _ = open_evaluation(Question(source, filters), card)
        for index in range(len(sequences)):
            sequence = sequences[index] if seen < most else None
            if sequence is not None:
                seen += len(sequence.frames)
                yield sequence.frames


def _figures(
    child: onnx.ModelProto, parent: Parent, shown: list[np.ndarray], expected: list[Logits]
) -> dict[str, float]:
    runner = Runner(child)
    answers = np.concatenate([runner.answers(frames) for frames in shown])
    return dataclasses.asdict(compare(np.concatenate(expected), answers, parent.card.label_groups))


def _times(graphs: dict[str, onnx.ModelProto], frames: np.ndarray) -> dict[str, Any]:
    """Of a step, in turn, on this CPU."""
    times = measure(
        {name: _stepper(graph, frames) for name, graph in graphs.items()}, _TIMED_ROUNDS
    )
    first = times["float32"]
    ratios = {
        name: round(found.cpu_median_ms / first.cpu_median_ms, 3) for name, found in times.items()
    }
    return {
        "milliseconds": {name: dataclasses.asdict(found) for name, found in times.items()},
        "cpu_time_to_float32": ratios,
    }


def _stepper(graph: onnx.ModelProto, frames: np.ndarray) -> Callable[[], None]:
    """Goes on to the next frame at each call, with the state."""
    runner = Runner(graph)
    state, number = runner.start(), 0

    def step() -> None:
        nonlocal state, number
        _, state, _ = runner.run(frames[number % len(frames)], state)
        number += 1

    return step


if __name__ == "__main__":
    main()
