"""Networks: layers, blocks, builders, presets; image weights and their inflation; streaming state."""

from effvit_edge.nn.efficientvit.model import EfficientViT, EfficientViT3d, State
from effvit_edge.nn.fuse import fuse_for_inference
from effvit_edge.nn.registry import create_model, list_models
from effvit_edge.nn.summary import PresetSummary, summarize

__all__ = [
    "EfficientViT",
    "EfficientViT3d",
    "PresetSummary",
    "State",
    "create_model",
    "fuse_for_inference",
    "list_models",
    "summarize",
]
