"""The same steps by one process for each device, gradients exchanged."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import Any

import torch
from torch import multiprocessing

from benchmarks.variants.fixed_batch import Setting, train
from effvit_edge.train.distributed import join_group


def train_together(setting: Setting, processes: int) -> dict[str, Any]:
    """What one of the processes saw, with the clips of all of them.

    Args:
        setting: of each process; ``device`` is ``cuda`` or ``cpu``, without a number.
        processes: how many; on CUDA one for each device.
    """
    results = multiprocessing.get_context("spawn").SimpleQueue()
    multiprocessing.spawn(  # type: ignore[attr-defined,no-untyped-call]
        _one_process, args=(setting, processes, _free_port(), results), nprocs=processes
    )
    summary: dict[str, Any] = results.get()
    clips_a_second = round(summary["clips_a_second"] * processes, 2)
    return {**summary, "processes": processes, "clips_a_second": clips_a_second}


def _one_process(rank: int, setting: Setting, processes: int, port: int, results: Any) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    name = f"cuda:{rank}" if setting.device == "cuda" else setting.device
    with join_group(torch.device(name)) as group:
        summary = train(replace(setting, device=name), group).summary()
    if rank == 0:
        results.put(summary)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
