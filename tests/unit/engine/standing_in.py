"""The stand-in for TensorRT as a module, and for processes that import it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent / "stand_in"
"""To be put on a process's PYTHONPATH."""


def load_stand_in() -> ModuleType:
    """A new one, that has recorded nothing yet."""
    source = FOLDER / "tensorrt" / "__init__.py"
    spec = importlib.util.spec_from_file_location("tensorrt_stand_in", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
