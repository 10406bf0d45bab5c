"""Train, export and run causal video action recognition on the edge.

Importing this package loads nothing heavy; import the part you need, for example
``from effvit_edge import nn`` (torch) or ``from effvit_edge.runtime import open_session`` (none).
"""

__version__ = "0.1.0"
