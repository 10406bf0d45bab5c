"""The live pipeline: frames to predictions to decisions, drawn and written down.

``label_sources`` is the whole job of the command line; ``Labeller`` is its core, free of files.
"""

from effvit_edge.live.decision import Candidate, Decision, Latency
from effvit_edge.live.job import Outputs, RunReport, label_sources
from effvit_edge.live.labeller import Labeller
from effvit_edge.live.overlay import Overlay
from effvit_edge.live.run import SourceReport, label_source

__all__ = [
    "Candidate",
    "Decision",
    "Labeller",
    "Latency",
    "Outputs",
    "Overlay",
    "RunReport",
    "SourceReport",
    "label_source",
    "label_sources",
]
