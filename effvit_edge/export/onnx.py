"""A network as one ONNX file: traced, cleaned, checked, compared with the network, then written.

Notation: ``B`` batch (cameras), ``T`` frames, ``H W`` pixels.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from torch import Tensor

from effvit_edge import __version__
from effvit_edge.core.card import Mode, ModelCard
from effvit_edge.core.comparison import Comparison, Logits, compare
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_pair
from effvit_edge.core.limits import FP32_LIMIT
from effvit_edge.export.attention_body import Attention, with_bodies, without_bodies
from effvit_edge.export.attention_op import use_operator
from effvit_edge.export.graphs import ClipGraph, StreamGraph
from effvit_edge.export.output import check_output
from effvit_edge.export.rules import IR_VERSION, OPSET, check_rules
from effvit_edge.export.runner import onnx_logits
from effvit_edge.export.samples import Clips, render_samples
from effvit_edge.export.verify import check_gate, parent_logits
from effvit_edge.nn import EfficientViT, EfficientViT3d, State, fuse_for_inference
from effvit_edge.runtime.graph import CARD_KEY, NEXT_PREFIX
from effvit_edge.runtime.verify import verify_path

_NO_LIMIT = 1 << 40  # bytes of a constant that folding may read and write
_IMAGE_SAMPLE_FRAMES = 4


@dataclass(frozen=True)
class Exported:
    """A graph that answers as its network does."""

    model: onnx.ModelProto
    """With its card; attention operators have their bodies."""
    clips: Clips
    """What both were shown."""
    logits: Logits
    """The network's answers."""
    comparison: Comparison


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote, and how close it is."""

    path: Path
    verify_path: Path
    card: ModelCard
    size_bytes: int
    nodes: int
    comparison: Comparison
    runs: bool
    """Whether it labels videos: for one camera, and not for TensorRT alone."""


def export_onnx(
    model: EfficientViT,
    card: ModelCard,
    path: Path,
    *,
    mode: Mode,
    batch: int | None = None,
    attention: Attention = "native",
    limit: float = FP32_LIMIT,
) -> ExportReport:
    """Write ``path`` and, beside it, ``NAME.verify.npz``; all of it or nothing.

    Args:
        model: as trained.
        card: of the checkpoint or preset.
        path: ends in ``.onnx``.
        mode: ``stream`` answers for each frame, ``clip`` for a clip.
        batch: a leading ``B`` on every input and output.
        attention: plain operators, or one that only TensorRT with the plugin runs. The latter is
            held to the network with the body that the file then does not have.
        limit: largest absolute difference of logits that is let through.

    Raises:
        InputError: the network cannot be exported in this mode, or ``path`` is no ONNX name.
        GateFailure: ONNX Runtime's answers differ from torch's by more than ``limit``.
        EdgeError: the exporter left something in the graph that it must not hold.
    """
    check_output(path)
    exported = export_graph(
        model, card, mode=mode, batch=batch, attention=attention, limit=limit, name=path.name
    )
    graph = exported.model if attention == "native" else without_bodies(exported.model)
    verify = verify_path(path)
    with atomic_pair(path, verify) as (temporary, samples):
        temporary.write_bytes(graph.SerializeToString())
        np.savez_compressed(samples, clips=exported.clips, logits=exported.logits)
        size = temporary.stat().st_size
    runs = batch is None and attention == "native"
    nodes = len(graph.graph.node)
    return ExportReport(path, verify, card_of(graph), size, nodes, exported.comparison, runs)


def export_graph(
    model: EfficientViT,
    card: ModelCard,
    *,
    mode: Mode,
    batch: int | None = None,
    attention: Attention = "native",
    limit: float = FP32_LIMIT,
    name: str = "The graph",
) -> Exported:
    """A graph in memory that was held to its network; see :func:`export_onnx`.

    Args:
        model: as trained.
        card: of the checkpoint or preset.
        mode: as in ``export_onnx``, like what follows.
        batch: see there.
        attention: see there; operators have their bodies.
        limit: see there.
        name: what a message calls the graph.

    Raises:
        InputError: the network cannot be exported in this mode.
        GateFailure: ONNX Runtime's answers differ from torch's by more than ``limit``.
        EdgeError: the exporter left something in the graph that it must not hold.
    """
    model = model.eval()
    graph = build_onnx(model, card, mode=mode, batch=batch, attention=attention)
    clips = render_samples(card, _sample_frames(model, mode))
    parent = parent_logits(model, card.preprocess, clips, stream=mode == "stream")
    comparison = compare(parent, onnx_logits(graph, clips, batch=batch), card.label_groups)
    check_gate(comparison, limit, name)
    return Exported(graph, clips, parent, comparison)


def build_onnx(
    model: EfficientViT,
    card: ModelCard,
    *,
    mode: Mode,
    batch: int | None = None,
    attention: Attention = "native",
) -> onnx.ModelProto:
    """The checked graph with its card, in memory; see :func:`export_onnx`.

    With ``attention="plugin"`` the operators have their bodies, so that everything runs the graph.

    Raises:
        InputError: the network cannot be exported in this mode.
        EdgeError: the graph breaks the rules of exported graphs.
    """
    _check_mode(model, mode)
    if batch is not None and batch < 1:
        raise InputError(f"The batch must be at least 1, got {batch}.")
    card = _child_card(model, card, mode)
    fused = fuse_for_inference(model)
    if attention == "plugin":
        use_operator(fused)
    if mode == "stream":
        proto = _trace_stream(model, fused, card, batch)
    else:
        assert isinstance(fused, EfficientViT3d)
        frames = _pixels(card, batch, card.num_frames)
        graph = ClipGraph(fused, card.preprocess, batch)
        proto = trace(graph, [frames], ["frames"], ["logits"])
    if attention == "plugin":
        proto = with_bodies(proto)
    onnx.helper.set_model_props(proto, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(proto, full_check=True)
    check_rules(proto)
    return proto


def trace(
    graph: torch.nn.Module, inputs: Sequence[Tensor], names: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Export a module and strip what is not the graph: traces of source code, unfolded constants.

    Args:
        graph: in evaluation mode, taking ``inputs`` one by one.
        inputs: of the shapes to fix.
        names: of the inputs.
        outputs: names of the outputs.
    """
    with _quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            graph.eval(),
            tuple(inputs),
            input_names=list(names),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        onnxscript.optimizer.optimize_ir(
            program.model, input_size_limit=_NO_LIMIT, output_size_limit=_NO_LIMIT
        )
        proto = program.model_proto
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "effvit-edge", __version__
    for described in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
        del described.metadata_props[:]
        described.doc_string = ""
    for tensor in (*proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        del tensor.metadata_props[:]
    return proto


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the one warning that torch's exporter raises about its own code."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning
        )
        yield


def card_of(model: onnx.ModelProto) -> ModelCard:
    """The card in a graph's metadata."""
    props = {entry.key: entry.value for entry in model.metadata_props}
    return ModelCard.from_json(props[CARD_KEY], source="the exported graph")


def _trace_stream(
    model: EfficientViT, fused: EfficientViT, card: ModelCard, batch: int | None
) -> onnx.ModelProto:
    spec = card.preprocess
    state: State = {}
    if isinstance(model, EfficientViT3d):
        state = model.init_state(batch or 1, spec.height, spec.width)
    graph = StreamGraph(fused, spec, batch, list(state))
    names = [f"state_{name}" for name in state]
    return trace(
        graph,
        [_pixels(card, batch), *state.values()],
        ["frame", *names],
        ["logits", *(NEXT_PREFIX + name for name in names)],
    )


def _pixels(card: ModelCard, *leading: int | None) -> Tensor:
    """An example input: uint8 ``(leading…, H, W, 3)``, axes that are None left out."""
    sizes = [axis for axis in leading if axis is not None]
    return torch.zeros(*sizes, card.preprocess.height, card.preprocess.width, 3, dtype=torch.uint8)


def _check_mode(model: EfficientViT, mode: Mode) -> None:
    if mode == "stream" and model.is_video and not model.causal:
        raise InputError(
            "This network is centred: each frame's label needs frames that have not come yet, so "
            "it cannot stream. Export it with --mode clip, or train one with causal: true."
        )
    if mode == "clip" and not model.is_video:
        raise InputError("An image network has no clips. Export it with --mode stream.")


def _child_card(model: EfficientViT, card: ModelCard, mode: Mode) -> ModelCard:
    parent = card.provenance.get("weights_sha256")
    frames = 1
    if isinstance(model, EfficientViT3d):
        frames = model.window if mode == "stream" else model.num_frames
    return dataclasses.replace(
        card,
        mode=mode,
        num_frames=frames,
        precision="fp32",
        parent_sha256=parent if isinstance(parent, str) else None,
        provenance={
            **card.provenance,
            "exported_by": {
                "effvit_edge": __version__,
                "torch": torch.__version__,
                "onnx": onnx.__version__,
                "onnxscript": onnxscript.__version__,
            },
        },
    )


def _sample_frames(model: EfficientViT, mode: Mode) -> int:
    """Frames a sample clip needs: all of a clip, or enough of a stream to turn its window over."""
    if not isinstance(model, EfficientViT3d):
        return _IMAGE_SAMPLE_FRAMES
    return 2 * model.window + 2 if mode == "stream" else model.num_frames
