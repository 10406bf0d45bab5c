"""Where a batch first stops being finite: a module's output, or a parameter's gradient."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from effvit_edge.core.files import atomic_path

FILE = "nonfinite.json"


@dataclass(frozen=True)
class Finding:
    """What one process found in its share of a batch."""

    rank: int
    module: str | None
    """The first module, in the order they ran, whose output is not finite."""
    gradient: str | None
    """The first parameter, from the loss backwards, whose gradient is not finite."""

    def sentence(self) -> str:
        """In words."""
        if self.module is not None:
            return f"the first output that is not finite is that of {self.module}"
        if self.gradient is not None:
            return f"outputs are finite, but the gradient of {self.gradient} is not"
        return "no single module's output or gradient is at fault"


def diagnose(network: nn.Module, run: Callable[[], object], rank: int = 0) -> Finding:
    """Run a step's passes again and watch every module and gradient.

    Args:
        network: what ``run`` goes through.
        run: forward and backward, with the step's own random numbers.
        rank: of this process.
    """
    found: dict[str, str] = {}
    with _watched(network, found):
        run()
    return Finding(rank, found.get("module"), found.get("gradient"))


def write_findings(
    folder: Path, step: int, clips: Sequence[str], findings: Sequence[Finding]
) -> None:
    """Write ``nonfinite.json`` into a run's folder.

    Args:
        folder: of the run.
        step: the step that was not finite, from 1.
        clips: names of the batch's clips.
        findings: of every process.
    """
    content: dict[str, Any] = {
        "step": step,
        "clips": list(clips),
        "processes": [asdict(finding) for finding in findings],
    }
    with atomic_path(folder / FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _watched(network: nn.Module, found: dict[str, str]) -> Iterator[None]:
    def watch_output(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and not output.isfinite().all():
                found.setdefault("module", name)

        return hook

    def watch_gradient(name: str) -> Callable[[Tensor], None]:
        def hook(parameter: Tensor) -> None:
            if parameter.grad is not None and not parameter.grad.isfinite().all():
                found.setdefault("gradient", name)

        return hook

    with ExitStack() as stack:
        for name, module in network.named_modules():
            handle = module.register_forward_hook(watch_output(name or "the network"))
            stack.callback(handle.remove)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                handle = parameter.register_post_accumulate_grad_hook(watch_gradient(name))
                stack.callback(handle.remove)
        yield
