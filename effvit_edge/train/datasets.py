"""From a recipe to its data: clips to train on and sequences to evaluate on."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.augment import Augmentation
from effvit_edge.data.clips import VideoClips
from effvit_edge.data.motion import MotionClips, MotionSequences
from effvit_edge.data.segments import SegmentList
from effvit_edge.data.sequences import VideoSequences
from effvit_edge.data.sets import keep_present, open_split
from effvit_edge.data.sets.prepared import check_form
from effvit_edge.data.types import RunSequences, TrainingClips
from effvit_edge.train.recipe import Recipe
from effvit_edge.train.sections import AugmentRecipe, MotionData, VideosData
from effvit_edge.train.share import Share

_WINDOWS = 3
"""Attention windows that a causal network's training clip should have: it then learns the steady
state, in which windows lie upon windows."""


def build_data(recipe: Recipe, rank: int = 0, world: int = 1) -> tuple[TrainingClips, RunSequences]:
    """The training clips of a recipe, and a process's share of the evaluation sequences.

    Args:
        recipe: names the data.
        rank: which share.
        world: how many shares there are.

    Raises:
        InputError: the data cannot be listed or read, too much of it is missing, or no video is as
            long as a clip.
        EnvironmentFault: an augmentation needs a library that is not there.
    """
    if isinstance(recipe.data, MotionData):
        whole = _motion_sequences(recipe, recipe.data)
        return _motion_clips(recipe, recipe.data), Share(whole, rank, world)
    train, evaluation = _open_split(recipe, recipe.data)
    budget_bytes = int(recipe.data.cache_gb * 1e9)
    clips = _clips(recipe, recipe.data, train, budget_bytes)
    _refuse_short(recipe, clips)
    # Training reads every video each pass, an evaluation once: it has what training leaves.
    left_bytes = budget_bytes - clips.kept_bytes
    return clips, _sequences(recipe, recipe.data, evaluation, left_bytes, (rank, world))


def data_notes(recipe: Recipe, clips: TrainingClips) -> list[str]:
    """What is odd about a recipe and its data without being wrong, in sentences."""
    notes = [
        f"Every clip has the {group.name} '{group.labels[0]}', the only one that the data has: "
        "there is nothing to tell apart. Add clips of another."
        for group in clips.groups
        if group.exclusive and len(group.labels) == 1
    ]
    frames, window = recipe.input.frames, recipe.model.num_frames
    if "3d" in recipe.model.preset and recipe.model.causal and frames < _WINDOWS * window:
        notes.append(
            f"input.frames is {frames}, less than {_WINDOWS} windows of model.num_frames, "
            f"{window}: the network does not learn the steady state that a stream reaches. "
            f"{_WINDOWS * window} or more is better, if the videos are as long."
        )
    lengths = _lengths(recipe, clips)
    short = [name for name, length in lengths.items() if length < frames]
    if short:
        notes.append(
            f"{len(short)} of {len(lengths)} training videos, such as {short[0]} with "
            f"{lengths[short[0]]}, have fewer than input.frames, {frames}, at input.fps, "
            f"{recipe.input.fps:g}: their clips end in the last frame, held."
        )
    return notes


def _lengths(recipe: Recipe, clips: TrainingClips) -> dict[str, int]:
    """Frames at the model's rate of training videos, where clips are taken at that rate."""
    if isinstance(clips, VideoClips) and recipe.input.sampling == "rate":
        return clips.lengths_frames
    return {}


def _refuse_short(recipe: Recipe, clips: TrainingClips) -> None:
    """Refuse a recipe whose clips are longer than every video.

    Raises:
        InputError: naming the longest.
    """
    lengths = _lengths(recipe, clips)
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    if longest is None or lengths[longest] >= recipe.input.frames:
        return
    raise InputError(
        f"input.frames is {recipe.input.frames}, and the longest of {len(lengths)} training "
        f"videos, {longest}, has {lengths[longest]} at input.fps, {recipe.input.fps:g}. "
        f"Lower input.frames to {lengths[longest]}, or raise input.fps."
    )


def _open_split(recipe: Recipe, data: VideosData) -> tuple[SegmentList, SegmentList]:
    if data.set == "prepared":
        check_form(Path(data.root), recipe.input.clip_spec())
    return open_split(
        data.set,
        Path(data.root),
        Path(data.annotations) if data.annotations else None,
        options=data.options,
        train_filters=data.train,
        eval_filters=data.eval,
        eval_share=data.eval_share,
        seed=recipe.seed,
    )


def _clips(recipe: Recipe, data: VideosData, listed: SegmentList, cache_bytes: int) -> VideoClips:
    segments, failed = keep_present(listed, data.max_failed_share)
    return VideoClips(
        segments,
        recipe.input.clip_spec(),
        seed=recipe.seed,
        augmentation=_augmentation(recipe.augment, segments.directional),
        cache_bytes=cache_bytes,
        failed=failed,
    )


def _sequences(
    recipe: Recipe,
    data: VideosData,
    listed: SegmentList,
    cache_bytes: int,
    share: tuple[int, int],
) -> VideoSequences:
    segments, failed = keep_present(listed, data.max_failed_share)
    # A centred network answers for clips, a causal one and an image network frame by frame.
    centred = "3d" in recipe.model.preset and not recipe.model.causal
    return VideoSequences(
        segments,
        recipe.input.clip_spec(),
        views=(recipe.eval.clips, recipe.eval.crops) if centred else None,
        cache_bytes=cache_bytes,
        failed=failed,
        share=share,
    )


def _augmentation(section: AugmentRecipe, directional: bool) -> Augmentation:
    flip = section.flip
    if flip is None:
        flip = 0.0 if directional else 0.5
    return Augmentation(
        scale=section.scale,
        aspect=section.aspect,
        flip=flip,
        color=section.color,
        speed=section.speed,
        randaugment=section.randaugment,
        erase=section.erase,
    )


def _motion_clips(recipe: Recipe, data: MotionData) -> MotionClips:
    return MotionClips(
        size=_square(recipe),
        frames=recipe.input.frames,
        textures=data.textures,
        seed=recipe.seed,
        switch_share=data.switch_share,
        switch_ignore=data.switch_ignore,
        plain_share=data.plain_share,
        plain_first=data.plain_first,
    )


def _motion_sequences(recipe: Recipe, data: MotionData) -> MotionSequences:
    return MotionSequences(
        size=_square(recipe),
        frames=data.eval_frames,
        count=data.eval_sequences,
        textures=min(data.textures, data.eval_sequences),
        seed=recipe.seed,
    )


def _square(recipe: Recipe) -> int:
    if recipe.input.width != recipe.input.height:
        raise InputError("input: rendered motion is square; give the same height and width.")
    return recipe.input.height
