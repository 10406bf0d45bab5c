"""Sensors of a device: power, clocks, temperatures, throttling, memory."""

from effvit_edge.bench.probes.base import Probe, Reading
from effvit_edge.bench.probes.find import find_probes
from effvit_edge.bench.probes.sampler import Sampler, Samples

__all__ = ["Probe", "Reading", "Sampler", "Samples", "find_probes"]
