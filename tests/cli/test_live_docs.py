"""What ``docs/live.md`` and ``docs/bench.md`` show works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.cli.main import main
from tests.conftest import REPOSITORY
from tests.videos import write_video

DOCUMENTS = [REPOSITORY / "docs" / name for name in ("live.md", "bench.md")]
BLOCKS = [
    block
    for document in DOCUMENTS
    for block in re.findall(
        r"^```(python|sh)\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
]


@pytest.mark.parametrize(("kind", "block"), BLOCKS, ids=[block.split()[1] for _, block in BLOCKS])
def test_a_box_runs(kind: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").symlink_to(REPOSITORY / "models")
    texture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    large = np.kron(texture, np.ones((8, 8, 1), np.uint8))
    write_video(tmp_path / "clip.mp4", [np.roll(large, -4 * i, axis=1) for i in range(60)], fps=15)
    monkeypatch.chdir(tmp_path)
    if kind == "python":
        exec(compile(block, "docs", "exec"), {})
        return
    for line in block.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "effvit-edge"
        assert main(arguments) == 0


def test_there_are_boxes_of_both_kinds() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "sh"}
