"""NVIDIA's driver and libraries, and the attention plugin."""

from __future__ import annotations

import json
import re

from effvit_edge.bench.doctor.facts import Facts
from effvit_edge.bench.doctor.rows import Row, fine, warning
from effvit_edge.core.device import DeviceRoot

_LIBRARY_FOLDERS = (
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu/nvidia",
    "usr/local/cuda/lib64",
    "usr/lib",
)
_OLDEST_TENSORRT = (10, 3)
_JETPACK = "sudo apt install nvidia-jetpack"


def check_driver(facts: Facts) -> Row | None:
    """The kernel's NVIDIA driver of a computer; on a Jetson it is part of L4T."""
    if facts.identity.is_jetson:
        return None
    text = facts.root.read("proc/driver/nvidia/version")
    if text is None:
        return fine("NVIDIA driver", "none: models run on the CPU")
    found = re.search(r"Kernel Module\D*(\d+[\d.]*)", text)
    return fine("NVIDIA driver", found[1] if found else "there, version not told")


def check_cuda(facts: Facts) -> Row | None:
    """The CUDA toolkit's version."""
    if not _has_gpu(facts):
        return None
    version = cuda_version(facts.root)
    if version:
        return fine("CUDA", version)
    if facts.identity.is_jetson:
        return warning("CUDA", "no toolkit in /usr/local/cuda", _JETPACK)
    return fine("CUDA", "no toolkit; the libraries of Python packages are used")


def check_cudnn(facts: Facts) -> Row | None:
    """cuDNN, which ONNX Runtime's CUDA provider needs and TensorRT does not."""
    if not _has_gpu(facts):
        return None
    version = library_version(facts.root, "libcudnn")
    packaged = facts.packages.get("nvidia-cudnn-cu12") or facts.packages.get("nvidia-cudnn-cu13")
    if version or packaged:
        return fine("cuDNN", version or f"{packaged}, a Python package")
    if "onnxruntime-gpu" not in facts.packages:
        return fine("cuDNN", "none, and nothing here needs it")
    remedy = _JETPACK if facts.identity.is_jetson else "pip install nvidia-cudnn-cu12"
    return warning("cuDNN", "none: ONNX Runtime cannot use CUDA", remedy)


def check_tensorrt(facts: Facts) -> Row | None:
    """TensorRT's library, and whether this Python can import it."""
    if not _has_gpu(facts):
        return None
    installed = library_version(facts.root, "libnvinfer")
    module = facts.module("tensorrt")
    if module.version:
        return _tensorrt_of(module.version)
    if module.error:
        return warning("TensorRT", f"does not import: {module.error}", _mend_tensorrt(facts))
    if installed:
        return warning(
            "TensorRT", f"{installed}, which this Python does not see", _mend_tensorrt(facts)
        )
    remedy = "sudo apt install tensorrt python3-libnvinfer"
    if not facts.identity.is_jetson:
        remedy = "pip install tensorrt"
    return warning("TensorRT", "none: models run in ONNX Runtime", remedy)


def check_plugin(facts: Facts) -> Row | None:
    """The attention plugin, which is an option."""
    if not _has_gpu(facts) or not facts.module("tensorrt").version:
        return None
    if facts.plugin_built:
        return fine("plugin", facts.plugin)
    return fine("plugin", "not built; attention runs as plain operators (make plugin builds it)")


def cuda_version(root: DeviceRoot) -> str | None:
    """``12.6.68`` of the toolkit in /usr/local/cuda."""
    text = root.read("usr/local/cuda/version.json")
    try:
        version = json.loads(text or "{}").get("cuda", {}).get("version")
    except (ValueError, AttributeError):
        return None
    return str(version) if version else None


def library_version(root: DeviceRoot, name: str) -> str | None:
    """The version in a library's file name, ``libnvinfer.so.10.3.0``; the longest there is."""
    versions = [
        path.name.partition(".so.")[2]
        for folder in _LIBRARY_FOLDERS
        for path in root.find(f"{folder}/{name}.so.*")
    ]
    return max(versions, key=lambda version: version.count("."), default=None)


def _has_gpu(facts: Facts) -> bool:
    return facts.identity.is_jetson or facts.root.exists("proc/driver/nvidia/version")


def _tensorrt_of(version: str) -> Row:
    parts = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if parts < _OLDEST_TENSORRT:
        return warning(
            "TensorRT", f"{version}; engines need 10.3 or later", "Flash JetPack 6.2 or 7.2"
        )
    return fine("TensorRT", version)


def _mend_tensorrt(facts: Facts) -> str:
    if facts.system_packages:
        return "sudo apt install --reinstall python3-libnvinfer"
    return "Make the environment anew: python3 -m venv --system-site-packages .venv"
