"""All checks, in the order a person reads them."""

from __future__ import annotations

from collections.abc import Callable

from effvit_edge.bench.doctor import board, conflicts, libraries, python, video
from effvit_edge.bench.doctor.facts import Facts
from effvit_edge.bench.doctor.rows import Row

_CHECKS: tuple[Callable[[Facts], Row | None], ...] = (
    board.check_board,
    board.check_release,
    board.check_power_mode,
    board.check_memory,
    board.check_disk,
    libraries.check_driver,
    libraries.check_cuda,
    libraries.check_cudnn,
    libraries.check_tensorrt,
    libraries.check_plugin,
    python.check_python,
    python.check_runtime,
    python.check_cuda_calls,
    python.check_packages,
    video.check_opencv,
    video.check_pyav,
    video.check_gstreamer,
    video.check_argus,
    video.check_cameras,
)


def examine(facts: Facts) -> list[Row]:
    """Every row that concerns this machine."""
    rows = [row for check in _CHECKS if (row := check(facts)) is not None]
    return [*rows, *conflicts.check_conflicts(facts)]
