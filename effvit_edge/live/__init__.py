"""The live pipeline: frames to predictions to decisions and events, drawn and written down.

``predictions`` and ``watch`` label one source inside another program; ``label_lanes`` is the whole
job of the command line. ``Intake`` and ``Labeller`` are its core, free of files and threads.
"""

from effvit_edge.live.decision import Candidate, Decision, Event, Latency
from effvit_edge.live.events import EventRules, EventTracker
from effvit_edge.live.intake import Intake, Prepared
from effvit_edge.live.job import label_lanes, label_sources
from effvit_edge.live.labeller import Labeller
from effvit_edge.live.lanes import Lane, lane_of
from effvit_edge.live.outputs import Outputs
from effvit_edge.live.overlay import Overlay
from effvit_edge.live.predictions import Stopped, predictions, watch
from effvit_edge.live.report import RunReport, SourceReport
from effvit_edge.live.roi import Roi, parse_roi
from effvit_edge.live.smoothing import Smoothing, parse_smoothing
from effvit_edge.live.source_run import LabelOptions
from effvit_edge.live.status import SourceStatus
from effvit_edge.live.watch import Watcher

__all__ = [
    "Candidate",
    "Decision",
    "Event",
    "EventRules",
    "EventTracker",
    "Intake",
    "LabelOptions",
    "Labeller",
    "Lane",
    "Latency",
    "Outputs",
    "Overlay",
    "Prepared",
    "Roi",
    "RunReport",
    "Smoothing",
    "SourceReport",
    "SourceStatus",
    "Stopped",
    "Watcher",
    "label_lanes",
    "label_sources",
    "lane_of",
    "parse_roi",
    "parse_smoothing",
    "predictions",
    "watch",
]
