from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from effvit_edge.core.card import LabelGroup, ModelCard, Preprocess
from effvit_edge.core.errors import InputError


def a_card(**changes: Any) -> ModelCard:
    card = ModelCard(
        family="efficientvit3d",
        variant="efficientvit3d_b0",
        mode="stream",
        num_frames=8,
        fps=15.0,
        preprocess=Preprocess(64, 96, "short_side", 0.875, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)),
        label_groups=(LabelGroup("action", ("left", "right", "still")),),
        network={"num_classes": 3, "temporal_kernels": (1, 3, 3), "window": None},
        precision="fp32",
        parent_sha256=None,
        provenance={"metrics": {"top1": 0.98}},
    )
    return dataclasses.replace(card, **changes)


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """The text of a sound card after one change to its JSON object."""
    found = json.loads(a_card().to_json())
    change(found)
    return json.dumps(found)


def test_a_card_comes_back_equal() -> None:
    card = a_card(parent_sha256="0f" * 32)
    assert ModelCard.from_json(card.to_json(), "here") == card


def test_tuples_in_the_network_are_kept_as_json_gives_them_back() -> None:
    assert a_card().network["temporal_kernels"] == [1, 3, 3]


def test_the_labels_are_those_of_the_first_group_and_the_classes_those_of_all() -> None:
    card = a_card(
        label_groups=(LabelGroup("verb", ("cut", "open")), LabelGroup("noun", ("door",))),
    )
    assert card.labels == ("cut", "open")
    assert card.num_classes == 3


def test_a_card_keeps_nothing_of_the_mapping_it_was_given() -> None:
    network: dict[str, Any] = {"head_widths": [1, 2]}
    card = a_card(network=network)
    network["head_widths"].append(3)
    assert card.network["head_widths"] == [1, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda found: found.pop("fps"), "misses fps"),
        (lambda found: found.update(fsp=15), "unknown fsp"),
        (lambda found: found["preprocess"].pop("crop_ratio"), "'preprocess' misses crop_ratio"),
        (lambda found: found["label_groups"][0].update(color="red"), "unknown color"),
        (lambda found: found.pop("schema_version"), "schema version is None"),
        (lambda found: found.update(schema_version=99), "schema version is 99"),
        (lambda found: found.update(schema_version=True), "schema version is True"),
        (lambda found: found.update(fps="15"), "'fps' must be a number, got '15'"),
        (lambda found: found.update(fps=True), "'fps' must be a number, got True"),
        (lambda found: found.update(fps=0), "'fps' must be a positive number, got 0"),
        (lambda found: found.update(fps=10**400), "'fps' must be a finite number"),
        (lambda found: found.update(num_frames=8.0), "'num_frames' must be an integer, got 8.0"),
        (lambda found: found.update(num_frames=0), "'num_frames' must be at least 1"),
        (lambda found: found.update(mode="film"), "'mode' must be one of clip, stream"),
        (lambda found: found.update(precision="fp8"), "one of fp32, fp16, int8, got 'fp8'"),
        (lambda found: found.update(parent_sha256="abc"), "64 lower-case hexadecimal"),
        (lambda found: found.update(family=" "), "'family' and 'variant' must not be empty"),
        (lambda found: found.update(network=[1]), "'network' must be an object, got [1]"),
        (lambda found: found["preprocess"].update(height=0), "must have pixels, got 0x96"),
        (lambda found: found["preprocess"].update(resize="crop"), "'resize' must be one of"),
        (lambda found: found["preprocess"].update(crop_ratio=1.5), "'crop_ratio' must be above 0"),
        (lambda found: found["preprocess"].update(mean=[0.5]), "must be three numbers, got 1"),
        (lambda found: found["preprocess"].update(mean=[128, 128, 128]), "numbers from 0 to 1"),
        (lambda found: found["preprocess"].update(std=[1, 0, 1]), "three positive numbers"),
        (lambda found: found.update(label_groups=[]), "at least one label group"),
        (lambda found: found["label_groups"][0].update(labels=[]), "at least one label, got none"),
        (lambda found: found["label_groups"][0].update(name=""), "must have a name"),
        (
            lambda found: found["label_groups"][0].update(labels=["left", "", "still"]),
            "has an empty label",
        ),
        (
            lambda found: found["label_groups"][0].update(labels=["left", "left", "still"]),
            "has 'left' twice",
        ),
        (
            lambda found: found["label_groups"][0].update(labels=["left", "right"]),
            "has 3 classes, but the label groups name 2",
        ),
        (
            lambda found: found["label_groups"].append(found["label_groups"][0]),
            "'label_groups' has 'action' twice",
        ),
    ],
)
def test_a_card_that_is_not_exactly_one_is_refused(
    change: Callable[[dict[str, Any]], object], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        ModelCard.from_json(changed(change), "models/demo.onnx")
    text = str(caught.value)
    assert told in text
    assert "models/demo.onnx" in text
    assert "Write the artifact again" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not valid JSON"),
        ("\x00PNG", "not valid JSON"),
        ("[1, 2]", "expected a JSON object"),
        ('{"fps": 1, "fps": 2}', "'fps' appears twice"),
        ('{"fps": NaN}', "NaN is not allowed"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_text_that_is_no_json_object_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        ModelCard.from_json(text, "card.json")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: "one"}, object(), [{"deep": float("nan")}]]
)
def test_what_json_cannot_hold_is_refused_when_the_card_is_made(value: Any) -> None:
    with pytest.raises(InputError, match="provenance"):
        a_card(provenance={"metric": value})
