"""Programs and libraries that tests use: without them they skip, and in CI fail."""

from __future__ import annotations

import importlib
import shutil
from types import ModuleType
from typing import NoReturn

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
    return _absent(f"{names[0]} is not installed (Debian package: {package})")


def library(module: str, extra: str) -> ModuleType:
    """A library that one of the package's extras installs."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return _absent(f"{module} is not installed (extra: {extra})")


def _absent(reason: str) -> NoReturn:
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
