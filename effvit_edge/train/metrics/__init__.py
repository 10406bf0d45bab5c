"""What a set of scored sequences amounts to. numpy only."""

from effvit_edge.train.metrics.exclusive import ExclusiveTally
from effvit_edge.train.metrics.multilabel import MultiLabelTally
from effvit_edge.train.metrics.report import Report, describe
from effvit_edge.train.metrics.scores import Logits

__all__ = ["ExclusiveTally", "Logits", "MultiLabelTally", "Report", "describe"]
