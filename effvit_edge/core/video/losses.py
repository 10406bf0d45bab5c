"""What of a video could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Losses:
    """What of a source could not be used, while the rest was."""

    frames: int = 0
    """Frames that the source should have had and did not give; an estimate where a file's own
    header says how many there were."""
    damaged: int = 0
    """Frames that were given, and that the decoder calls damaged."""
    reasons: list[str] = field(default_factory=list)
    """Why, in the order met, each said once."""

    def add(self, frames: int, reason: str) -> None:
        """Count frames as lost, for a reason that is said once; 0 where nobody knows how many."""
        self.frames += frames
        if reason not in self.reasons:
            self.reasons.append(reason)

    def include(self, other: Losses) -> None:
        """Count another source's losses as this one's."""
        self.damaged += other.damaged
        self.frames += other.frames
        self.reasons += [reason for reason in other.reasons if reason not in self.reasons]

    def __bool__(self) -> bool:
        """Whether anything is missing or damaged."""
        return bool(self.frames or self.damaged or self.reasons)

    def __str__(self) -> str:
        """One clause: how many, and why."""
        parts = [_counted(self.frames, "lost")] if self.frames else []
        parts += [_counted(self.damaged, "damaged")] if self.damaged else []
        none = "an unknown number of frames lost" if self.reasons else "nothing lost"
        reasons = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{' and '.join(parts) or none}{reasons}"


def _counted(count: int, what: str) -> str:
    return f"{count} frame{'' if count == 1 else 's'} {what}"
