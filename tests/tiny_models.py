"""Small models made by hand, so that sessions are tested without training or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from effvit_edge.core.card import LabelGroup, Mode, ModelCard, Preprocess

LABELS = ("dark", "light", "reddish")
SIDE = 8
WINDOW = 4
_DECAY = 0.5


def tiny_card(mode: Mode, fps: float = 10.0, labels: Sequence[str] = LABELS) -> ModelCard:
    """The card of the models below."""
    return ModelCard(
        family="tiny",
        variant=f"tiny_{mode}",
        mode=mode,
        num_frames=WINDOW,
        fps=fps,
        preprocess=Preprocess(SIDE, SIDE, "squash", 1.0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        label_groups=(LabelGroup("motion", tuple(labels)),),
        network={},
        precision="fp32",
        parent_sha256=None,
        provenance={},
    )


def brightness_logits(rgb: np.ndarray) -> np.ndarray:
    """What both models compute from a mean colour ``(3,)`` in 0..1."""
    red, green, blue = rgb
    return np.array([0.5 - rgb.mean(), rgb.mean() - 0.5, red - (green + blue) / 2], np.float32) * 8


def write_model(path: Path, card: ModelCard, with_card: bool = True) -> Path:
    """A model that answers by colour: dark, light or reddish.

    A clip model looks at the mean of its frames; a stream model at a running mean, its state.
    """
    weights = np.zeros((3, len(card.labels)), np.float32)
    weights[:, :3] = np.array([[-8 / 3] * 3, [8 / 3] * 3, [8, -4, -4]]).T
    bias = np.full(len(card.labels), -100, np.float32)  # further labels are never given
    bias[:3] = 4, -4, 0
    constants = {
        "weights": weights,
        "bias": bias,
        "scale": np.float32(255),
        "decay": np.float32(_DECAY),
        "fresh": np.float32(1 - _DECAY),
    }
    pixels = [card.preprocess.height, card.preprocess.width, 3]
    image = pixels if card.mode == "stream" else [WINDOW, *pixels]
    name = "frame" if card.mode == "stream" else "frames"
    nodes = [
        helper.make_node("Cast", [name], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "scale"], ["unit"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.UINT8, image)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [len(card.labels)])]
    axes = list(range(len(image) - 1))
    constants["axes"] = np.array(axes, np.int64)
    nodes.append(helper.make_node("ReduceMean", ["unit", "axes"], ["mean"], keepdims=0))
    colour = "mean"
    if card.mode == "stream":
        inputs.append(helper.make_tensor_value_info("state_mean", TensorProto.FLOAT, [3]))
        outputs.append(helper.make_tensor_value_info("next_state_mean", TensorProto.FLOAT, [3]))
        nodes += [
            helper.make_node("Mul", ["state_mean", "decay"], ["kept"]),
            helper.make_node("Mul", ["mean", "fresh"], ["added"]),
            helper.make_node("Add", ["kept", "added"], ["next_state_mean"]),
        ]
        colour = "next_state_mean"
    nodes += [
        helper.make_node("MatMul", [colour, "weights"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["logits"]),
    ]
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if with_card:
        helper.set_model_props(model, {"effvit_edge.card": card.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
