"""What a user asks of ``effvit-edge export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from effvit_edge.cli.export_reduce import Reduction
from effvit_edge.core.card import Mode, Precision

if TYPE_CHECKING:
    from effvit_edge.engine.options import WeakPrecision
    from effvit_edge.export.precision.calibrate import Method

Format = Literal["onnx", "engine"]


@dataclass(frozen=True)
class Request:
    """The options, by their names, as they were given; None where one was not."""

    artifact: str
    mode: Mode | None
    form_of_file: Format
    precision: Precision | None
    batch: int | None
    attention: str
    calibrate: str | None
    calibrate_where: tuple[str, ...]
    calibrate_clips: int
    method: Method
    verify: str | None
    verify_where: tuple[str, ...]
    fp32_attention: bool
    auto_exclude: bool
    seed: int
    limit_relative: float | None
    limit_cosine: float | None
    limit_agreement: float | None
    limit_drop: float | None
    num_classes: int | None
    num_frames: int | None
    input_size: int | None
    rebuild: bool
    weak_precision: WeakPrecision | None
    output: Path

    @property
    def wants_engine(self) -> bool:
        """Whether the last file is an engine."""
        return self.form_of_file == "engine"

    @property
    def limits(self) -> dict[str, float | None]:
        """Of the gates, by name."""
        return {
            "relative": self.limit_relative,
            "cosine": self.limit_cosine,
            "agreement": self.limit_agreement,
            "drop": self.limit_drop,
        }

    @property
    def preset_options(self) -> dict[str, int | None]:
        """What only presets take, by name."""
        return {
            "num_classes": self.num_classes,
            "num_frames": self.num_frames,
            "input_size": self.input_size,
        }

    @property
    def reduction(self) -> Reduction:
        """How precision is reduced."""
        return Reduction(
            self.calibrate,
            self.calibrate_where,
            self.calibrate_clips,
            self.method,
            self.verify,
            self.verify_where,
            self.fp32_attention,
            self.auto_exclude,
            self.seed,
            self.limits,
        )
