"""Between barriers the threads of a block must not rely on each other's order."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.engine.plugin import build
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.shape import AttentionShape
from tests.unit.engine.plugin.attending import draw, run_clip, run_steps

ASCENDING = "for (int thread = 0; thread < (threads); ++thread)"
DESCENDING = "for (int thread = (threads) - 1; thread >= 0; --thread)"
SHAPE = AttentionShape(batch=2, frames=5, heads=3, head_dim=16, tokens=150, window=3, eps=1e-5)


@pytest.fixture(scope="module")
def reversed_kernels(
    host_kernels: SharedLibrary, tmp_path_factory: pytest.TempPathFactory
) -> SharedLibrary:
    """The same kernels, the last thread of a block first in every phase."""
    folder = tmp_path_factory.mktemp("reversed")
    shutil.copytree(build.KERNELS, folder / "kernels")
    header = folder / "kernels" / "portable.h"
    source = header.read_text()
    assert source.count(ASCENDING) == 1
    header.write_text(source.replace(ASCENDING, DESCENDING))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "KERNELS", folder / "kernels")
        return SharedLibrary(build.build_host(folder))


@pytest.mark.parametrize("head_dim", [16, 32])
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_the_order_of_threads_changes_nothing(
    host_kernels: SharedLibrary, reversed_kernels: SharedLibrary, head_dim: int, storage: str
) -> None:
    sizes = {"head_dim": head_dim, "storage": storage, "state_storage": storage}
    shape = dataclasses.replace(SHAPE, **sizes)
    one = dataclasses.replace(shape, frames=1)
    qkv = draw(0, 10, 3, head_dim, 150)
    np.testing.assert_array_equal(
        run_clip(reversed_kernels, shape, qkv), run_clip(host_kernels, shape, qkv)
    )
    for in_place in (False, True):
        np.testing.assert_array_equal(
            run_steps(reversed_kernels, one, qkv, in_place=in_place),
            run_steps(host_kernels, one, qkv, in_place=in_place),
        )


def test_a_lost_barrier_would_show(host_kernels: SharedLibrary, tmp_path: Path) -> None:
    """A kernel whose phases run into each other gives other numbers in reverse."""
    shutil.copytree(build.KERNELS, tmp_path / "kernels")
    header = tmp_path / "kernels" / "attention.h"
    source = header.read_text()
    barrier = "load_tile(a, keys, first, thread, shared);\n      END_PHASE\n"
    barrier += "      FOR_EACH_THREAD(thread, kThreads)\n"
    assert source.count(barrier) == 1
    header.write_text(source.replace(barrier, barrier.splitlines()[0] + "\n"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "KERNELS", tmp_path / "kernels")
        broken = SharedLibrary(build.build_host(tmp_path))
    qkv = draw(0, 10, 3, 16, 150)
    assert not np.array_equal(run_clip(broken, SHAPE, qkv), run_clip(host_kernels, SHAPE, qkv))
