"""GStreamer's own bindings inside the tests' Python, lent by the system's where the two fit."""

from __future__ import annotations

import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from effvit_edge.sources.gstreamer import has_bindings
from tests.conftest import IN_CI

_SYSTEM = Path("/usr/lib/python3/dist-packages/gi")


@pytest.fixture(scope="session")
def gstreamer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Makes ``import gi`` work; skips the test where that is impossible, and in CI fails it.

    Debian's bindings are those of its own Python, so another version skips in CI, too.
    """
    folder = tmp_path_factory.mktemp("gi")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    fits = (_SYSTEM / f"_gi{suffix}").exists()
    if fits:
        (folder / "gi").symlink_to(_SYSTEM)
        sys.path.append(str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # gi's importer is of an older kind
        present = has_bindings()
    if not present:
        reason = f"no bindings of GStreamer for this Python ({suffix}): apt install python3-gi"
        if IN_CI and sys.version_info[:2] == (3, 11):
            pytest.fail(reason)
        pytest.skip(reason)
    yield
    if fits:
        sys.path.remove(str(folder))
