"""What the checks look at, gathered once: files below a root, packages, and what imports."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from effvit_edge.core.device import DeviceRoot, Identity, identify
from effvit_edge.engine.plugin.find import look_for_plugin

_SECONDS = 60
_TELL_VERSION = "import {name} as m; print(getattr(m, '__version__', ''))"
_PROBES = {
    "cv2": "import cv2; print(cv2.__version__); print(cv2.getBuildInformation())",
    "tensorrt": _TELL_VERSION.format(name="tensorrt"),
    "onnxruntime": "import onnxruntime as m; print(m.__version__); "
    "print('\\n'.join(m.get_available_providers()))",
    "av": _TELL_VERSION.format(name="av"),
    "gi": "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; "
    "print(gi.__version__)",
    "cuda.bindings": "from cuda.bindings import driver; import cuda.bindings as m; "
    "print(m.__version__)",
    "pycuda": "import pycuda.driver; import pycuda as m; print(m.VERSION_TEXT)",
}
"""Each is imported in a process of its own: a library that does not fit the system can take the
process down with it."""


@dataclass(frozen=True)
class Module:
    """A library that was imported on trial."""

    version: str | None = None
    """None where it does not import."""
    output: str = ""
    """What its probe printed after the version."""
    error: str | None = None
    """The last line of what went wrong, where it is installed and does not import."""


@dataclass(frozen=True)
class Facts:
    """All that the checks know."""

    root: DeviceRoot
    identity: Identity
    python: tuple[int, int, int]
    system_packages: bool
    """Whether this Python sees the system's packages, among them JetPack's TensorRT."""
    packages: Mapping[str, str]
    """Versions of installed distributions, by lower-case name."""
    modules: Mapping[str, Module] = field(default_factory=dict)
    plugin: str = ""
    """What there is of the attention plugin."""
    plugin_built: bool = False
    free_bytes: int | None = None
    """On the disk of the current folder; None where that cannot be told."""

    def module(self, name: str) -> Module:
        """What its probe told; of one that was not tried, nothing."""
        return self.modules.get(name, Module())


def gather(root: DeviceRoot | None = None) -> Facts:
    """Look at this machine; takes a second or two.

    Args:
        root: where the device's files lie.
    """
    root = root or DeviceRoot()
    with ThreadPoolExecutor() as threads:
        tried = dict(zip(_PROBES, threads.map(_try_import, _PROBES), strict=True))
    plugin = look_for_plugin()
    return Facts(
        root=root,
        identity=identify(root, platform.machine()),
        python=sys.version_info[:3],
        system_packages=_sees_system_packages(),
        packages=_packages(),
        modules=tried,
        plugin=plugin.reason,
        plugin_built=plugin.available,
        free_bytes=_free_bytes(),
    )


def _try_import(name: str) -> Module:
    command = [sys.executable, "-c", _PROBES[name]]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Module(error=str(error))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        absent = f"No module named '{name.partition('.')[0]}'" in last
        return Module(error=None if absent else last)
    version, _, output = done.stdout.partition("\n")
    return Module(version=version.strip(), output=output)


def _free_bytes() -> int | None:
    try:
        return shutil.disk_usage(Path.cwd()).free
    except OSError:  # a shell may stand in a folder that was deleted
        return None


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a folder that a broken uninstall left has none
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def _sees_system_packages() -> bool:
    if sys.prefix == sys.base_prefix:
        return True
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text("utf-8").lower().splitlines()
    except OSError:
        return False
    return any(line.replace(" ", "") == "include-system-site-packages=true" for line in lines)
