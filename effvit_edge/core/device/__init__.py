"""What this machine is, read from its files."""

from effvit_edge.core.device.identity import Identity, PowerModes, identify
from effvit_edge.core.device.root import DeviceRoot

__all__ = ["DeviceRoot", "Identity", "PowerModes", "identify"]
