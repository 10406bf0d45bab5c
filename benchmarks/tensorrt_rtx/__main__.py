"""``python -m benchmarks.tensorrt_rtx``: build everything, print a table, write it as JSON."""

from __future__ import annotations

import datetime
import json
import platform
import tempfile
from pathlib import Path

import click

from benchmarks.tensorrt_rtx.build import CASES, INPUT_SIZE, NUM_FRAMES, build_case
from effvit_edge import __version__
from effvit_edge.core.errors import EdgeError
from effvit_edge.core.files import atomic_path


@click.command()
@click.option("--only", multiple=True, help="Cases such as b1-stream-fp32; all by default.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The JSON to write.")
def main(only: tuple[str, ...], output: Path | None) -> None:
    """Export every variant and build its engine with TensorRT-RTX, one after the other."""
    rows: list[dict[str, object]] = []
    click.echo("| graph | nodes | ONNX, MB | engine, MB | build, s |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if only and str(case) not in only:
                continue
            try:
                row = build_case(case, Path(folder))
            except EdgeError as error:
                row = {"case": str(case), "failed": str(error)}
            rows.append(row)
            click.echo(_line(str(case), row))
    if output is not None:
        content = {
            "date": datetime.date.today().isoformat(),
            "effvit_edge": __version__,
            "machine": f"{platform.system()} {platform.machine()}, no GPU",
            "input": {"size": INPUT_SIZE, "frames": NUM_FRAMES, "weights": "random"},
            "rows": rows,
        }
        with atomic_path(output) as path:
            path.write_text(json.dumps(content, indent=2) + "\n")


def _line(name: str, row: dict[str, object]) -> str:
    if "failed" in row:
        return f"| {name} | {row['failed']} | | | |"
    sizes = [f"{int(str(row[key])) / 1e6:.1f}" for key in ("onnx_bytes", "plan_bytes")]
    return f"| {name} | {row['nodes']} | {' | '.join(sizes)} | {row['build_seconds']:.1f} |"


if __name__ == "__main__":
    main()
