"""``python -m benchmarks.plugin``: check and time the attention kernels on this device."""

from __future__ import annotations

import datetime
import json
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.plugin.calls import Case, KernelCall, cases, draw, torch_call, torch_clip
from benchmarks.plugin.timing import Call, as_graph, microseconds
from effvit_edge.core.files import atomic_path
from effvit_edge.engine.plugin.build import Built, build_host, build_nvcc
from effvit_edge.engine.plugin.driver import CubinKernels
from effvit_edge.engine.plugin.library import Kernels, SharedLibrary
from effvit_edge.engine.plugin.nvrtc import build_nvrtc
from effvit_edge.engine.plugin.shape import AttentionShape, Storage

RESULTS = Path(__file__).resolve().parents[1] / "results"
_WINDOW = 8
_LIMITS = {"float32": 1e-5, "float16": 1e-3}  # relative to the largest value


def _kernels(compiler: str, folder: Path) -> tuple[Kernels, str]:
    """The kernels for this device by one compiler, and its version."""
    if compiler == "host":
        return SharedLibrary(build_host(folder)), "c++"
    major, minor = torch.cuda.get_device_capability()
    build = build_nvcc if compiler == "nvcc" else build_nvrtc
    built: Built = build(folder, (10 * major + minor,))
    kernels = SharedLibrary(built.path) if compiler == "nvcc" else CubinKernels(built.path)
    return kernels, built.compiler


def _shape(case: Case, storage: Storage, *, step: bool) -> AttentionShape:
    return AttentionShape(
        batch=1,
        frames=1 if step else _WINDOW,
        heads=case.heads,
        head_dim=case.head_dim,
        tokens=case.tokens,
        window=_WINDOW,
        eps=1e-5,
        storage=storage,
        state_storage=storage,
    )


def _worst_error(kernels: Kernels, shape: AttentionShape, device: torch.device) -> float:
    """Of a clip, against torch in float64, relative to the largest value."""
    call = KernelCall(kernels, shape, draw(shape, device), step=False)
    call()
    difference = call.out.double() - torch_clip(shape, call.qkv.double())
    values = call.qkv[:, :, 2 * shape.head_dim :].double()
    return float(difference.abs().max() / values.abs().max())


def _row(
    kernels: Kernels, case: Case, storage: Storage, step: bool, rounds: int, device: torch.device
) -> dict[str, Any]:
    shape = _shape(case, storage, step=step)
    error = _worst_error(kernels, _shape(case, storage, step=False), device)
    if not error <= _LIMITS[storage]:
        raise click.ClickException(f"{case.name}, {storage}: the kernels are off by {error:.1e}")
    qkv = draw(shape, device)
    calls: dict[str, Call] = {
        "kernels": KernelCall(kernels, shape, qkv, step=step),
        "torch": torch_call(shape, qkv, step=step),
    }
    if device.type == "cuda":
        calls |= {f"{name}_graph": as_graph(call) for name, call in calls.items()}
    times = microseconds(calls, rounds=rounds, repeats=20, device=device)
    return {
        "layer": case.name,
        "form": "step" if step else "clip",
        "storage": storage,
        "worst_error": error,
        "microseconds": {name: round(value, 2) for name, value in times.items()},
    }


@click.command()
@click.option("--variant", "variants", multiple=True, default=("b0", "b1", "b2", "b3", "l1"))
@click.option("--size", default=224, show_default=True, help="Side of the input, pixels.")
@click.option("--rounds", type=click.IntRange(min=5), default=30, show_default=True)
@click.option(
    "--compiler",
    type=click.Choice(["nvcc", "nvrtc", "host"]),
    default="nvcc",
    show_default=True,
    help="host: on this processor, to try the code; its times mean nothing.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.")
def main(
    variants: tuple[str, ...], size: int, rounds: int, compiler: str, output: Path | None
) -> None:
    """Compare the attention kernels with torch's operators, layer by layer."""
    if compiler != "host" and not torch.cuda.is_available():
        raise click.ClickException("torch finds no CUDA device; --compiler host tries the code")
    device = torch.device("cpu" if compiler == "host" else "cuda")
    torch.zeros(1, device=device)  # makes the context that the driver's API expects
    with tempfile.TemporaryDirectory() as scratch:
        kernels, version = _kernels(compiler, Path(scratch))
        rows = []
        for case in cases(variants, size):
            for storage in ("float32", "float16"):
                for step in (True, False):
                    row = _row(kernels, case, storage, step, rounds, device)
                    rows.append(row)
                    _print(row)
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": _device(device),
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda, "compiler": version},
        "method": {"size": size, "window": _WINDOW, "rounds": rounds, "repeats": 20},
        "layers": rows,
    }
    if output is None and device.type == "cpu":
        return  # nothing was measured that is worth a file
    slug = re.sub(r"[^a-z0-9]+", "-", _device(device).lower()).strip("-")
    path = output or RESULTS / slug / f"{datetime.date.today()}-plugin.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def _print(row: dict[str, Any]) -> None:
    times = "  ".join(f"{name} {value:9.2f}" for name, value in row["microseconds"].items())
    print(
        f"{row['layer']:14}{row['form']:6}{row['storage']:9}{row['worst_error']:9.1e}  µs {times}"
    )


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()


if __name__ == "__main__":
    main()
