"""Combinations that are known not to work, though each part is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from effvit_edge.bench.doctor.facts import Facts
from effvit_edge.bench.doctor.libraries import cuda_version
from effvit_edge.bench.doctor.rows import Row, warning

_OVERWRITING = (
    ("onnxruntime", "onnxruntime-gpu"),
    ("opencv-python", "opencv-python-headless"),
)
"""Pairs of distributions that install the same files."""


def check_conflicts(facts: Facts) -> list[Row]:
    """A row for each combination that is found."""
    return [*_overwritten(facts), *_old_opencv(facts), *_other_cuda(facts)]


def _overwritten(facts: Facts) -> Iterator[Row]:
    for one, other in _OVERWRITING:
        if one in facts.packages and other in facts.packages:
            yield warning(
                "conflict",
                f"{one} and {other} overwrite each other",
                f"pip uninstall -y {one} {other}, then install the one you want",
            )


def _old_opencv(facts: Facts) -> Iterator[Row]:
    """JetPack 6's OpenCV is compiled for numpy 1."""
    numpy = facts.packages.get("numpy", "")
    error = facts.module("cv2").error or ""
    wheel = "opencv-python" in facts.packages or "opencv-python-headless" in facts.packages
    if facts.identity.is_jetson and numpy.startswith("2.") and error and not wheel:
        yield warning("conflict", f"numpy {numpy} and the system's OpenCV", "pip install 'numpy<2'")


def _other_cuda(facts: Facts) -> Iterator[Row]:
    """Bindings of CUDA 13 do not load beside a driver of CUDA 12."""
    bindings = facts.packages.get("cuda-bindings", "")
    toolkit = cuda_version(facts.root)
    if not bindings or toolkit is None or not facts.identity.is_jetson:
        return
    ours, theirs = (re.match(r"\d+", text) for text in (bindings, toolkit))
    if ours and theirs and int(ours[0]) > int(theirs[0]):
        yield warning(
            "conflict",
            f"cuda-bindings {bindings} and CUDA {toolkit}",
            f"pip install 'cuda-bindings<{int(theirs[0]) + 1}'",
        )
