"""The figures of an evaluation, over all label groups.

Notation: T frames or clips, G label groups, C classes of all groups together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effvit_edge.core.card import LabelGroup
from effvit_edge.data.types import Targets
from effvit_edge.train.groups import group_slices
from effvit_edge.train.metrics.exclusive import ExclusiveTally
from effvit_edge.train.metrics.marginal import marginals
from effvit_edge.train.metrics.multilabel import MultiLabelTally
from effvit_edge.train.metrics.scores import Logits, sigmoid, softmax

Tally = ExclusiveTally | MultiLabelTally


class Report:
    """Filled one sequence at a time; reports of parts of the data can be merged.

    Args:
        groups: what the model answers, in the order of its logits.
        window_frames: ``M``; a stream's answers before frame ``M`` are warm-up and are not scored.
    """

    def __init__(self, groups: tuple[LabelGroup, ...], window_frames: int = 1) -> None:
        self.groups = groups
        self._slices = group_slices(groups)
        self._tallies: tuple[Tally, ...] = tuple(
            ExclusiveTally(group, window_frames)
            if group.exclusive
            else MultiLabelTally(group, window_frames)
            for group in groups
        )
        self._marginals = {
            index: parts for index, group in enumerate(groups) if (parts := marginals(group))
        }

    def add(self, name: str, logits: Logits, targets: Targets, *, per_frame: bool) -> None:
        """Score one sequence.

        Args:
            name: for the list of errors.
            logits: ``(T, C)``: of each frame of a stream, else of each clip or view.
            targets: ``(frames, G)``, or ``(frames, C)`` of a multi-label group; ``IGNORE`` where
                there is none.
            per_frame: whether ``logits`` are a stream's, one row for each row of ``targets``.
        """
        for index, (place, tally) in enumerate(zip(self._slices, self._tallies, strict=True)):
            own = logits[:, place]
            if isinstance(tally, MultiLabelTally):
                tally.add(name, sigmoid(own), targets, per_frame=per_frame)
                continue
            scores, truths = softmax(own), targets[:, index]
            tally.add(name, scores, truths, per_frame=per_frame)
            found = tally.answer(scores, truths, per_frame=per_frame)
            if found is not None:
                for part in self._marginals.get(index, ()):
                    part.add(name, *found)

    def merge(self, other: Report) -> None:
        """Add what another report of the same groups has scored."""
        for own, others in zip(self._tallies, other._tallies, strict=True):
            own.merge(others)  # type: ignore[arg-type]  # the same groups have the same kinds
        for index, parts in self._marginals.items():
            for part, others_part in zip(parts, other._marginals[index], strict=True):
                part.tally.merge(others_part.tally)

    @property
    def tallies(self) -> dict[str, Tally]:
        """Those of the groups that the data has labels of, by name."""
        return {tally.group.name: tally for tally in self._tallies if tally.sequences}

    @property
    def exclusive(self) -> dict[str, ExclusiveTally]:
        """Those of :attr:`tallies` that have exactly one right answer."""
        return {k: tally for k, tally in self.tallies.items() if isinstance(tally, ExclusiveTally)}

    @property
    def marginal_tallies(self) -> dict[str, ExclusiveTally]:
        """Verb and noun by the scores of the actions, where there are actions."""
        parts = [part.tally for parts in self._marginals.values() for part in parts]
        return {tally.group.name: tally for tally in parts if tally.sequences}

    @property
    def sequences(self) -> int:
        """How many were scored, by the group that most have a label of."""
        return max(tally.sequences for tally in self._tallies)

    @property
    def score(self) -> float:
        """What checkpoints are compared by: top-1 (or mAP) of the first group with labels."""
        tallies = list(self.tallies.values())
        return tallies[0].score if tallies else 0.0

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON values.

        Those of the first group with labels; where there are several, also each one's below
        ``groups``; and below ``marginal`` those of verb and noun by the scores of the actions.
        """
        figures = {name: tally.summary() for name, tally in self.tallies.items()}
        if not figures:
            return {"sequences": 0}
        result: dict[str, Any] = dict(next(iter(figures.values())))
        if len(figures) > 1:
            result["groups"] = figures
        if self.marginal_tallies:
            result["marginal"] = {k: tally.summary() for k, tally in self.marginal_tallies.items()}
        return result

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values; see :meth:`summary` for where each group's is."""
        result = self.summary()
        tallies = self.tallies
        for name in result.get("groups", ()):
            result["groups"][name] = {**result["groups"][name], **tallies[name].details()}
        first = next(iter(tallies.values()), None)
        if first is not None and "groups" not in result:
            result |= first.details()
        return result

    def sentence(self) -> str:
        """The figures in a few words, with the note where there is one."""
        return describe(self.summary())


def describe(figures: Mapping[str, Any]) -> str:
    """A report's summary in a few words, with the note where there is one."""
    groups = figures.get("groups")
    if groups:
        parts = [f"{name} {_main(own)}" for name, own in groups.items()]
        text = f"{', '.join(parts)} of {figures['sequences']}"
    else:
        text = f"{_main(figures)} of {figures['sequences']}{_more(figures)}"
    marginal = [f"{name} {_main(own)}" for name, own in figures.get("marginal", {}).items()]
    if marginal:
        text += f"; by the actions' scores {', '.join(marginal)}"
    return text + (f". Note: {figures['note']}" if "note" in figures else "")


def _main(figures: Mapping[str, Any]) -> str:
    """The figure that tells a model's worth, beside that of one that looks at nothing."""
    if "map" in figures:
        return f"mAP {figures['map']:.1%} (equal scores {figures['prevalence_map']:.1%})"
    text = f"top-1 {figures.get('top1', 0):.1%}"
    return f"{text} (commonest class {figures['majority']:.1%})" if "majority" in figures else text


def _more(figures: Mapping[str, Any]) -> str:
    """A stream's and the first five answers' figures, where there are any."""
    shown = (
        ("top5", "top-5"),
        ("frame_top1", "frames"),
        ("end_top1", "at the end"),
        ("first_window_top1", "first window"),
        ("ten_windows_top1", "ten windows in"),
    )
    return "".join(f", {words} {figures[key]:.1%}" for key, words in shown if key in figures)
