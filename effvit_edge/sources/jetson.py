"""Whether this machine is a Jetson, whose hardware decodes video through GStreamer."""

from __future__ import annotations

from pathlib import Path

_RELEASE = Path("etc/nv_tegra_release")
_MODEL = Path("proc/device-tree/model")


def is_jetson(root: Path = Path("/")) -> bool:
    """Whether the files of an NVIDIA Jetson are there.

    A container has the release file only where it is mounted, and the device tree always.

    Args:
        root: where the file system starts; tests give another.
    """
    if (root / _RELEASE).is_file():
        return True
    try:
        model = (root / _MODEL).read_bytes()
    except OSError:
        return False
    return b"NVIDIA" in model and (b"Jetson" in model or b"Orin" in model)
