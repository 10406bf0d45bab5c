"""What pictures come through: OpenCV, GStreamer, PyAV, cameras."""

from __future__ import annotations

import os
import re
from pathlib import Path

from effvit_edge.bench.doctor.facts import Facts
from effvit_edge.bench.doctor.rows import Row, fine, missing, warning
from effvit_edge.core.optional import install_line

_SYSTEM_OPENCV = (
    "pip uninstall opencv-python opencv-python-headless; sudo apt install python3-opencv"
)
_ARGUS = "tmp/argus_socket"


def check_opencv(facts: Facts) -> Row:
    """OpenCV, which every frame passes."""
    module = facts.module("cv2")
    if module.version:
        return fine("OpenCV", module.version)
    remedy = install_line("video")
    if facts.identity.is_jetson:
        remedy = "sudo apt install python3-opencv (and a venv made with --system-site-packages)"
    found = f"does not import: {module.error}" if module.error else "not installed"
    return missing("OpenCV", found, remedy)


def check_pyav(facts: Facts) -> Row:
    """PyAV, which reads and writes video files and streams."""
    module = facts.module("av")
    if module.version:
        return fine("PyAV", module.version)
    found = f"does not import: {module.error}" if module.error else "not installed"
    return missing("PyAV", found, install_line("video"))


def check_gstreamer(facts: Facts) -> Row | None:
    """GStreamer, by OpenCV or by its own bindings: what CSI cameras and hardware decoding take."""
    built_in = opencv_gstreamer(facts)
    if built_in:
        return fine("GStreamer", f"in OpenCV, {built_in}")
    if facts.module("gi").version:
        return fine("GStreamer", "through its own bindings (gi)")
    if facts.identity.is_jetson:
        return warning(
            "GStreamer",
            "OpenCV has none: no CSI cameras, no hardware decoding",
            f"{_SYSTEM_OPENCV}, or: sudo apt install python3-gi gir1.2-gst-plugins-base-1.0",
        )
    return fine("GStreamer", "none; files and streams go through PyAV")


def check_argus(facts: Facts) -> Row | None:
    """The camera service of a Jetson."""
    if not facts.identity.is_jetson:
        return None
    if facts.root.exists(_ARGUS):
        return fine("Argus", f"/{_ARGUS}")
    return warning(
        "Argus",
        f"no /{_ARGUS}: CSI cameras do not work",
        "sudo systemctl restart nvargus-daemon; in a container add "
        f"-v /{_ARGUS}:/{_ARGUS}, as docker/run.sh does",
    )


def check_cameras(facts: Facts) -> Row:
    """Cameras that the kernel knows, by name, and whether this user may use them."""
    devices = facts.root.find("dev/video*")
    if not devices:
        return fine("cameras", "none; files, streams and synthetic sources work")
    named = ", ".join(_camera(facts, device) for device in devices)
    closed = [device for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        name = facts.root.name_of(closed[0])
        return warning(
            "cameras",
            f"{named}; {name} may not be used",
            "sudo usermod -aG video $USER, then log in again",
        )
    return fine("cameras", named)


def opencv_gstreamer(facts: Facts) -> str | None:
    """The version of GStreamer in OpenCV's build; None where there is none."""
    found = re.search(r"GStreamer:\s+YES \(([^)]*)\)", facts.module("cv2").output)
    return found[1] if found else None


def _camera(facts: Facts, device: Path) -> str:
    name = facts.root.read(f"sys/class/video4linux/{device.name}/name")
    path = facts.root.name_of(device)
    return f"{path} ({name})" if name else path
