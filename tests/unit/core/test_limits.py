"""One table of limits, which graphs and engines are both held to."""

from __future__ import annotations

import dataclasses

import pytest

from effvit_edge.core.card import PRECISIONS, ModelCard, Precision
from effvit_edge.core.comparison import Comparison
from effvit_edge.core.limits import LIMITS, Limits, engine_limits, graph_limits, with_limits
from effvit_edge.core.strict_json import JSON
from tests.tiny_models import tiny_card

CARD = tiny_card("stream")
RANDOM = dataclasses.replace(CARD, provenance={"weights": "random"})
LIMIT = Limits(relative=0.1, cosine=0.9, agreement=0.8, drop=0.0)
AT_THE_LIMIT = Comparison(max_abs=1.0, mean_abs=0.1, cosine=0.9, top1_agreement=0.8, answers=10)


def _card(precision: Precision) -> ModelCard:
    return dataclasses.replace(CARD, precision=precision)


def test_what_is_just_at_the_limits_passes() -> None:
    assert LIMIT.faults(AT_THE_LIMIT, 0.1, CARD) == []


@pytest.mark.parametrize(
    ("change", "relative", "said"),
    [
        ({}, 0.101, "up to 10.10% of the largest logit (limit 10.00%)"),
        ({}, float("nan"), "up to nan% of the largest logit"),
        ({"cosine": 0.899}, 0.1, "cosine 0.89900 (limit 0.9)"),
        ({"cosine": float("nan")}, 0.1, "cosine nan"),
        ({"top1_agreement": 0.7}, 0.1, "same label for 70.0% of 10 answers (limit 80.0%)"),
    ],
)
def test_what_is_beyond_a_limit_is_named(
    change: dict[str, float], relative: float, said: str
) -> None:
    (fault,) = LIMIT.faults(dataclasses.replace(AT_THE_LIMIT, **change), relative, CARD)
    assert fault.startswith(said)


def test_labels_of_random_weights_are_not_asked_for() -> None:
    found = dataclasses.replace(AT_THE_LIMIT, top1_agreement=0.0)
    assert LIMIT.faults(found, 0.1, CARD)
    assert LIMIT.faults(found, 0.1, RANDOM) == []


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_option_reaches_the_limits_of_graphs_and_of_engines_alike(precision: Precision) -> None:
    given = {"relative": 0.5, "cosine": None, "agreement": 0.75, "drop": None}
    graph, engine = graph_limits(precision, given), engine_limits(_card(precision), given)
    assert graph == engine
    assert (graph.relative, graph.agreement) == (0.5, 0.75)
    assert graph.cosine == LIMITS[precision].cosine


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_options_an_engine_may_be_as_far_as_its_graph(precision: Precision) -> None:
    """Both are held to the same answers in float32, so a graph that just passes can be built."""
    graph, engine = graph_limits(precision, {}), engine_limits(_card(precision))
    assert dataclasses.replace(engine, agreement=graph.agreement) == graph
    assert engine.agreement == 0


def test_wider_limits_go_with_the_file_and_narrower_ones_do_not_bind_it() -> None:
    wide = graph_limits("fp16", {"relative": 0.5, "cosine": 0.2, "agreement": 0.1, "drop": 1.0})
    kept = ModelCard.from_json(with_limits(_card("fp16"), wide).to_json(), "a copy")
    found = engine_limits(kept)
    assert (found.relative, found.cosine, found.agreement) == (0.5, 0.2, 0.0)
    assert found.drop == LIMITS["fp16"].drop
    assert engine_limits(kept, {"relative": 0.01}).relative == 0.01
    narrow = with_limits(_card("fp16"), graph_limits("fp16", {"relative": 0.0, "cosine": 1.0}))
    assert engine_limits(narrow) == engine_limits(_card("fp16"))


def test_a_card_only_names_limits_that_were_changed() -> None:
    table = engine_limits(CARD)
    assert with_limits(CARD, table) == CARD
    wide = with_limits(CARD, dataclasses.replace(table, relative=0.5))
    assert wide.provenance == {**CARD.provenance, "limits": {"relative": 0.5}}
    assert with_limits(wide, table) == CARD


@pytest.mark.parametrize("found", ["wide", {"relative": "wide"}, {"relative": True}, [1], None])
def test_what_is_no_limit_changes_nothing(found: JSON) -> None:
    card = dataclasses.replace(CARD, provenance={"limits": found})
    assert engine_limits(card) == engine_limits(CARD)
