"""Where engines lie, and finding one that was built of the same inputs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from effvit_edge.core.errors import EdgeError
from effvit_edge.core.files import why_not_writable
from effvit_edge.engine.target import Target
from effvit_edge.runtime.sidecar import PlanSidecar, read_plan, read_sidecar

_VARIABLE = "EFFVIT_ENGINES"
_HERE = Path("engines")


def engines_folder() -> Path:
    """What ``EFFVIT_ENGINES`` names, else ``engines`` here where there is one, else the user's."""
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    return _HERE if _HERE.is_dir() else user_folder()


def user_folder() -> Path:
    """The user's own folder for engines."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "effvit-edge" / "engines"


def place_for(wanted: Path) -> tuple[Path, str]:
    """The path for a plan, and a sentence where it is not the one wanted.

    Args:
        wanted: where it should lie; when that folder cannot be written, the user's own is taken.

    Raises:
        OSError: of another kind, such as a disk that is full.
    """
    reason = why_not_writable(wanted.parent)
    if not reason:
        return wanted, ""
    instead = user_folder() / wanted.name
    instead.parent.mkdir(parents=True, exist_ok=True)
    return instead, f"{wanted.parent} cannot be written ({reason}), so the engine is {instead}."


def plan_name(target: Target) -> str:
    """Of a plan in the cache: the ONNX file's name for people, the key for this package."""
    return f"{target.source.path.stem}-{target.key}.plan"


def find_built(target: Target, folders: list[Path]) -> Path | None:
    """A whole engine built of the same inputs, looked for in the order of the folders."""
    for folder in folders:
        for path in _candidates(folder, target.key):
            if _is_whole(path, target.key):
                return path
    return None


def is_built(path: Path, target: Target) -> bool:
    """Whether this very file is a whole engine built of the same inputs."""
    return path.is_file() and _is_whole(path, target.key)


def timings_path(target: Target) -> Path | None:
    """The timing cache for a device and a version; None for TensorRT-RTX, which times nothing."""
    if target.machine.flavour != "tensorrt" or target.machine.device is None:
        return None
    device = target.machine.device
    words = f"{device.name} {device.compute_capability} {target.machine.tensorrt}"
    name = "".join(c if c.isalnum() or c == "." else "_" for c in words)
    folder = engines_folder()
    return (user_folder() if why_not_writable(folder) else folder) / f"timing-{name}.cache"


def _candidates(folder: Path, key: str) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(folder.glob(f"*-{key}.plan"))


def _is_whole(path: Path, key: str) -> bool:
    try:
        sidecar: PlanSidecar = read_sidecar(path)
        if sidecar.key != key:
            return False
        read_plan(path, sidecar)
    except (EdgeError, OSError):
        return False  # built again, which replaces it
    return True
