"""What every result file says about the machine that it was measured on."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from effvit_edge.core.files import atomic_path

_LIBRARIES = ("av", "numpy", "opencv-python", "torch", "decord", "torchcodec", "effvit-edge")


def write_result(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON, under the command, the machine and the versions."""
    record = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", _module(), *_without_folders(sys.argv[1:])]),
        "machine": {"cpu": _processor(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {"python": platform.python_version(), **_versions()},
        **figures,
    }
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _module() -> str:
    spec = sys.modules["__main__"].__spec__
    return (spec.name if spec else "benchmarks.loader").removesuffix(".__main__")


def _without_folders(arguments: list[str]) -> list[str]:
    """The arguments with the last part of every path only: the rest is one machine's."""
    return [Path(a).name if Path(a).is_absolute() else a for a in arguments]


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found.group(1) if found else platform.processor()


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
