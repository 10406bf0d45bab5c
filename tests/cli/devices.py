"""A device that is not there, for commands that build engines: all but TensorRT and CUDA is real.

The build runs in its own process, with the stand-in for TensorRT, whose plan is the ONNX file's
own bytes; sessions answer with ONNX Runtime over the fakes.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from effvit_edge.engine import build, target
from effvit_edge.engine.target import Machine
from effvit_edge.export.attention_body import with_bodies
from effvit_edge.runtime import Session
from effvit_edge.runtime.compatibility import this_system
from effvit_edge.runtime.sidecar import PlanSidecar, read_sidecar
from effvit_edge.runtime.trt import open_plan
from effvit_edge.runtime.trt_fake import ORIN_NANO, FakeLibrary, FakeMemory
from effvit_edge.runtime.tuning import DEFAULT, Tuning
from tests.engines import fake_library
from tests.unit.engine.standing_in import FOLDER

ORIN = Machine("tensorrt", "10.3.0", ORIN_NANO, this_system())


class Device:
    """What commands find, and what its engines answer.

    Attributes:
        factor: the logits are multiplied with it.
    """

    def __init__(self, scratch: Path) -> None:
        self.factor = 1.0
        self._scratch = scratch

    def open(
        self,
        plan: Path,
        *,
        sidecar: PlanSidecar | None = None,
        device: int = 0,
        tuning: Tuning = DEFAULT,
    ) -> Session:
        """Instead of ``open_engine``; it is every device."""
        graph = onnx.load_from_string(plan.read_bytes()[len(b"ftrt") :])
        onnx.save(with_bodies(graph), self._scratch)  # ONNX Runtime has no plugin
        memory = FakeMemory()
        library = self._spoiled(fake_library(self._scratch, memory))
        found = sidecar or read_sidecar(plan)
        return open_plan(plan, sidecar=found, library=library, memory=memory, tuning=tuning)

    def _spoiled(self, library: FakeLibrary) -> FakeLibrary:
        compute = library._compute
        library._compute = lambda feeds: {
            name: self.factor * values if name == "logits" else values
            for name, values in compute(feeds).items()
        }
        return library


def pretend_device(patch: pytest.MonkeyPatch, folder: Path) -> Device:
    """Make commands of this process find an Orin Nano with TensorRT 10.3.

    Args:
        patch: of the test.
        folder: for engines, caches and scratch files.
    """
    folder.mkdir(exist_ok=True)
    device = Device(folder / "engine.onnx")
    patch.setenv("EFFVIT_ENGINES", str(folder / "engines"))
    patch.setenv("XDG_CACHE_HOME", str(folder / "user"))
    patch.setenv("PYTHONPATH", str(FOLDER))
    patch.delenv("STAND_IN", raising=False)
    patch.setattr(target, "look_at_machine", lambda flavour: ORIN)
    patch.setattr(build, "look_at_machine", lambda flavour: ORIN)
    patch.setattr(build, "open_engine", device.open)
    return device
