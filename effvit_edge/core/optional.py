"""Optional libraries: imported where they are used, with the exact install line when absent."""

from __future__ import annotations

import importlib
from types import ModuleType

from effvit_edge.core.errors import EnvironmentFault

_NOTES = {
    "cv2": " On a machine without a display install opencv-python-headless instead of "
    "opencv-python; on a Jetson use the system's (apt install python3-opencv, and a venv made "
    "with --system-site-packages).",
    "tensorrt": " TensorRT itself comes with JetPack or from NVIDIA, never from this package; "
    "the venv must be made with --system-site-packages.",
}


def require(module: str, extra: str) -> ModuleType:
    """Import an optional library.

    Args:
        module: dotted name, for example ``"cv2"``.
        extra: the extra of this package that installs it, for example ``"video"``.

    Raises:
        EnvironmentFault: the library is absent, or present and failing to load.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name in _prefixes(module)
        install = f"in the checkout, {install_line(extra)}.{_NOTES.get(module, '')}"
        if absent:
            text = f"This needs {module}, which is not installed. Install it: {install}"
        else:
            text = f"{module} is installed but does not load: {error}. Mend it: {install}"
        raise EnvironmentFault(text) from error


def install_line(extra: str) -> str:
    """The command that installs this package with an extra, for the folder of the checkout."""
    return f"pip install -e '.[{extra}]'"


def _prefixes(module: str) -> list[str]:
    """``"a.b.c"`` -> ``["a", "a.b", "a.b.c"]``: the names whose absence means "not installed"."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
