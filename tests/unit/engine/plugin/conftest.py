from __future__ import annotations

import os
import shutil

import pytest

from effvit_edge.engine.plugin.build import build_host
from effvit_edge.engine.plugin.library import SharedLibrary


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> SharedLibrary:
    """The kernels compiled for this processor; once, whatever the number of test processes."""
    if shutil.which("c++") is None:
        if os.environ.get("CI"):
            pytest.fail("no C++ compiler to check the kernels with")
        pytest.skip("no C++ compiler")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return SharedLibrary(build_host(shared / "host_kernels"))
