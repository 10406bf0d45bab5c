"""Labelled data to evaluate any artifact on, shown as its card and the protocol want it.

No torch here: an exported model is evaluated where there is none. Notation: T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.data.motion import MotionSequences
from effvit_edge.data.prepare.layout import MANIFEST
from effvit_edge.data.segments import SegmentList
from effvit_edge.data.sequences import VideoSequences
from effvit_edge.data.sets import drop_missing, open_part, open_split
from effvit_edge.data.sets.prepared import check_form
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.train.sections import MotionData, VideosData

ProtocolName = Literal["auto", "stream", "views"]
MOTION = "motion"
_MOTION_WINDOWS = 11
"""Long enough to compare the first full window with ten windows in."""
_CLIPS, _CROPS = 4, 1
_T = TypeVar("_T")


@dataclass(frozen=True)
class Protocol:
    """How a sequence is shown."""

    views: tuple[int, int] | None
    """Clips over time and crops of each, whose answers are averaged; None: frame by frame."""

    def words(self) -> str:
        """For people."""
        if self.views is None:
            return "frame by frame"
        clips, crops = self.views
        return f"by {clips} clips of each × {crops} {'crop' if crops == 1 else 'crops'}"


@dataclass(frozen=True)
class Question:
    """What ``--data`` and the options beside it ask for."""

    source: str
    """A folder of classes, a CSV file, a prepared folder, a recipe, or ``motion``."""
    filters: tuple[str, ...] = ()
    """Of a CSV's rows."""
    overrides: tuple[str, ...] = ()
    """``key=value``, of a recipe."""
    count: int = 180
    """Sequences of rendered motion."""
    seed: int = 1
    """Of rendered motion."""


def choose_protocol(
    card: ModelCard, name: ProtocolName, clips: int | None, crops: int | None
) -> Protocol:
    """The protocol of a name.

    Args:
        card: of the model.
        name: ``auto`` shows a stream whole sequences and a clip model views.
        clips: of views; 4 where not given.
        crops: of views; 1 where not given.

    Raises:
        InputError: a clip model as a stream, or views' options without views.
    """
    if name == "stream" and card.mode == "clip":
        raise InputError(
            f"{card.variant} answers once a clip of {card.num_frames} frames, not frame by frame. "
            "Leave --protocol stream out."
        )
    if name == "views" or card.mode == "clip":
        return Protocol((clips or _CLIPS, crops or _CROPS))
    if clips is not None or crops is not None:
        raise InputError(
            f"--clips and --crops are for views, and {card.variant} is shown whole sequences, "
            "frame by frame. Add --protocol views, or leave them out."
        )
    return Protocol(None)


def open_evaluation(question: Question, card: ModelCard, protocol: Protocol) -> EvaluationSequences:
    """The sequences, in the card's size and at its rate.

    Raises:
        InputError: the data cannot be listed or read, or an option that it does not take.
        EnvironmentFault: a recipe, and PyYAML is not installed.
    """
    source, path = question.source, Path(question.source)
    suffix = path.suffix.lower()
    is_recipe, is_list = suffix in (".yaml", ".yml"), suffix == ".csv"
    is_prepared = (path / MANIFEST).is_file()
    if question.filters and not is_list:
        raise InputError(
            f"--where chooses rows of a CSV file, and {source} is none. Leave it out or give a CSV."
        )
    if question.overrides and not is_recipe:
        raise InputError(
            f"--set changes keys of a recipe, and {source} is none. Leave it out or give a recipe."
        )
    if is_recipe:
        return _of_recipe(path, question.overrides, card, protocol)
    if source == MOTION:
        frames = _MOTION_WINDOWS * card.num_frames
        return _motion(card, protocol, frames, question.count, question.count, question.seed)
    if is_list:
        annotations = Path(path.name)
        listed = open_part(
            "csv", path.parent, annotations, "eval", options={}, filters=question.filters
        )
    else:
        name = "prepared" if is_prepared else "folder"
        listed = open_part(name, path, None, "eval", options={})
    lead_s = _trained(card, "lead_s", 0.0)
    if is_prepared:
        side = max(card.preprocess.height, card.preprocess.width)
        check_form(path, short_side=side, fps=card.fps, lead_s=lead_s)
    return _videos(listed, card, protocol, lead_s=lead_s, max_failed_share=1.0)


def _of_recipe(
    path: Path, overrides: Sequence[str], card: ModelCard, protocol: Protocol
) -> EvaluationSequences:
    """What a recipe evaluates on; how it is shown is the card's and the protocol's."""
    require("yaml", "train")
    from effvit_edge.train.recipe import load_recipe

    recipe = load_recipe(path, overrides)
    data = recipe.data
    if isinstance(data, MotionData):
        textures = min(data.textures, data.eval_sequences)
        return _motion(card, protocol, data.eval_frames, data.eval_sequences, textures, recipe.seed)
    listed = _held_out(data, recipe.seed)
    return _videos(
        listed,
        card,
        protocol,
        lead_s=recipe.input.lead_s,
        max_failed_share=data.max_failed_share,
    )


def _held_out(data: VideosData, seed: int) -> SegmentList:
    _, held = open_split(
        data.set,
        Path(data.root),
        Path(data.annotations) if data.annotations else None,
        options=data.options,
        train_filters=data.train,
        eval_filters=data.eval,
        eval_share=data.eval_share,
        seed=seed,
    )
    return held


def _videos(
    listed: SegmentList,
    card: ModelCard,
    protocol: Protocol,
    *,
    lead_s: float,
    max_failed_share: float,
) -> VideoSequences:
    segments, missing = drop_missing(listed)
    uniform = protocol.views is not None and _trained(card, "sampling", "rate") == "uniform"
    return VideoSequences(
        segments,
        card.preprocess,
        fps=card.fps,
        frames=card.num_frames,
        sampling="uniform" if uniform else "rate",
        views=protocol.views,
        lead_s=lead_s if protocol.views is None else 0.0,
        max_failed_share=max_failed_share,
        missing=missing,
    )


def _motion(
    card: ModelCard, protocol: Protocol, frames: int, count: int, textures: int, seed: int
) -> MotionSequences:
    height, width = card.preprocess.height, card.preprocess.width
    if height != width:
        raise InputError(
            f"Motion is rendered square, and the model takes {height}x{width} pixels. "
            "Give it videos, as a folder of classes or a CSV file."
        )
    if protocol.views is not None and card.mode == "stream":
        raise InputError("Rendered motion is for streams frame by frame; leave --protocol out.")
    return MotionSequences(size=height, frames=frames, count=count, textures=textures, seed=seed)


def _trained(card: ModelCard, key: str, default: _T) -> _T:
    """A key of the input section that a model was trained with, where its card tells."""
    recipe = card.provenance.get("recipe")
    section = recipe.get("input") if isinstance(recipe, dict) else None
    found = section.get(key, default) if isinstance(section, dict) else default
    return found if isinstance(found, type(default)) else default
