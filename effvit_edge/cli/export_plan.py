"""From what was asked to what will be done: all that can be refused at once is, before long work.

Libraries, TensorRT and the device are looked for here; a network's weights are loaded last.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from effvit_edge.cli.export_data import check_data
from effvit_edge.cli.export_reduce import refuse_idle_options
from effvit_edge.cli.export_request import Request
from effvit_edge.core.attention_op import DOMAIN
from effvit_edge.core.card import Mode, ModelCard, Precision
from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.core.files import sha256_file
from effvit_edge.core.onnx_header import OnnxHeader, read_onnx_header
from effvit_edge.core.optional import require
from effvit_edge.runtime.graph import CARD_KEY
from effvit_edge.runtime.kinds import is_plan

if TYPE_CHECKING:
    from effvit_edge.engine.target import Machine
    from effvit_edge.nn import EfficientViT

_DEFAULT_SIZE = 224


@dataclass(frozen=True)
class Network:
    """A checkpoint's or preset's network, to be exported."""

    model: EfficientViT
    card: ModelCard
    mode: Mode
    """Of the graph."""


@dataclass(frozen=True)
class Graph:
    """An ONNX file of this package."""

    path: Path
    card: ModelCard
    header: OnnxHeader


@dataclass(frozen=True)
class Plan:
    """What will be done."""

    request: Request
    start: Network | Graph
    precision: Precision
    """Of the graph, which an engine takes it from."""
    graph: Path
    """The ONNX file that is written, or that the engine is built of as it is."""
    writes_graph: bool
    """Whether that file is written."""
    machine: Machine | None
    """Of the engine; None where none is asked for."""

    @property
    def mode(self) -> Mode:
        """Of the graph."""
        return self.start.mode if isinstance(self.start, Network) else self.start.card.mode


def make_plan(request: Request) -> Plan:
    """Decide what will be done.

    Raises:
        InputError: an option or file that cannot be used.
        EnvironmentFault: a library, TensorRT, the device or the plugin is missing, or the output's
            folder cannot be written.
    """
    path = _check_names(request)
    file = _open_graph(request) if Path(request.artifact).is_file() else None
    given = None if file is None else file.card.precision
    _refuse_idle(request, given)
    precision = _choose_precision(request, given)
    writes = precision != given
    if writes:
        _require_libraries(network=file is None)
    elif file is not None:
        path = file.path
    check_data(request, None if file is None else file.header)
    machine = _look_for_machine(request)
    _check_plugin(request, file)
    plan = Plan(request, file or _load_network(request), precision, path, writes, machine)
    if writes:
        _check_kept(plan)
    return plan


def _check_names(request: Request) -> Path:
    """The ONNX file's path, which lies beside an engine under the same name."""
    from effvit_edge.export.output import check_folder, check_output

    if not request.wants_engine:
        check_output(request.output)
        return request.output
    from effvit_edge.engine import check_plan_name

    check_plan_name(request.output)
    check_folder(request.output)
    return request.output.with_suffix(".onnx")


def _open_graph(request: Request) -> Graph:
    path = Path(request.artifact)
    if is_plan(path):
        raise InputError(f"{path} is a TensorRT engine already. Give the ONNX file it came from.")
    header = read_onnx_header(path)
    if CARD_KEY not in header.metadata:
        raise InputError(
            f"{path} has no model card, so its labels and its input are unknown. "
            "Export the checkpoint with: effvit-edge export."
        )
    sizes = (request.mode, request.batch, *request.preset_options.values())
    if request.attention != "native" or any(value is not None for value in sizes):
        raise InputError(
            f"{path} is exported already, and keeps its mode, sizes and attention. Leave those "
            "options out, or give the checkpoint folder that it was made from."
        )
    card = ModelCard.from_json(header.metadata[CARD_KEY], source=str(path))
    return Graph(path, card, header)


def _refuse_idle(request: Request, given: Precision | None) -> None:
    """Options that would do nothing; ``given`` is the precision of the ONNX file to start from."""
    reduced = "fp32" if request.precision in (None, given) else request.precision
    reduction = request.reduction
    if request.wants_engine:  # which is held to limits in every precision, and to labelled data
        reduction = dataclasses.replace(reduction, limits={})
        if request.verify is not None:
            reduction = dataclasses.replace(reduction, verify=None, verify_where=())
    elif request.rebuild or request.weak_precision is not None:
        option = "--rebuild" if request.rebuild else "--weak-precision"
        raise InputError(f"{option} is for --format engine. Leave it out.")
    if request.attention == "measure" and request.batch is not None:
        raise InputError("--attention measure times one stream. Leave --batch out.")
    _refuse_idle_choices(request, calibrates=reduced == "int8")
    refuse_idle_options(reduced, reduction)


def _refuse_idle_choices(request: Request, *, calibrates: bool) -> None:
    """Options about footage that is not there."""
    if request.verify_where and request.verify is None:
        raise InputError("--verify-where is for --verify, which is not given. Leave it out.")
    if calibrates or request.calibrate is not None:
        return
    names = {
        "calibrate_where": "--calibrate-where",
        "calibrate_clips": "--calibrate-clips",
        "method": "--calibration-method",
    }
    for name, option in names.items():
        if _stands_on_the_line(name):
            raise InputError(f"{option} is for --calibrate, which is not given. Leave it out.")


def _stands_on_the_line(name: str) -> bool:
    """Whether an option was given, be it as it is by default."""
    context = click.get_current_context()
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _choose_precision(request: Request, given: Precision | None) -> Precision:
    """Of the graph to be; ``given`` as above."""
    asked = request.precision
    if given is None:
        return asked or "fp32"
    if asked in (None, given) and request.wants_engine:
        return given
    if asked in (None, given):
        raise InputError(
            f"{request.artifact} is exported already, in {given}: see it with effvit-edge inspect "
            f"{request.artifact}. To reduce the precision of a float32 file add --precision fp16 "
            "or int8, for an engine --format engine; to export in another way, give the checkpoint "
            "folder that it was made from."
        )
    if given != "fp32":
        raise InputError(
            f"{request.artifact} is {given} already, so {asked} cannot be made of it. Give the "
            "float32 file or the checkpoint folder that it was made from."
        )
    assert asked is not None
    return asked


def _require_libraries(*, network: bool) -> None:
    """What writing an ONNX file needs; torch and its own only of a network."""
    for module in ("onnx", "onnxruntime", "cv2"):
        require(module, "export")
    if network:
        for module in ("torch", "onnxscript", "safetensors"):
            require(module, "export")


def _look_for_machine(request: Request) -> Machine | None:
    if not request.wants_engine and request.attention != "measure":
        return None
    from effvit_edge.engine.target import look_at_machine

    return look_at_machine("tensorrt")


def _check_plugin(request: Request, file: Graph | None) -> None:
    """See that the plugin is there for what cannot be done without."""
    from effvit_edge.engine.plugin.find import look_for_plugin

    needed = request.wants_engine and request.attention == "plugin"
    if file is not None and request.wants_engine:
        own = {name for name in file.header.ops if name.startswith(f"{DOMAIN}::")}
        needed = not own <= file.header.functions
    if not needed and request.attention != "measure":
        return
    if not look_for_plugin().available:
        what = "To measure it" if request.attention == "measure" else "For this engine"
        raise EnvironmentFault(
            f"{what} the attention plugin must be built on this device: make plugin."
        )


def _load_network(request: Request) -> Network:
    from effvit_edge import nn

    if request.artifact in nn.list_models():
        return _preset(request)
    model, card = _checkpoint(request)
    return Network(model, card, request.mode or card.mode)


def _preset(request: Request) -> Network:
    from effvit_edge.export import random_preset

    mode = request.mode or "stream"
    model, card = random_preset(
        request.artifact,
        mode,
        num_classes=request.num_classes,
        num_frames=request.num_frames,
        input_size=request.input_size or _DEFAULT_SIZE,
    )
    click.secho(
        f"WARNING: {request.artifact} is a preset, so the weights are RANDOM: the file is for "
        "measuring speed and its labels mean nothing.",
        fg="yellow",
        err=True,
    )
    return Network(model, card, mode)


def _checkpoint(request: Request) -> tuple[EfficientViT, ModelCard]:
    from effvit_edge import nn
    from effvit_edge.train.checkpoint import load_model

    path = Path(request.artifact)
    if not path.exists():
        close = difflib.get_close_matches(request.artifact, nn.list_models(), n=1)
        hint = f"Did you mean the preset {close[0]}?" if close else "See: effvit-edge models."
        raise InputError(
            f"{path} is neither a checkpoint folder, nor an ONNX file, nor a preset. {hint}"
        )
    for name, value in request.preset_options.items():
        if value is not None:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for presets: {path} was trained with its own.")
    return load_model(path)


def _check_kept(plan: Plan) -> None:
    """See that the ONNX file replaces nothing but an earlier one of the same export.

    Raises:
        InputError: it would.
    """
    path, start = plan.graph, plan.start
    if isinstance(start, Graph) and path.exists() and path.samefile(start.path):
        raise InputError(f"{path} is the file that is converted. Give another name with -o.")
    if not plan.request.wants_engine or not path.exists():
        return
    if _same_export(path, plan):
        return
    raise InputError(
        f"The engine's ONNX file is kept beside it as {path}, and there is another one already. "
        f"Give the engine another name with -o, or move {path.name}."
    )


def _same_export(path: Path, plan: Plan) -> bool:
    start = plan.start
    parent = start.card.provenance.get("weights_sha256")
    if isinstance(start, Graph):
        parent = sha256_file(start.path)
    try:
        text = read_onnx_header(path).metadata[CARD_KEY]
        card = ModelCard.from_json(text, source=str(path))
    except (InputError, KeyError):
        return False
    found = (card.parent_sha256, card.mode, card.precision, card.variant)
    return found == (parent, plan.mode, plan.precision, start.card.variant)
