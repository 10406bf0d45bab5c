"""Networks: layers, blocks, builders, presets; image weights, inflation; streaming state."""

from effvit_edge.nn.efficientvit.model import EfficientViT, EfficientViT3d, State
from effvit_edge.nn.fuse import fuse_for_inference
from effvit_edge.nn.registry import create_model, list_models
from effvit_edge.nn.start import start_from_scratch
from effvit_edge.nn.summary import PresetSummary, summarize
from effvit_edge.nn.synced import SyncedBatchNorm, synchronise_norms
from effvit_edge.nn.weights import LoadReport, load_image_weights, read_weights

__all__ = [
    "EfficientViT",
    "EfficientViT3d",
    "LoadReport",
    "PresetSummary",
    "State",
    "SyncedBatchNorm",
    "create_model",
    "fuse_for_inference",
    "list_models",
    "load_image_weights",
    "read_weights",
    "start_from_scratch",
    "summarize",
    "synchronise_norms",
]
