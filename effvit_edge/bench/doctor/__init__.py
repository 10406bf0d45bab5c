"""Is this machine fit to label, and what to do where it is not."""

from effvit_edge.bench.doctor.facts import Facts, Module, gather
from effvit_edge.bench.doctor.rows import Row, Status
from effvit_edge.bench.doctor.run import examine

__all__ = ["Facts", "Module", "Row", "Status", "examine", "gather"]
