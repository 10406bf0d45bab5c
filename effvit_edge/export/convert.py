"""From an exported float32 graph to one of less precision, held to it by a gate. No torch."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnx

from effvit_edge import __version__
from effvit_edge.core.card import ModelCard, Precision
from effvit_edge.core.comparison import Accuracy
from effvit_edge.core.errors import GateFailure, InputError
from effvit_edge.core.files import atomic_pair, scratch_folder, writing
from effvit_edge.core.limits import with_limits
from effvit_edge.core.optional import require
from effvit_edge.core.strict_json import JSON
from effvit_edge.export.attention_body import with_bodies, without_bodies
from effvit_edge.export.exclude import Tick, find_exclusions
from effvit_edge.export.footage import rendered_footage
from effvit_edge.export.gate import DRIFT_FRAMES, Gate, Limits, Verdict
from effvit_edge.export.precision.calibrate import Calibration
from effvit_edge.export.precision.fp16 import to_fp16
from effvit_edge.export.precision.graph import read_card, write_card
from effvit_edge.export.precision.int8 import insert_qdq, quantisable
from effvit_edge.export.precision.nodes import Kind, classify
from effvit_edge.export.precision.reach import SAFE_REACH, attention_reach
from effvit_edge.export.precision.rounded import emulate_half
from effvit_edge.export.rules import broken_rules
from effvit_edge.export.runner import batch_of, onnx_logits
from effvit_edge.export.samples import Clips, render_samples
from effvit_edge.runtime.verify import verify_path

Reduced = Literal["fp16", "int8"]
REDUCED: tuple[Reduced, ...] = get_args(Reduced)
Attention = Literal["auto", "fp16", "fp32"]
"""Its precision; ``auto`` is float32 where footage shows that half precision might overflow."""
Measure = Callable[[Path], float]
"""The share of labelled sequences that a float32 ONNX file gets right."""


@dataclass(frozen=True)
class Parent:
    """An exported float32 graph."""

    model: onnx.ModelProto
    """Attention operators have their bodies, whether the file has them or not."""
    card: ModelCard
    sha256: str | None
    """Of the file that a child names as its parent; of a graph in memory its own parent's."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote, and how close it is."""

    path: Path
    verify_path: Path
    card: ModelCard
    size_bytes: int
    nodes: int
    verdict: Verdict
    limits: Limits
    excluded: tuple[str, ...]
    """Nodes that were kept in higher precision so that the gate holds."""
    quantised: int
    """Nodes in INT8."""
    accuracy: Accuracy | None
    runs: bool
    """Whether it labels videos: without an axis for several cameras, and not for TensorRT alone."""
    attention: Attention
    """The precision of the attention."""
    attention_reach: float
    """Its largest number on the footage, as a part of the largest in half precision."""


def read_parent(path: Path) -> Parent:
    """Read an ONNX file that is to be converted.

    Raises:
        InputError: it is not one of this package's, or not in float32.
    """
    try:
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    except Exception as error:  # protobuf's own types differ between its versions
        raise InputError(
            f"{path} is not an ONNX file, or not all of one. "
            "Export it again with: effvit-edge export."
        ) from error
    return as_parent(model, str(path), data)


def as_parent(model: onnx.ModelProto, where: str, data: bytes | None = None) -> Parent:
    """A graph that is to be converted.

    Args:
        model: the graph.
        where: names it in messages.
        data: its bytes, if it was read from a file. A graph that never was one is no artifact, so
            a child of it names what it was made from.

    Raises:
        InputError: it has no card, breaks the rules of exported graphs, or is converted already.
    """
    card = read_card(model, where)
    if card.precision != "fp32":
        raise InputError(
            f"{where} is {card.precision} already. Give the float32 file that it was made from: "
            f"its sha256 is {card.parent_sha256}."
        )
    runnable = with_bodies(model)
    if broken := list(broken_rules(runnable)):
        raise InputError(
            f"{where} was not written by this version: {'; '.join(broken)}. "
            "Export the checkpoint again with: effvit-edge export."
        )
    sha256 = card.parent_sha256 if data is None else hashlib.sha256(data).hexdigest()
    return Parent(runnable, card, sha256)


def convert(
    parent: Parent,
    path: Path,
    *,
    precision: Reduced,
    limits: Limits,
    attention: Attention = "auto",
    calibration: Calibration | None = None,
    auto_exclude: bool = False,
    footage: Clips | None = None,
    measure: Measure | None = None,
    follow: int = DRIFT_FRAMES,
    tick: Tick | None = None,
) -> Conversion:
    """Write ``path`` and, beside it, ``NAME.verify.npz``; all of it or nothing.

    Args:
        parent: in float32.
        path: ends in ``.onnx``.
        precision: ``int8`` has Q/DQ, and half precision elsewhere.
        limits: what the gate lets through.
        attention: ``fp32`` keeps it in float32, ``auto`` does where its numbers come near the end
            of half precision.
        calibration: for ``int8``.
        auto_exclude: keep the worst nodes in higher precision until the gate holds.
        footage: what the gate shows, ``(K, T, H, W, 3)``; rendered by default.
        measure: judges parent and child on labelled data.
        follow: how many frames the gate shows a stream at least.
        tick: told how far ``auto_exclude`` is.

    Raises:
        GateFailure: the child's answers differ too much, or it gets too much wrong.
    """
    card = parent.card
    shown = rendered_footage(card) if footage is None else footage
    reach = attention_reach(parent.model, shown)
    if attention == "auto":
        attention = "fp32" if reach > SAFE_REACH else "fp16"
    recipe = _Recipe(parent.model, precision, attention, calibration)
    gate = Gate(parent.model, card, shown, limits, follow=follow)
    child = _find_child(gate, recipe, auto_exclude, path.name, tick)
    accuracy = None
    if measure is not None:
        accuracy = _measured(parent, child.model, path, measure, limits)
    done = _child_card(parent, recipe, child, accuracy)
    graph = _with_card(child.model, with_limits(done, limits))
    size = _write(path, graph, parent)
    return Conversion(
        path,
        verify_path(path),
        read_card(graph, path.name),
        size,
        len(graph.graph.node),
        child.verdict,
        limits,
        child.excluded,
        recipe.quantised(child.excluded),
        accuracy,
        batch_of(graph) is None and not graph.functions,
        attention,
        reach,
    )


@dataclass(frozen=True)
class _Child:
    """A graph of less precision that its gate lets through."""

    model: onnx.ModelProto
    excluded: tuple[str, ...]
    verdict: Verdict


def _find_child(
    gate: Gate, recipe: _Recipe, auto_exclude: bool, name: str, tick: Tick | None
) -> _Child:
    if auto_exclude:
        excluded, model, verdict = find_exclusions(gate, recipe.make, recipe.candidates, tick=tick)
    else:
        excluded, model = [], recipe.make(())
        verdict = gate.judge(model)
    if not verdict.passed:
        raise gate.fail(model, verdict, name)
    return _Child(model, tuple(excluded), verdict)


def _with_card(model: onnx.ModelProto, card: ModelCard) -> onnx.ModelProto:
    write_card(model, card)
    # for those who read the file without the onnx package
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _write(path: Path, graph: onnx.ModelProto, parent: Parent) -> int:
    """Both files, after seeing that the graph runs; the bytes of the first."""
    card, batch = parent.card, batch_of(parent.model)
    clips = render_samples(card, _sample_frames(card))
    onnx_logits(graph, clips[:, : card.num_frames], batch=batch)
    logits = onnx_logits(parent.model, clips, batch=batch)
    content = (without_bodies(graph) if graph.functions else graph).SerializeToString()
    with atomic_pair(path, verify_path(path)) as (file, samples):
        file.write_bytes(content)
        np.savez_compressed(samples, clips=clips, logits=logits)
    return len(content)


class _Recipe:
    """Makes children of one parent that differ in what keeps its precision."""

    def __init__(
        self,
        model: onnx.ModelProto,
        precision: Reduced,
        attention: Attention,
        calibration: Calibration | None,
    ) -> None:
        if (precision == "int8") != (calibration is not None):
            raise ValueError("int8 needs a calibration, and nothing else does")
        self._model = model
        self.precision = precision
        self.attention = attention
        self.calibration = calibration
        self._kinds = classify(model)
        wide: set[Kind] = {"entry"} if attention == "fp16" else {"entry", "attention"}
        self._islands = [name for name, kind in self._kinds.items() if kind in wide]
        int8 = set(quantisable(model)) if precision == "int8" else set(self._kinds)
        self.candidates = [name for name in self._kinds if name in int8 - set(self._islands)]
        """Nodes whose precision is reduced, by this pass's last step."""

    def make(self, excluded: Collection[str]) -> onnx.ModelProto:
        """A child; excluded nodes stay FP16 in INT8, float32 in FP16."""
        if self.calibration is None:
            return to_fp16(self._model, islands={*self._islands, *excluded})
        quantised = insert_qdq(self._model, self.calibration.ranges, exclude=excluded)
        return to_fp16(quantised, islands=self._islands)

    def quantised(self, excluded: Collection[str]) -> int:
        """How many nodes are INT8."""
        return len(set(self.candidates) - set(excluded)) if self.precision == "int8" else 0

    def describe(self, excluded: Collection[str]) -> dict[str, JSON]:
        """For the card: what was kept in higher precision, and what the ranges are from."""
        found: dict[str, JSON] = {
            "attention": self.attention,
            "float32_nodes": list(self._islands),
            "excluded": sorted(excluded),
        }
        if self.calibration is not None:
            about = dataclasses.asdict(self.calibration)
            del about["ranges"]
            found["calibration"] = about
        return found


def _measured(
    parent: Parent, child: onnx.ModelProto, path: Path, measure: Measure, limits: Limits
) -> Accuracy:
    """Accuracy of both, the child's as a device rounds it."""
    found = []
    for model in (parent.model, emulate_half(child)):
        with _scratch(path, model) as file:
            found.append(measure(file))
    accuracy = Accuracy(*found)
    if accuracy.loss > limits.drop:
        raise GateFailure(
            f"{path.name} tells {accuracy.after:.1%} of the sequences right, its parent "
            f"{accuracy.before:.1%}; the limit is a loss of {limits.drop:.1%}. Nothing was "
            "written; calibrate on more footage, or use --precision fp16."
        )
    return accuracy


@contextmanager
def _scratch(path: Path, model: onnx.ModelProto) -> Iterator[Path]:
    """A file of a graph beside where the result goes, gone afterwards."""
    with scratch_folder(path) as folder:
        file = folder / "model.onnx"
        with writing(path):
            file.write_bytes(model.SerializeToString())
        yield file


def _child_card(
    parent: Parent, recipe: _Recipe, child: _Child, accuracy: Accuracy | None
) -> ModelCard:
    done: dict[str, Any] = {
        **recipe.describe(child.excluded),
        "gate": as_record(child.verdict),
        "accuracy": None if accuracy is None else dataclasses.asdict(accuracy),
        "made_by": {
            "effvit_edge": __version__,
            "onnx": onnx.__version__,
            "onnxruntime": require("onnxruntime", "export").__version__,
        },
    }
    precision: Precision = recipe.precision
    return dataclasses.replace(
        parent.card,
        precision=precision,
        parent_sha256=parent.sha256,
        provenance={**parent.card.provenance, "precision": done},
    )


def as_record(verdict: Verdict) -> dict[str, JSON]:
    """A verdict's figures for a card or a report."""
    found: dict[str, JSON] = {
        **dataclasses.asdict(verdict.comparison),
        "relative": verdict.relative,
    }
    if verdict.drift is not None:
        found["drift_frames"] = verdict.drift.frames
        found["drift_by_loop"] = list(verdict.drift.by_loop)
    return found


def _sample_frames(card: ModelCard) -> int:
    """Frames of a clip, or enough of a stream to turn its window over."""
    return 2 * card.num_frames + 2 if card.mode == "stream" else card.num_frames
