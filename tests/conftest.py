from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is loaded: the tests run in several processes, which should not fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

IN_CI = bool(os.environ.get("CI"))
REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline: the machines differ. In CI every run tries the same examples.
settings.register_profile("project", deadline=None, derandomize=IN_CI, print_blob=True)
settings.load_profile("project")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none, unless a GPU is demanded."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if torch.cuda.is_available():
        return
    reason = "torch finds no CUDA device"
    if os.environ.get("EFFVIT_REQUIRE_GPU") == "1":
        pytest.fail(f"{reason}, and EFFVIT_REQUIRE_GPU=1 demands one")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real videos and annotations; a test that asks for it skips without it.

    In CI it must be there: a check that silently stops running is no check.
    """
    folder = Path(os.environ.get("EFFVIT_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no test data at {folder}; set EFFVIT_TEST_DATA to its folder"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return folder.resolve()
