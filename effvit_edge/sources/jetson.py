"""Whether this machine is a Jetson, whose hardware decodes video through GStreamer."""

from __future__ import annotations

from effvit_edge.core.device import DeviceRoot, identify

_RELEASE = "etc/nv_tegra_release"


def is_jetson(root: DeviceRoot | None = None) -> bool:
    """Whether the device says that it is one, or the release file of an NVIDIA Jetson is there.

    A container may show that file without the device tree. That is not enough to call results a
    Jetson's, and enough to look for its decoders.

    Args:
        root: where the device's files lie; this machine's by default.
    """
    root = root or DeviceRoot()
    return identify(root).is_jetson or root.exists(_RELEASE)
