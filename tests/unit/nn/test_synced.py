"""BatchNorm of two gloo processes against torch's own on the concatenated batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from effvit_edge import nn
from effvit_edge.nn.layers import BatchNorm
from effvit_edge.nn.synced import SyncedBatchNorm

SIZES = (2, 3)
"""Batches of the two processes: of different sizes, so that counts matter."""


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(sum(SIZES), 4, 3, 3, dtype=torch.float64, generator=generator)
    return x, torch.randn(x.shape, dtype=torch.float64, generator=generator)


def run(norm: torch.nn.Module, x: torch.Tensor, way_back: torch.Tensor) -> dict[str, torch.Tensor]:
    x = x.clone().requires_grad_()
    out = norm(x)
    (out * way_back).sum().backward()
    assert x.grad is not None
    gradients = {f"{name}.grad": p.grad for name, p in norm.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    return {"out": out.detach(), "x.grad": x.grad, **gradients, **dict(norm.named_buffers())}


def norm_of(kind: type[BatchNorm]) -> BatchNorm:
    norm = kind(4, eps=1e-3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 4))
        norm.bias.copy_(torch.linspace(-1, 1, 4))
    return norm


def one_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    x, way_back = (part.split(SIZES)[rank] for part in inputs())
    torch.save(run(norm_of(SyncedBatchNorm), x, way_back), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one_with_both_batches(tmp_path: Path) -> None:
    spawn(one_process, (str(tmp_path),), nprocs=2)
    expected = run(norm_of(BatchNorm), *inputs())
    got = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name in ("out", "x.grad"):
        both = torch.cat([part[name] for part in got])
        torch.testing.assert_close(both, expected[name], rtol=1e-12, atol=1e-12)
    for name in ("weight.grad", "bias.grad"):  # of each process's own batch, to be summed
        total = got[0][name] + got[1][name]
        torch.testing.assert_close(total, expected[name], rtol=1e-12, atol=1e-12)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in got:
            torch.testing.assert_close(part[name], expected[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_alone_it_is_batch_norm(training: bool) -> None:
    expected = run(norm_of(BatchNorm).train(training), *inputs())
    got = run(norm_of(SyncedBatchNorm).train(training), *inputs())
    assert all(torch.equal(got[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("device", "kind"), [("cpu", SyncedBatchNorm), ("cuda", torch.nn.SyncBatchNorm)]
)
def test_every_norm_of_a_network_is_replaced_with_its_weights(device: str, kind: type) -> None:
    model = nn.create_model("efficientvit3d_b0", num_classes=2, head_widths=(8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count = sum(isinstance(m, BatchNorm) for m in model.modules())
    nn.synchronise_norms(model, torch.device(device))
    assert sum(isinstance(m, kind) for m in model.modules()) == count
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
