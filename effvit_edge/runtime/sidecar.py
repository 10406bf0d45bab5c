"""The sidecar of an engine: ``NAME.plan.json``, all that is known of ``NAME.plan``.

The plan stays a pure TensorRT plan, so that other tools read it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.card import ModelCard
from effvit_edge.core.errors import InputError
from effvit_edge.core.strict_json import (
    JSON,
    as_integer,
    as_number,
    as_object,
    as_text,
    check_keys,
    parse_object,
    shown,
)
from effvit_edge.runtime.device_memory import DeviceFacts
from effvit_edge.runtime.trt_library import FLAVOURS, Flavour

SCHEMA_VERSION = 1
_SEAL = "sha256_of_the_rest"


@dataclass(frozen=True)
class PlanSidecar:
    """What a plan answers, what it was built from, for and with."""

    card: ModelCard
    """Of the ONNX file; ``parent_sha256`` is that file's."""
    plan_sha256: str
    plan_bytes: int
    onnx_name: str
    """Without a folder; the file often lies beside the plan."""
    onnx_sha256: str
    flavour: Flavour
    tensorrt: str
    """Its full version."""
    device: DeviceFacts | None
    """None for TensorRT-RTX built without a device, whose engines fit several."""
    system: str
    """Operating system and processor, ``Linux aarch64`` for example."""
    options: Mapping[str, JSON]
    """Of the builder."""
    plugin: str | None
    """The hash of the attention plugin's sources; None for an engine without it."""
    key: str
    """Of all inputs of the build: the same key, the same engine."""
    power_mode: str | None
    """The board's mode while tactics were timed, by name; None where there are no modes."""
    built_at: str
    """UTC, ISO 8601."""
    build_seconds: float
    gate: Mapping[str, JSON] | None
    """The figures of the comparison with the parent; None where it could not be made."""
    effvit_edge: str
    """The version that built it."""

    def to_json(self) -> str:
        """The sidecar as JSON text with its own checksum; ``from_json`` gives an equal one back."""
        content: dict[str, JSON] = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        content["card"] = parse_object(self.card.to_json())
        content[_SEAL] = _seal(content)
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> PlanSidecar:
        """Read a sidecar, refusing anything but exactly what was written.

        Args:
            text: what ``to_json`` wrote.
            where: where the text is from, for the error message.

        Raises:
            InputError: not a sidecar, of another schema version, or changed by hand.
        """
        try:
            return _read(parse_object(text))
        except InputError as error:
            raise InputError(
                f"The sidecar {where} cannot be used: {str(error).rstrip('.')}. Build the engine "
                "again: effvit-edge export MODEL.onnx --format engine."
            ) from error


def sidecar_path(plan: Path) -> Path:
    """``NAME.plan.json``."""
    return plan.with_name(plan.name + ".json")


def read_sidecar(plan: Path) -> PlanSidecar:
    """The sidecar of a plan.

    Raises:
        InputError: it is absent or cannot be used.
    """
    path = sidecar_path(plan)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{plan} has no {path.name} beside it, so its labels and its device are unknown. Keep "
            "both files together, or build it again: effvit-edge export MODEL.onnx --format engine."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text: {error}.") from error
    return PlanSidecar.from_json(text, str(path))


def read_plan(path: Path, sidecar: PlanSidecar) -> bytes:
    """The bytes of a plan, held to what the sidecar says they are.

    Raises:
        InputError: it is another file, or not all of it.
    """
    plan = path.read_bytes()
    if len(plan) != sidecar.plan_bytes or hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
        raise InputError(
            f"{path} is not the engine that {sidecar_path(path).name} describes: it has "
            f"{len(plan)} bytes, or other ones, and {sidecar.plan_bytes} were written. Copy both "
            "files again, or build the engine again."
        )
    return plan


def _seal(content: Mapping[str, JSON]) -> str:
    rest = {key: value for key, value in content.items() if key != _SEAL}
    canonical = json.dumps(rest, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(found: Mapping[str, JSON]) -> PlanSidecar:
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"its schema version is {shown(version)}, and this package knows {SCHEMA_VERSION}"
        )
    names = [field.name for field in dataclasses.fields(PlanSidecar)]
    check_keys(found, ["schema_version", *names, _SEAL], "it")
    if found[_SEAL] != _seal(found):
        raise InputError("it was changed after it was written, and says what may not be so")
    device, gate = found["device"], found["gate"]
    return PlanSidecar(
        card=ModelCard.from_json(json.dumps(found["card"]), "the engine"),
        plan_sha256=as_text(found["plan_sha256"], "plan_sha256"),
        plan_bytes=as_integer(found["plan_bytes"], "plan_bytes"),
        onnx_name=as_text(found["onnx_name"], "onnx_name"),
        onnx_sha256=as_text(found["onnx_sha256"], "onnx_sha256"),
        flavour=_read_flavour(found["flavour"]),
        tensorrt=as_text(found["tensorrt"], "tensorrt"),
        device=None if device is None else _read_device(as_object(device, "device")),
        system=as_text(found["system"], "system"),
        options=as_object(found["options"], "options"),
        plugin=_text_or_none(found["plugin"], "plugin"),
        key=as_text(found["key"], "key"),
        power_mode=_text_or_none(found["power_mode"], "power_mode"),
        built_at=as_text(found["built_at"], "built_at"),
        build_seconds=as_number(found["build_seconds"], "build_seconds"),
        gate=None if gate is None else as_object(gate, "gate"),
        effvit_edge=as_text(found["effvit_edge"], "effvit_edge"),
    )


def _read_device(found: Mapping[str, JSON]) -> DeviceFacts:
    check_keys(found, [field.name for field in dataclasses.fields(DeviceFacts)], "'device'")
    return DeviceFacts(
        name=as_text(found["name"], "device.name"),
        compute_capability=as_text(found["compute_capability"], "device.compute_capability"),
        multiprocessors=as_integer(found["multiprocessors"], "device.multiprocessors"),
        cuda=as_text(found["cuda"], "device.cuda"),
    )


def _read_flavour(value: JSON) -> Flavour:
    for flavour in FLAVOURS:
        if value == flavour:
            return flavour
    raise InputError(f"'flavour' must be one of {', '.join(FLAVOURS)}, got {shown(value)}")


def _text_or_none(value: JSON, name: str) -> str | None:
    return None if value is None else as_text(value, name)
