"""Which of NVML's GPUs is CUDA's device 0: only CUDA heeds ``CUDA_VISIBLE_DEVICES``.

By the CUDA programming guide, "CUDA Environment Variables".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_VISIBLE, _ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
_SLICE = "CUDA runs on a slice of a GPU (MIG), and NVML tells the power of whole GPUs only"


def first_visible(nvml: Any, environment: Mapping[str, str]) -> Any:
    """NVML's handle of the GPU that CUDA shows this process first.

    Args:
        nvml: the library, initialised.
        environment: variables by name.

    Raises:
        OSError: CUDA shows none, or it cannot be told which one; it says why.
    """
    count = nvml.nvmlDeviceGetCount()
    gpus = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    if not gpus:
        raise OSError("NVML knows no GPU")
    wanted = environment.get(_VISIBLE, "0").partition(",")[0].strip()
    if wanted.startswith("MIG-"):
        raise OSError(_SLICE)
    if wanted.startswith("GPU-"):
        # A beginning is enough where only one GPU has it.
        gpus = [gpu for gpu in gpus if text(nvml.nvmlDeviceGetUUID(gpu)).startswith(wanted)]
        number = 0 if len(gpus) == 1 else -1
    else:
        gpus = _numbered(nvml, gpus, environment)
        number = int(wanted) if wanted.isdecimal() else -1
    if not 0 <= number < len(gpus):
        raise OSError(f"{_VISIBLE}={environment.get(_VISIBLE)} shows CUDA no GPU")
    if any(_is_sliced(nvml, gpu) for gpu in gpus):
        raise OSError(_SLICE)
    return gpus[number]


def text(value: str | bytes) -> str:
    """What older versions of the library tell as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _numbered(nvml: Any, gpus: Sequence[Any], environment: Mapping[str, str]) -> list[Any]:
    """In the order of CUDA's numbers."""
    models = {text(nvml.nvmlDeviceGetName(gpu)) for gpu in gpus}
    if len(models) > 1 and environment.get(_ORDER) != "PCI_BUS_ID":
        raise OSError(
            "CUDA numbers GPUs of different models by their speed, so that it is not known which "
            f"is used: set {_ORDER}=PCI_BUS_ID, or {_VISIBLE} to a UUID of nvidia-smi -L"
        )
    places = [nvml.nvmlDeviceGetPciInfo(gpu) for gpu in gpus]
    keys = [(place.domain, place.bus, place.device) for place in places]
    return [gpus[index] for index in sorted(range(len(gpus)), key=keys.__getitem__)]


def _is_sliced(nvml: Any, gpu: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(gpu)
    except (AttributeError, nvml.NVMLError):  # of an old library, and of most GPUs
        return False
    return bool(current)
