"""The names that a version of TensorRT's bindings has, of the classes this project uses.

``python -m tests.unit.engine.surface MODULE`` prints them as JSON for a module that imports here;
run with TensorRT's libraries, or with stand-ins for those, on the LD_LIBRARY_PATH.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

CLASSES = (
    "Builder",
    "BuilderFlag",
    "DataType",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "ILogger",
    "INetworkDefinition",
    "IProfiler",
    "IProgressMonitor",
    "ITimingCache",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
)


def read_surface(module: Any) -> dict[str, list[str]]:
    """Public names by class; those of the module itself under an empty name."""
    surface = {"": sorted(name for name in (*CLASSES, "nptype") if hasattr(module, name))}
    for name in CLASSES:
        kind = getattr(module, name, None)
        surface[name] = sorted(n for n in dir(kind) if not n.startswith("_")) if kind else []
    return surface


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    content = {"version": module.__version__, "names": read_surface(module)}
    sys.stdout.write(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
