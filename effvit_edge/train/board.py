"""A run's metrics for TensorBoard. The library is imported when a board is opened."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from effvit_edge.core.optional import install_line

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter
    from typing_extensions import Self

FOLDER = "tensorboard"
NO_BOARD = (
    "TensorBoard is not installed, so nothing is written for it; metrics.jsonl and curves.png have "
    f"the same figures. Install it ({install_line('train')}) or set output.tensorboard to false."
)

_TAGS = {
    "loss": "train/loss",
    "accuracy": "train/accuracy",
    "lr": "train/learning_rate",
    "grad_norm": "train/gradient_norm",
    "skipped": "train/skipped_steps",
    "samples_per_second": "speed/samples_per_second",
    "data_wait_share": "speed/data_wait_share",
}


class Board:
    """Writes scalars and pictures into ``FOLDER/tensorboard``.

    Args:
        folder: of the run.
        last_step: what an interrupted run wrote of later steps is hidden, because the run
            repeats them.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, last_step: int) -> None:
        writer_class = cast(
            "type[SummaryWriter]",
            importlib.import_module("torch.utils.tensorboard").SummaryWriter,
        )
        self._writer = writer_class(str(folder / FOLDER), purge_step=last_step + 1, flush_secs=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def training(self, step: int, record: Mapping[str, Any]) -> None:
        """The figures of a training step; those it does not have are left out."""
        for key, value in record.items():
            if value is not None and (key in _TAGS or key.startswith("accuracy_")):
                self._writer.add_scalar(_TAGS.get(key, f"train/{key}"), value, step)

    def evaluation(self, step: int, figures: Mapping[str, Any], prefix: str = "eval") -> None:
        """The figures of an evaluation; those of single label groups below their names."""
        for key, value in figures.items():
            if isinstance(value, Mapping):
                self.evaluation(step, value, f"{prefix}/{key}")
            elif isinstance(value, (int, float)):
                self._writer.add_scalar(f"{prefix}/{key}", value, step)
        self._writer.flush()

    def picture(self, step: int, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        """A picture, ``(H, W, 3)`` RGB."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")


def open_board(folder: Path, last_step: int) -> Board | None:
    """A board for a run, or None where TensorBoard is not installed."""
    try:
        return Board(folder, last_step)
    except ImportError:
        return None
