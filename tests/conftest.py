from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

IN_CI = bool(os.environ.get("CI"))
REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline: the machines differ. In CI every run tries the same examples.
settings.register_profile("project", deadline=None, derandomize=IN_CI, print_blob=True)
settings.load_profile("project")


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
