"""What a step may take on a device that is not at hand, from its graph alone. An estimate."""

from effvit_edge.bench.estimate.devices import DEVICES, ERRORS, DeviceRates
from effvit_edge.bench.estimate.predict import Estimate, predict

__all__ = ["DEVICES", "ERRORS", "DeviceRates", "Estimate", "predict"]
