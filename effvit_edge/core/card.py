"""The model card: what an artifact is, what it eats and what it answers, carried by every artifact.

A checkpoint folder has it as ``card.json``, an ONNX file in its metadata, an engine in its sidecar.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from effvit_edge.core.errors import InputError
from effvit_edge.core.strict_json import (
    JSON,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_text,
    check_keys,
    normalise_mapping,
    parse_object,
    shown,
)

Mode = Literal["clip", "stream"]
Resize = Literal["short_side", "squash", "letterbox"]
Precision = Literal["fp32", "fp16", "int8"]

SCHEMA_VERSION = 2
IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of RGB in 0..1; what the published image weights were trained with."""
IMAGENET_STD = (0.229, 0.224, 0.225)
MODES: tuple[Mode, ...] = get_args(Mode)
RESIZES: tuple[Resize, ...] = get_args(Resize)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T", bound=str)


@dataclass(frozen=True)
class LabelGroup:
    """One question the model answers, and its possible answers in the order of the logits."""

    name: str
    labels: tuple[str, ...]
    exclusive: bool = True
    """Whether exactly one label is right (scores are a softmax), or any number (sigmoids)."""

    def __post_init__(self) -> None:
        """Refuse what cannot be told apart: empty names, empty or repeated labels."""
        if not self.name.strip():
            raise InputError("a label group must have a name, got an empty one")
        if not self.labels:
            raise InputError(f"label group '{self.name}' must have at least one label, got none")
        if not all(label.strip() for label in self.labels):
            raise InputError(f"label group '{self.name}' has an empty label; name every class")
        _refuse_duplicates(self.labels, f"label group '{self.name}'")


@dataclass(frozen=True)
class Preprocess:
    """How a frame of any size becomes the model's input; carried out by ``core.preprocess``."""

    height: int
    """Of the model's input, in pixels."""
    width: int
    """Of the model's input, in pixels."""
    resize: Resize
    """``short_side`` crops to the input's shape, ``squash`` distorts, ``letterbox`` pads."""
    crop_ratio: float
    """Part of each side of that picture which is kept, around its centre: above 0, at most 1."""
    mean: tuple[float, float, float]
    """Subtracted from RGB scaled to 0..1; the exported graph does it."""
    std: tuple[float, float, float]
    """Divides what is left."""

    def __post_init__(self) -> None:
        """Refuse sizes, ratios and colours that cannot be meant."""
        if self.height < 1 or self.width < 1:
            raise InputError(f"the input must have pixels, got {self.height}x{self.width}")
        _one_of(self.resize, RESIZES, "resize")
        if not 0 < self.crop_ratio <= 1:
            raise InputError(f"'crop_ratio' must be above 0 and at most 1, got {self.crop_ratio}")
        if not all(0 <= value <= 1 for value in self.mean):
            raise InputError(f"'mean' must be three numbers from 0 to 1, got {self.mean}")
        if not all(0 < value < math.inf for value in self.std):
            raise InputError(f"'std' must be three positive numbers, got {self.std}")


@dataclass(frozen=True)
class ModelCard:
    """Everything needed to rebuild, feed and read a model."""

    schema_version: int = dataclasses.field(default=SCHEMA_VERSION, kw_only=True)
    """Of this record; a package refuses those it does not know."""
    family: str
    """The architecture, for example ``efficientvit3d``."""
    variant: str
    """The preset's name: ``create_model(variant, **network)`` rebuilds the network."""
    mode: Mode
    """``clip`` answers once a clip, ``stream`` once a frame."""
    num_frames: int
    """Clip length, or the attention window of a stream, in frames."""
    fps: float
    """Rate of the frames the model was trained on, in frames per second."""
    preprocess: Preprocess
    label_groups: tuple[LabelGroup, ...]
    """One group, or several such as verb, noun and action; their logits lie one after another."""
    network: Mapping[str, JSON]
    """Every keyword that rebuilds the network."""
    precision: Precision
    parent_sha256: str | None
    """Of the artifact this one was made from; None for the first."""
    provenance: Mapping[str, JSON]
    """How it came to be: data, recipe hash, metrics, package version."""

    def __post_init__(self) -> None:
        """Refuse an inconsistent card; keep what JSON would give back of the free mappings."""
        object.__setattr__(self, "network", normalise_mapping(self.network, "network"))
        object.__setattr__(self, "provenance", normalise_mapping(self.provenance, "provenance"))
        _check_schema_version(self.schema_version)
        if not (self.family.strip() and self.variant.strip()):
            raise InputError("'family' and 'variant' must not be empty")
        _one_of(self.mode, MODES, "mode")
        _one_of(self.precision, PRECISIONS, "precision")
        if self.num_frames < 1:
            raise InputError(f"'num_frames' must be at least 1, got {self.num_frames}")
        if not 0 < self.fps < math.inf:
            raise InputError(f"'fps' must be a positive number, got {self.fps}")
        if self.parent_sha256 is not None and not _SHA256.fullmatch(self.parent_sha256):
            raise InputError(
                "'parent_sha256' must be 64 lower-case hexadecimal digits or null, "
                f"got {shown(self.parent_sha256)}"
            )
        self._check_labels()

    def _check_labels(self) -> None:
        if not self.label_groups:
            raise InputError("a card must have at least one label group, got none")
        _refuse_duplicates([group.name for group in self.label_groups], "'label_groups'")
        outputs = self.network.get("num_classes", self.num_classes)
        if outputs != self.num_classes:
            raise InputError(
                f"the network has {shown(outputs)} classes, "
                f"but the label groups name {self.num_classes}"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the first group, which is the only one of most models."""
        return self.label_groups[0].labels

    @property
    def num_classes(self) -> int:
        """Length of the logits: the labels of all groups together."""
        return sum(len(group.labels) for group in self.label_groups)

    def to_json(self) -> str:
        """The card as JSON text, ending in a newline; ``from_json`` gives an equal card back."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelCard:
        """Read a card, refusing anything but exactly a card.

        Args:
            text: what ``to_json`` wrote.
            source: where the text is from, for the error message.

        Raises:
            InputError: not JSON; a field missing, unknown or of a wrong type or value; a schema
                version this package does not know.
        """
        try:
            return _read_card(_upgraded(parse_object(text)))
        except InputError as error:
            raise InputError(
                f"The model card of {source} cannot be used: {error}. "
                "Write the artifact again with this version of effvit-edge."
            ) from error


def _upgraded(found: dict[str, JSON]) -> dict[str, JSON]:
    """A card of schema 1, which knew exclusive labels only, as one of schema 2."""
    groups = found.get("label_groups")
    if found.get("schema_version") != 1 or not isinstance(groups, list):
        return found
    if not all(isinstance(group, dict) and "exclusive" not in group for group in groups):
        return found
    upgraded: list[JSON] = [{**as_object(group, "group"), "exclusive": True} for group in groups]
    return {**found, "schema_version": SCHEMA_VERSION, "label_groups": upgraded}


def _read_card(found: Mapping[str, JSON]) -> ModelCard:
    _check_schema_version(found.get("schema_version"))
    check_keys(found, _field_names(ModelCard), "the card")
    parent = found["parent_sha256"]
    return ModelCard(
        family=as_text(found["family"], "family"),
        variant=as_text(found["variant"], "variant"),
        mode=_one_of(as_text(found["mode"], "mode"), MODES, "mode"),
        num_frames=as_integer(found["num_frames"], "num_frames"),
        fps=as_number(found["fps"], "fps"),
        preprocess=_read_preprocess(as_object(found["preprocess"], "preprocess")),
        label_groups=tuple(
            _read_group(as_object(group, f"label_groups[{i}]"), f"label_groups[{i}]")
            for i, group in enumerate(as_list(found["label_groups"], "label_groups"))
        ),
        network=as_object(found["network"], "network"),
        precision=_one_of(as_text(found["precision"], "precision"), PRECISIONS, "precision"),
        parent_sha256=None if parent is None else as_text(parent, "parent_sha256"),
        provenance=as_object(found["provenance"], "provenance"),
    )


def _read_preprocess(found: Mapping[str, JSON]) -> Preprocess:
    check_keys(found, _field_names(Preprocess), "'preprocess'")
    return Preprocess(
        height=as_integer(found["height"], "preprocess.height"),
        width=as_integer(found["width"], "preprocess.width"),
        resize=_one_of(as_text(found["resize"], "preprocess.resize"), RESIZES, "resize"),
        crop_ratio=as_number(found["crop_ratio"], "preprocess.crop_ratio"),
        mean=_read_rgb(found["mean"], "preprocess.mean"),
        std=_read_rgb(found["std"], "preprocess.std"),
    )


def _read_group(found: Mapping[str, JSON], name: str) -> LabelGroup:
    check_keys(found, _field_names(LabelGroup), f"'{name}'")
    exclusive = found["exclusive"]
    if not isinstance(exclusive, bool):
        raise InputError(f"'{name}.exclusive' must be true or false, got {shown(exclusive)}")
    labels = as_list(found["labels"], f"{name}.labels")
    return LabelGroup(
        name=as_text(found["name"], f"{name}.name"),
        labels=tuple(as_text(label, f"{name}.labels[{i}]") for i, label in enumerate(labels)),
        exclusive=exclusive,
    )


def _read_rgb(value: JSON, name: str) -> tuple[float, float, float]:
    channels = as_list(value, name)
    if len(channels) != 3:
        raise InputError(f"'{name}' must be three numbers, got {len(channels)}")
    red, green, blue = (as_number(channel, name) for channel in channels)
    return red, green, blue


def _check_schema_version(version: JSON) -> None:
    if type(version) is not int or version != SCHEMA_VERSION:
        raise InputError(
            f"its schema version is {shown(version)}, and this package knows {SCHEMA_VERSION}; "
            "a newer one needs a newer effvit-edge"
        )


def _one_of(value: str, choices: Sequence[_T], name: str) -> _T:
    for choice in choices:
        if value == choice:
            return choice
    raise InputError(f"'{name}' must be one of {', '.join(choices)}, got {shown(value)}")


def _refuse_duplicates(names: Sequence[str], where: str) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{where} has {shown(twice)} twice; every name must differ")


def _field_names(record: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]
