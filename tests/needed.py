"""Programs that tests start: without them they skip, and in CI fail."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import IN_CI


def program(*names: str, package: str) -> str:
    """The path of the first of these programs that is installed.

    Args:
        names: of the program; folders for administrators, which many PATHs lack, are searched, too.
        package: Debian's, which has it.
    """
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
        if found:
            return found
    reason = f"{names[0]} is not installed (Debian package: {package})"
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
