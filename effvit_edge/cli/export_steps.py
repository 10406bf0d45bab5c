"""Carrying out an export: from a network or an ONNX file over a graph to an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from effvit_edge.cli.attention import choose_attention, measure_attention
from effvit_edge.cli.building import build_with_progress, engine_account
from effvit_edge.cli.export_accuracy import EngineJudge, LabelledData
from effvit_edge.cli.export_plan import Graph, Network, Plan
from effvit_edge.cli.export_reduce import reduce
from effvit_edge.cli.export_text import Account, graph_account, network_account
from effvit_edge.core.card import ModelCard
from effvit_edge.core.files import brought_back
from effvit_edge.core.onnx_header import read_onnx_header
from effvit_edge.runtime.graph import CARD_KEY
from effvit_edge.runtime.verify import verify_path

if TYPE_CHECKING:
    from effvit_edge.export.attention_body import Attention
    from effvit_edge.export.convert import Parent

Tell = Callable[[Account], None]


@dataclass(frozen=True)
class Written:
    """The file that an export ends with."""

    path: Path
    runs: bool
    """Whether it labels videos."""
    needs_engine: bool = False
    """Whether only an engine of it would."""


def carry_out(plan: Plan, tell: Tell) -> Written:
    """Do all of it, step by step.

    Args:
        plan: what is to be done.
        tell: takes the account of each step as it ends.

    Raises:
        GateFailure: a step's answers differ too much; what earlier steps wrote stays, where it
            replaced nothing.
        EdgeError: a step failed.
    """
    if not plan.request.wants_engine or plan.machine is None:
        return _write_graph(plan, tell) if plan.writes_graph else Written(plan.graph, runs=True)
    if not plan.writes_graph:
        return _build(plan, tell)
    # An engine that is there already keeps its ONNX file where there will be no other engine.
    with brought_back(plan.graph, verify_path(plan.graph)):
        _write_graph(plan, tell)
        return _build(plan, tell)


def _write_graph(plan: Plan, tell: Tell) -> Written:
    if isinstance(plan.start, Graph):
        from effvit_edge.export.convert import read_parent

        return _reduce(plan, read_parent(plan.start.path), tell)
    form = _attention(plan, plan.start, tell)
    if plan.precision == "fp32":
        return _export(plan, plan.start, form, tell)
    return _reduce(plan, _in_memory(plan, plan.start, form, tell), tell)


def _attention(plan: Plan, network: Network, tell: Tell) -> Attention:
    if plan.request.attention == "measure":
        assert plan.machine is not None
        choice = measure_attention(network, plan.precision, plan.machine)
    else:
        choice = choose_attention(plan.request.attention)
    if choice.why:
        tell(choice.account)
    return choice.form


def _export(plan: Plan, network: Network, form: Attention, tell: Tell) -> Written:
    from effvit_edge.export import export_onnx

    report = export_onnx(
        network.model,
        network.card,
        plan.graph,
        mode=network.mode,
        batch=plan.request.batch,
        attention=form,
    )
    tell(graph_account(report))
    return Written(report.path, report.runs, needs_engine=form == "plugin")


def _in_memory(plan: Plan, network: Network, form: Attention, tell: Tell) -> Parent:
    from effvit_edge.export import export_graph
    from effvit_edge.export.convert import as_parent

    exported = export_graph(
        network.model,
        network.card,
        mode=network.mode,
        batch=plan.request.batch,
        attention=form,
        name=plan.request.artifact,
    )
    tell(network_account(exported))
    return as_parent(exported.model, plan.request.artifact)


def _reduce(plan: Plan, parent: Parent, tell: Tell) -> Written:
    assert plan.precision != "fp32"
    report, account = reduce(parent, plan.precision, plan.request.reduction, plan.graph)
    tell(account)
    return Written(report.path, report.runs, needs_engine=bool(parent.model.functions))


def _build(plan: Plan, tell: Tell) -> Written:
    from effvit_edge.engine import EngineOptions

    request = plan.request
    judge = _judge(plan) if request.verify is not None else None
    report = build_with_progress(
        plan.graph,
        request.output,
        EngineOptions(weak_precision=request.weak_precision),
        rebuild=request.rebuild,
        limits=request.limits,
        machine=plan.machine,
        judge=judge,
    )
    tell(engine_account(report, None if judge is None else judge.accuracy))
    return Written(report.path, runs=request.batch is None)


def _judge(plan: Plan) -> EngineJudge:
    """Of the engine, on labelled data; the ONNX file, which is there, is judged now."""
    from effvit_edge.core.limits import engine_limits

    request = plan.request
    assert request.verify is not None
    data = LabelledData(request.verify, request.verify_where, request.seed)
    header = read_onnx_header(plan.graph)
    card = ModelCard.from_json(header.metadata[CARD_KEY], source=str(plan.graph))
    return EngineJudge(plan.graph, card, data, engine_limits(card, request.limits).drop)
