"""The smallest recipes that still train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from effvit_edge.train.recipe import Recipe, parse_recipe

MODEL = {
    "preset": "efficientvit3d_b0",
    "num_frames": 2,
    "causal": True,
    "options": {"head_widths": [16, 16], "drop_path": 0.2},
}


def tiny_recipe(folder: Path, **sections: dict[str, Any]) -> Recipe:
    """Six steps of rendered motion at 32 pixels; ``sections`` change single keys."""
    tree: dict[str, Any] = {
        "model": dict(MODEL),
        "input": {"height": 32, "width": 32, "fps": 10, "frames": 6},
        "data": {"kind": "motion", "textures": 3, "eval_sequences": 2, "eval_frames": 4},
        "optim": {"lr": 1e-3, "batch_size": 2, "steps": 6, "warmup_steps": 2, "ema": 0.9},
        "speed": {"workers": 0, "device": "cpu"},
        "output": {"folder": str(folder), "checkpoint_every": 100, "log_every": 2},
    }
    if sections.get("data", {}).get("kind") == "videos":
        tree["data"] = {}
    for section, changes in sections.items():
        tree[section] = {**tree.get(section, {}), **changes}
    return parse_recipe(tree)
