"""From an ONNX file to an engine for this device: found, or built, checked and then named."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from effvit_edge import __version__
from effvit_edge.core.comparison import Comparison
from effvit_edge.core.device import identify
from effvit_edge.core.errors import InputError
from effvit_edge.core.files import atomic_pair, sha256_file
from effvit_edge.core.limits import Limits, engine_limits, with_limits
from effvit_edge.engine.cache import (
    engines_folder,
    find_built,
    is_built,
    place_for,
    plan_name,
    timings_path,
    user_folder,
)
from effvit_edge.engine.check import Checked, check_session
from effvit_edge.engine.open import open_engine
from effvit_edge.engine.options import EngineOptions
from effvit_edge.engine.process import Progress, Worker, no_progress, run_worker
from effvit_edge.engine.request import BuildRequest
from effvit_edge.engine.target import Machine, Target, look_at_machine, look_at_source
from effvit_edge.runtime.base import Session
from effvit_edge.runtime.kinds import PLAN_SUFFIXES
from effvit_edge.runtime.sidecar import PlanSidecar, read_sidecar, sidecar_path
from effvit_edge.runtime.verify import verify_path

OpenPlan = Callable[[Path, PlanSidecar], Session]


@dataclass(frozen=True)
class BuildReport:
    """An engine that is ready, and how it came to be."""

    path: Path
    sidecar: PlanSidecar
    built: bool
    """False for one that was found."""
    checked: Checked | None
    """Its answers, also of one that was found; None where they could not be compared."""
    limits: Limits
    notes: tuple[str, ...]
    """What is otherwise than asked for, in sentences."""

    @property
    def comparison(self) -> Comparison | None:
        """The answers against those in float32."""
        return None if self.checked is None else self.checked.comparison


def build_engine(
    onnx: Path,
    output: Path | None = None,
    options: EngineOptions | None = None,
    *,
    rebuild: bool = False,
    limits: Mapping[str, float | None] | None = None,
    progress: Progress = no_progress,
    look: Callable[[], Machine] | None = None,
    work: Worker = run_worker,
    open_plan: OpenPlan | None = None,
    judge: Callable[[Session], None] | None = None,
) -> BuildReport:
    """Find the engine of an ONNX file, or build it; all of it gets its name, or nothing.

    Args:
        onnx: written by the export command.
        output: ``NAME.plan``; by default a name of its own in the cache. In a folder that cannot
            be written the user's own is taken, and the report says so.
        options: of the builder.
        rebuild: build although there is one.
        limits: of the gate to change, by name; see ``engine_limits``. An engine that is
            found must keep them, too.
        progress: told how the build goes.
        look: tells the machine's TensorRT and device.
        work: builds.
        open_plan: opens what was built, for the gate.
        judge: shown the engine after the gate, also one that is found; what it raises keeps a new
            engine from its name.

    Raises:
        InputError: the file cannot become an engine, or the output's name is none.
        EnvironmentFault: TensorRT, a device or the plugin is missing.
        GateFailure: the engine answers otherwise than its parent.
        EdgeError: the build failed; the message says how.
    """
    options = options or EngineOptions()
    if output is not None:
        check_plan_name(output)
    source = look_at_source(onnx)
    machine = look() if look else look_at_machine(options.flavour)
    target = Target(source, machine, options)
    held = engine_limits(source.card, limits)
    path, note = place_for(output or engines_folder() / plan_name(target))
    notes = [note] if note else []
    reason = _why_unchecked(target)
    if reason:
        notes.append(f"The engine is not compared with its parent: {reason}.")
    if not rebuild and _provide(path, target):
        sidecar = read_sidecar(path)
        found = None if sidecar.gate is None else Checked.from_json(sidecar.gate)
        # what breaks the limits is built anew, and held to them
        if not found.faults(held, source.card) if found else reason:
            if judge:
                with (open_plan or _open)(path, sidecar) as session:
                    judge(session)
            return BuildReport(path, sidecar, False, found, held, tuple(notes))
    with atomic_pair(path, sidecar_path(path)) as (plan, sidecar_file):
        sidecar = _build(target, plan, progress, work)
        checked = None
        if not reason or judge:
            with (open_plan or _open)(plan, sidecar) as session:
                if not reason:
                    checked = check_session(session, verify_path(onnx), held, path.name)
                if judge:
                    judge(session)
        if checked:
            card = with_limits(sidecar.card, held)
            sidecar = dataclasses.replace(sidecar, card=card, gate=checked.to_json())
        sidecar_file.write_text(sidecar.to_json(), encoding="utf-8")
    return BuildReport(path, sidecar, True, checked, held, tuple(notes))


def find_engine(onnx: Path, options: EngineOptions | None = None) -> Path | None:
    """The engine of an ONNX file in the cache, if it was built here before.

    Raises:
        InputError: the file cannot become an engine.
        EnvironmentFault: TensorRT or a device is missing.
    """
    options = options or EngineOptions()
    target = Target(look_at_source(onnx), look_at_machine(options.flavour), options)
    return find_built(target, [engines_folder(), user_folder()])


def check_plan_name(output: Path) -> None:
    """Find out whether an engine may have this name, before anything costly.

    Raises:
        InputError: it may not.
    """
    if output.is_dir():
        raise InputError(f"The output {output} is a folder; give the name of a file.")
    if output.suffix not in PLAN_SUFFIXES:
        raise InputError(f"An engine must be named like model.plan, got {output}.")


def _provide(path: Path, target: Target) -> bool:
    """See to it that an engine of the same inputs lies at the path, if there is one anywhere."""
    if is_built(path, target):
        return True
    found = find_built(target, [path.parent, engines_folder(), user_folder()])
    if found is None:
        return False
    with atomic_pair(path, sidecar_path(path)) as (plan, sidecar):
        shutil.copyfile(found, plan)
        shutil.copyfile(sidecar_path(found), sidecar)
    return True


def _build(target: Target, plan: Path, progress: Progress, work: Worker) -> PlanSidecar:
    timings = timings_path(target)
    request = BuildRequest(
        onnx=str(target.source.path),
        plan=str(plan),
        options=target.options,
        timings=None if timings is None else str(timings),
        plugin=target.source.plugin is not None,
    )
    started = time.monotonic()
    work(request, target.machine.builder, progress)
    seconds = time.monotonic() - started
    return _describe(target, plan, seconds)


def _describe(target: Target, plan: Path, seconds: float) -> PlanSidecar:
    source, machine = target.source, target.machine
    card = dataclasses.replace(source.card, parent_sha256=source.sha256)
    power = identify().power
    return PlanSidecar(
        card=card,
        plan_sha256=sha256_file(plan),
        plan_bytes=plan.stat().st_size,
        onnx_name=source.path.name,
        onnx_sha256=source.sha256,
        flavour=machine.flavour,
        tensorrt=machine.tensorrt,
        device=machine.device,
        system=machine.system,
        options=dataclasses.asdict(target.options),
        plugin=source.plugin,
        key=target.key,
        power_mode=None if power is None else power.name,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_seconds=round(seconds, 3),
        gate=None,
        effvit_edge=__version__,
    )


def _why_unchecked(target: Target) -> str:
    """Why an engine cannot be held to its parent here; empty where it can."""
    if target.machine.device is None:
        return "there is no device to run it on"
    verify = verify_path(target.source.path)
    if not verify.is_file():
        return f"{verify} is missing, which the export writes beside the ONNX file"
    if target.source.batched:
        return "it takes several streams at once, and a session takes one"
    return ""


def _open(plan: Path, sidecar: PlanSidecar) -> Session:
    return open_engine(plan, sidecar=sidecar)
