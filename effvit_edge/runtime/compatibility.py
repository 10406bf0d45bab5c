"""Whether an engine fits this machine, told from its sidecar before TensorRT sees the plan."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import IncompatibleArtifact
from effvit_edge.runtime.device_memory import DeviceFacts
from effvit_edge.runtime.sidecar import PlanSidecar
from effvit_edge.runtime.trt_library import Flavour, product


@dataclass(frozen=True)
class Here:
    """What an engine must have been built for to run here."""

    flavour: Flavour
    tensorrt: str
    device: DeviceFacts
    system: str


def this_system() -> str:
    """Operating system and processor, ``Linux aarch64`` for example."""
    return f"{platform.system()} {platform.machine()}"


def check_compatible(path: Path, sidecar: PlanSidecar, here: Here) -> None:
    """Refuse an engine of another TensorRT, device or system, with what to do.

    CUDA's version and the board's power mode are recorded and not held against it: TensorRT does
    not either, though tactics were timed with them.

    Raises:
        IncompatibleArtifact: it does not fit.
    """
    built, present = [], []
    for was, now in _differences(sidecar, here):
        built.append(was)
        present.append(now)
    if not built:
        return
    onnx = path.with_name(sidecar.onnx_name)
    raise IncompatibleArtifact(
        f"{path} was built for {', '.join(built)}; this is {', '.join(present)}. Build it here, "
        f"from its ONNX file: effvit-edge export {onnx} --format engine -o {path}"
    )


def _differences(sidecar: PlanSidecar, here: Here) -> list[tuple[str, str]]:
    found = []
    was, now = (
        f"{product(flavour)} {version}"
        for flavour, version in ((sidecar.flavour, sidecar.tensorrt), (here.flavour, here.tensorrt))
    )
    if was != now:
        found.append((was, now))
    device = sidecar.device
    if device is not None and _identity(device) != _identity(here.device):
        found.append((str(device), str(here.device)))
    if sidecar.system != here.system:
        found.append((sidecar.system, here.system))
    return found


def _identity(device: DeviceFacts) -> tuple[str, str, int]:
    return device.name, device.compute_capability, device.multiprocessors
