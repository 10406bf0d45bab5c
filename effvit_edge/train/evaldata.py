"""Labelled data to evaluate any artifact on, shown as its card and the protocol want it.

No torch here: an exported model is evaluated where there is none. Notation: T frames.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.optional import require
from effvit_edge.data.clip_spec import ClipSpec
from effvit_edge.data.motion import MotionSequences
from effvit_edge.data.prepare.layout import MANIFEST
from effvit_edge.data.segments import SegmentList
from effvit_edge.data.sequences import VideoSequences
from effvit_edge.data.sets import keep_present, open_part, open_split
from effvit_edge.data.sets.prepared import check_form
from effvit_edge.data.types import EvaluationSequences
from effvit_edge.train.sections import EvalRecipe, MotionData, VideosData

if TYPE_CHECKING:
    from effvit_edge.train.recipe import Recipe

Protocol = Literal["auto", "stream", "views"]
Views = tuple[int, int]
"""Clips over time, and crops of each, whose answers are averaged."""

MOTION = "motion"
_MOTION_WINDOWS = 11
"""Long enough to compare the first full window with ten windows in."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Question:
    """What ``--data`` and the options beside it ask for."""

    source: str
    """A folder of classes, a CSV file, a prepared folder, a recipe, or ``motion``."""
    filters: tuple[str, ...] = ()
    """Of a CSV's rows."""
    overrides: tuple[str, ...] = ()
    """``key=value``, of a recipe."""
    protocol: Protocol = "auto"
    """``auto`` shows a stream whole sequences and a clip model views."""
    clips: int | None = None
    """Of views; the recipe's, or 4, where not given."""
    crops: int | None = None
    """Of views; the recipe's, or 1, where not given."""
    count: int = 180
    """Sequences of rendered motion."""
    seed: int = 1
    """Of rendered motion."""

    def summary(self) -> dict[str, Any]:
        """What was asked for, as JSON values: the source, and what is not as it is by default."""
        rendered = ("count", "seed") if self.source == MOTION else ()
        return {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.name in ("source", *rendered) or getattr(self, each.name) != each.default
        }

    @property
    def path(self) -> Path:
        """The source, where it is no word."""
        return Path(self.source)


def open_evaluation(
    question: Question, card: ModelCard
) -> tuple[EvaluationSequences, Views | None]:
    """The sequences in the card's size and at its rate, and how they are shown.

    Returns:
        The sequences, and how many clips and crops each is shown as; None: frame by frame.

    Raises:
        InputError: the data cannot be listed or read, or an option that it does not take.
        EnvironmentFault: a recipe, and PyYAML is not installed.
    """
    recipe = _read_recipe(question)
    views = _choose_views(question, card, recipe.eval if recipe else EvalRecipe())
    data = recipe.data if recipe else None
    if recipe is not None and isinstance(data, MotionData):
        textures = min(data.textures, data.eval_sequences)
        shape = (data.eval_frames, data.eval_sequences, textures, recipe.seed)
        return _motion(card, views, *shape), views
    if question.source == MOTION:
        shape = (_MOTION_WINDOWS * card.num_frames, question.count, question.count, question.seed)
        return _motion(card, views, *shape), views
    lead_s = _trained(card, "lead_s", recipe.input.lead_s if recipe else 0.0)
    sampling = _trained(card, "sampling", recipe.input.sampling if recipe else "rate")
    if recipe is not None and isinstance(data, VideosData):
        listed, max_failed_share = _held_out(data, recipe.seed), data.max_failed_share
    else:
        listed, max_failed_share = _list_segments(question, card, lead_s), 1.0
    segments, failed = keep_present(listed, max_failed_share)
    spec = ClipSpec(
        card.preprocess,
        card.fps,
        card.num_frames,
        "uniform" if views is not None and sampling == "uniform" else "rate",
        lead_s if views is None else 0.0,
    )
    return VideoSequences(segments, spec, views=views, failed=failed), views


def _read_recipe(question: Question) -> Recipe | None:
    """The recipe that is the source, if one is; options of other sources are refused."""
    suffix = question.path.suffix.lower()
    if question.filters and suffix != ".csv":
        raise InputError(
            f"--where chooses rows of a CSV file, and {question.source} is none. "
            "Leave it out or give a CSV."
        )
    if suffix in (".yaml", ".yml"):
        require("yaml", "train")
        from effvit_edge.train.recipe import load_recipe

        return load_recipe(question.path, question.overrides)
    if question.overrides:
        raise InputError(
            f"--set changes keys of a recipe, and {question.source} is none. "
            "Leave it out or give a recipe."
        )
    return None


def _choose_views(question: Question, card: ModelCard, defaults: EvalRecipe) -> Views | None:
    if question.protocol == "stream" and card.mode == "clip":
        raise InputError(
            f"{card.variant} answers once a clip of {card.num_frames} frames, not frame by frame. "
            "Leave --protocol stream out."
        )
    if question.protocol == "views" or card.mode == "clip":
        return question.clips or defaults.clips, question.crops or defaults.crops
    if question.clips is not None or question.crops is not None:
        raise InputError(
            f"--clips and --crops are for views, and {card.variant} is shown whole sequences, "
            "frame by frame. Add --protocol views, or leave them out."
        )
    return None


def _list_segments(question: Question, card: ModelCard, lead_s: float) -> SegmentList:
    """A CSV file's, a prepared folder's or a folder of classes' segments."""
    path = question.path
    if path.suffix.lower() == ".csv":
        lists, filters = Path(path.name), question.filters
        return open_part("csv", path.parent, lists, "eval", options={}, filters=filters)
    if not path.is_dir():
        what = "is not a CSV file or recipe" if path.exists() else "does not exist"
        raise InputError(
            f"--data {question.source} {what}. Give a folder of classes, a CSV file, a prepared "
            f"folder, a recipe or '{MOTION}'."
        )
    if (path / MANIFEST).is_file():
        spec = ClipSpec(card.preprocess, card.fps, card.num_frames, lead_s=lead_s)
        check_form(path, spec, taker="model")
        return open_part("prepared", path, None, "eval", options={})
    return open_part("folder", path, None, "eval", options={})


def _held_out(data: VideosData, seed: int) -> SegmentList:
    """What a recipe evaluates on."""
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


def _motion(
    card: ModelCard, views: Views | None, frames: int, count: int, textures: int, seed: int
) -> MotionSequences:
    height, width = card.preprocess.height, card.preprocess.width
    if height != width:
        raise InputError(
            f"Motion is rendered square, and the model takes {height}x{width} pixels. "
            "Give it videos, as a folder of classes or a CSV file."
        )
    if views is not None and card.mode == "stream":
        raise InputError("Rendered motion is for streams frame by frame; leave --protocol out.")
    return MotionSequences(size=height, frames=frames, count=count, textures=textures, seed=seed)


def _trained(card: ModelCard, key: str, default: _T) -> _T:
    """A key of the input section that a model was trained with, where its card tells."""
    recipe = card.provenance.get("recipe")
    section = recipe.get("input") if isinstance(recipe, dict) else None
    found = section.get(key, default) if isinstance(section, dict) else default
    return found if isinstance(found, type(default)) else default
