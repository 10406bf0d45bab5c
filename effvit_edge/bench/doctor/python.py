"""Python, and what runs models."""

from __future__ import annotations

from effvit_edge.bench.doctor.facts import Facts
from effvit_edge.bench.doctor.rows import Row, fine, missing, warning
from effvit_edge.core.optional import install_line

_OLDEST, _NEWEST = (3, 10), (3, 13)
_NO_DEVICE = "Azure"
"""A provider that asks a server; it is in every build."""
_SHOWN = ("numpy", "click", "rich", "paho-mqtt", "torch")


def check_python(facts: Facts) -> Row:
    """The interpreter."""
    version = ".".join(str(part) for part in facts.python)
    if facts.python[:2] < _OLDEST:
        return missing("Python", f"{version}; 3.10 or later is needed", "sudo apt install python3")
    if facts.python[:2] > _NEWEST:
        return warning("Python", f"{version}, newer than is tested", "Use Python 3.10 to 3.13")
    if facts.identity.is_jetson and not facts.system_packages:
        return warning(
            "Python",
            f"{version}, without the system's packages (TensorRT, OpenCV)",
            "Make the environment anew: python3 -m venv --system-site-packages .venv",
        )
    return fine("Python", version)


def check_runtime(facts: Facts) -> Row:
    """ONNX Runtime, and on what it runs."""
    module = facts.module("onnxruntime")
    if module.version:
        names = [name.removesuffix("ExecutionProvider") for name in module.output.split()]
        providers = ", ".join(name for name in names if name != _NO_DEVICE)
        return fine("ONNX Runtime", f"{module.version} on {providers or 'the CPU'}")
    found = f"does not import: {module.error}" if module.error else "not installed"
    if facts.module("tensorrt").version:
        return fine("ONNX Runtime", f"{found}; TensorRT is there")
    return missing("ONNX Runtime", f"{found}, and no TensorRT", install_line("ort"))


def check_cuda_calls(facts: Facts) -> Row | None:
    """The Python bindings through which engines' memory is moved."""
    if not facts.module("tensorrt").version:
        return None
    for name in ("cuda.bindings", "pycuda"):
        if facts.module(name).version:
            return fine("CUDA calls", f"{name} {facts.module(name).version}")
    errors = [facts.module(name).error for name in ("cuda.bindings", "pycuda")]
    found = next((f"do not import: {error}" for error in errors if error), "no bindings")
    return warning("CUDA calls", f"{found}; engines do not run", install_line("tensorrt"))


def check_packages(facts: Facts) -> Row:
    """Versions worth knowing in a report of a fault."""
    found = [f"{name} {facts.packages[name]}" for name in _SHOWN if name in facts.packages]
    return fine("packages", ", ".join(found) or "none")
