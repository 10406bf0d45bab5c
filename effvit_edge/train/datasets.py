"""From a recipe to its data: clips to train on and sequences to evaluate on."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.listing import open_split
from effvit_edge.data.motion import MotionClips, MotionSequences
from effvit_edge.data.types import EvaluationSequences, TrainingClips
from effvit_edge.data.videos import Augmentation, VideoClips, VideoSequences
from effvit_edge.train.recipe import Recipe
from effvit_edge.train.sections import MotionData, VideosData


def build_data(recipe: Recipe) -> tuple[TrainingClips, EvaluationSequences]:
    """The training clips and the evaluation sequences of a recipe."""
    if isinstance(recipe.data, MotionData):
        return _motion(recipe, recipe.data)
    return _videos(recipe, recipe.data)


def _motion(recipe: Recipe, data: MotionData) -> tuple[TrainingClips, EvaluationSequences]:
    size = recipe.input.height
    if recipe.input.width != size:
        raise InputError("input: rendered motion is square; give the same height and width.")
    clips = MotionClips(
        size=size,
        frames=recipe.input.frames,
        textures=data.textures,
        seed=recipe.seed,
        switch_share=data.switch_share,
        switch_ignore=data.switch_ignore,
        plain_share=data.plain_share,
        plain_first=data.plain_first,
    )
    sequences = MotionSequences(
        size=size,
        frames=data.eval_frames,
        count=data.eval_sequences,
        textures=min(data.textures, data.eval_sequences),
        seed=recipe.seed,
    )
    return clips, sequences


def _videos(recipe: Recipe, data: VideosData) -> tuple[TrainingClips, EvaluationSequences]:
    train, evaluation = open_split(
        Path(data.root),
        data.annotations,
        train_filters=data.train,
        eval_filters=data.eval,
        eval_share=data.eval_share,
        seed=recipe.seed,
    )
    augment = recipe.augment
    spec, budget_bytes = recipe.input.preprocess(), int(data.cache_gb * 1e9)
    clips = VideoClips(
        train,
        spec,
        fps=recipe.input.fps,
        frames=recipe.input.frames,
        seed=recipe.seed,
        augmentation=Augmentation(
            augment.scale,
            augment.aspect,
            0.5 if augment.flip is None else augment.flip,
            augment.color,
            augment.speed,
        ),
        cache_bytes=budget_bytes,
    )
    # Training reads every video each pass, an evaluation once: it has what training leaves.
    left_bytes = budget_bytes - clips.source.kept_bytes
    sequences = VideoSequences(evaluation, spec, fps=recipe.input.fps, cache_bytes=left_bytes)
    return clips, sequences
