"""``python -m effvit_edge.engine.plugin``: build the attention kernels on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from effvit_edge.core.errors import EdgeError
from effvit_edge.engine.plugin.build import ARCHITECTURES, build_all, default_folder


@click.command()
@click.option("--output", type=click.Path(path_type=Path), help="Folder [engines/plugin].")
@click.option(
    "--tensorrt-include",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of NvInfer.h, for the C++ plugin.",
)
@click.option(
    "--architecture",
    "architectures",
    type=int,
    multiple=True,
    default=ARCHITECTURES,
    show_default=True,
    help="Compute capability times ten; may be repeated.",
)
def main(
    output: Path | None, tensorrt_include: Path | None, architectures: tuple[int, ...]
) -> None:
    """Build the linear-attention kernels and the TensorRT plugin."""
    try:
        for line in build_all(output or default_folder(), tensorrt_include, architectures):
            click.echo(line)
    except EdgeError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
