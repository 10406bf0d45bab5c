"""``python -m benchmarks.demo_model --model models/demo.onnx --data DATA``."""

from __future__ import annotations

import datetime
import json
import platform
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.demo_model.footage import (
    EXCLUDED,
    FOLDERS,
    SPEEDS,
    Picture,
    load_pictures,
    sampled_window,
)
from effvit_edge.core.card import LabelGroup
from effvit_edge.core.files import atomic_path, sha256_file
from effvit_edge.core.motion import LABELS
from effvit_edge.runtime import Session, open_session
from effvit_edge.train.metrics import Report
from effvit_edge.train.plots import draw_confusion

CLIP_SECONDS = 1.6  # 48 frames
NAMED_ERRORS = 20
STEADY_SECONDS = 30.0


def answers(session: Session, frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The class answered at each frame of one sequence, from a fresh state."""
    state = session.init_state()
    found = []
    for frame in frames:
        logits, state = session.step(frame, state)
        found.append(int(logits.argmax()))
    return np.array(found)


def score_clips(session: Session, pictures: list[Picture], speed: float) -> Report:
    """The answer after 48 frames of every motion over every picture."""
    report = Report((LabelGroup("motion", tuple(LABELS)),))
    size, fps = session.card.preprocess.height, session.card.fps
    for picture in pictures:
        for truth, label in enumerate(LABELS):
            frames = sampled_window(picture, label, speed, CLIP_SECONDS, size, fps)
            one_hot = np.zeros((1, len(LABELS)), np.float32)
            one_hot[0, answers(session, frames)[-1]] = 1.0
            report.add(f"{picture.name} {label}", one_hot, np.array([[truth]]), per_frame=False)
    return report


def score_steady(session: Session, pictures: list[Picture], speed: float) -> dict[str, float]:
    """Thirty seconds of every motion: shares of right answers after the first 48 frames."""
    size, fps = session.card.preprocess.height, session.card.fps
    settled = round(CLIP_SECONDS * fps)
    right, last, worst = [], [], 1.0
    for picture in pictures:
        for truth, label in enumerate(LABELS):
            frames = sampled_window(picture, label, speed, STEADY_SECONDS, size, fps)
            hits = answers(session, frames)[settled:] == truth
            right.append(hits.mean())
            last.append(hits[-round(fps) :].mean() > 0.5)
            worst = min(worst, float(hits.mean()))
    return {
        "sequences": len(right),
        "frames_right": round(float(np.mean(right)), 4),
        "right_in_last_second": round(float(np.mean(last)), 4),
        "worst_sequence": round(worst, 4),
    }


@click.command()
@click.option("--model", default="models/demo.onnx", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--data",
    envvar="EFFVIT_TEST_DATA",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The folder that holds the folders of videos.",
)
@click.option("--every", default=1, help="Use every n-th video.")
@click.option("--steady-every", default=8, help="Use every n-th picture for the 30 s runs.")
@click.option("--output", default="benchmarks/results/demo-model", type=click.Path(path_type=Path))
@click.option("--name", default=None, help="Of the result files; the model's name else.")
def main(
    model: Path, data: Path, every: int, steady_every: int, output: Path, name: str | None
) -> None:
    """Judge a motion model on windows moved, zoomed and turned over real frames."""
    name = name or model.stem
    output.mkdir(parents=True, exist_ok=True)
    pictures = list(load_pictures(data, every=every))
    if not pictures:
        raise click.UsageError(f"{data} has no videos in {', '.join(FOLDERS)}.")
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "model_sha256": sha256_file(model),
        "pictures": len(pictures),
        "excluded": EXCLUDED,
    }
    with open_session(str(model), provider="cpu") as session:
        for speed in SPEEDS:
            report = score_clips(session, pictures, speed)
            key = f"speed_{speed:g}"
            result[key] = report.to_dict()
            result[key]["errors"] = result[key]["errors"][:NAMED_ERRORS]
            title = f"real footage, {speed:.1%} a frame"
            draw_confusion(report.exclusive["motion"], output / f"{name}-{key}.png", title)
            click.echo(f"{speed:.1%} a frame: {report.sentence()}")
            if steady_every:
                result[f"{key}_steady"] = score_steady(session, pictures[::steady_every], speed)
                click.echo(f"  30 s: {result[f'{key}_steady']}")
    with atomic_path(output / f"{name}.json") as path:
        path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
