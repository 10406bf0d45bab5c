"""The operator as a TensorRT plugin in Python: ``IPluginV3`` as of TensorRT 10.3, without headers.

TensorRT calls back into Python for every attention of every run, some tens of microseconds each,
which the plugin in C++ (``cpp/``) saves. Name, version and fields are the same, so an engine built
with one runs with the other.

`tensorrt` is given by the caller as a module: importing this file needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from effvit_edge.core.errors import EnvironmentFault, InputError
from effvit_edge.engine.plugin import CLIP_OP, DOMAIN, STEP_OP, VERSION
from effvit_edge.engine.plugin.find import PluginReport, load_kernels
from effvit_edge.engine.plugin.library import Kernels
from effvit_edge.engine.plugin.shape import AttentionShape, Storage, clip_shape, step_shape


@dataclass(frozen=True)
class Fields:
    """The operator's attributes; the step form has ``eps`` only."""

    eps: float
    window: int = 0
    causal: bool = True
    batch: int = 1


_FIELD_NAMES = {CLIP_OP: ("eps", "window", "causal", "batch"), STEP_OP: ("eps",)}


_registered: list[Any] = []
"""What the registry of this process points to and does not own; it is never left."""


def register_plugins(tensorrt: Any, report: PluginReport) -> Any:
    """Make the operators known to TensorRT: the C++ plugin where there is one, else this one.

    TensorRT's registry belongs to the process and takes a name once, so a second call changes
    nothing.

    Args:
        tensorrt: the module.
        report: what was built, from `look_for_plugin`.

    Returns:
        The creator of the clip's operator; it need not be kept.

    Raises:
        EnvironmentFault: nothing is built, or TensorRT has no registry or refuses the library.
    """
    if not report.available:
        raise EnvironmentFault(report.reason)
    registry = tensorrt.get_plugin_registry()
    if registry is None:
        raise EnvironmentFault("TensorRT has no plugin registry here: its libraries do not load.")
    if _find(registry) is None:
        if report.plugin is None:
            register_python_plugins(tensorrt, registry, load_kernels(report))
        else:
            _registered.append(registry.load_library(str(report.plugin)))
    found = _find(registry)
    if found is None:
        raise EnvironmentFault(
            f"{report.reason} TensorRT does not take it. Build it anew on this device with make "
            f"plugin."
        )
    return found


def register_python_plugins(tensorrt: Any, registry: Any, kernels: Kernels) -> None:
    """Register creators of this module's plugins, for as long as the process lives."""
    for name in (CLIP_OP, STEP_OP):
        creator = make_creator(tensorrt, name, kernels)
        registry.register_creator(creator, DOMAIN)
        _registered.append(creator)


def _find(registry: Any) -> Any:
    return registry.get_creator(CLIP_OP, VERSION, DOMAIN)


def make_creator(tensorrt: Any, name: str, kernels: Kernels) -> Any:
    """An ``IPluginCreatorV3One`` of the operator ``name``."""
    creator = type("AttentionCreator", (_Creator, tensorrt.IPluginCreatorV3One), {})
    return creator(tensorrt, name, kernels)


def make_plugin(tensorrt: Any, name: str, fields: Fields, kernels: Kernels) -> Any:
    """An ``IPluginV3`` of the operator ``name``."""
    bases = (
        _ClipPlugin if name == CLIP_OP else _StepPlugin,
        tensorrt.IPluginV3,
        tensorrt.IPluginV3OneCore,
        tensorrt.IPluginV3OneBuild,
        tensorrt.IPluginV3OneRuntime,
    )
    return type("AttentionPlugin", bases, {})(tensorrt, fields, kernels)


def read_fields(name: str, collection: Iterable[Any]) -> Fields:
    """The fields of an operator from TensorRT's collection of them.

    Raises:
        InputError: one is missing.
    """
    given = {field.name: np.asarray(field.data).reshape(-1)[0] for field in collection}
    if "eps" not in given:
        raise InputError(f"A node {name} needs the attribute eps.")
    causal = bool(given.get("causal", 1))
    if name == CLIP_OP and causal and "window" not in given:
        raise InputError(f"A causal node {name} needs the attribute window.")
    return Fields(
        eps=float(given["eps"]),
        window=int(given.get("window", 0)),
        causal=causal,
        batch=int(given.get("batch", 1)),
    )


def write_fields(tensorrt: Any, name: str, fields: Fields | None) -> Any:
    """TensorRT's collection of an operator's fields; without values, their declaration."""
    types = tensorrt.PluginFieldType
    made = []
    for key in _FIELD_NAMES[name]:
        dtype, kind = (np.float32, types.FLOAT32) if key == "eps" else (np.int32, types.INT32)
        values = [] if fields is None else [getattr(fields, key)]
        made.append(tensorrt.PluginField(key, np.array(values, dtype), kind))
    return tensorrt.PluginFieldCollection(made)


class _Creator:
    """The methods of a creator; combined with TensorRT's base class in `make_creator`."""

    def __init__(self, tensorrt: Any, name: str, kernels: Kernels) -> None:
        tensorrt.IPluginCreatorV3One.__init__(self)
        self._tensorrt = tensorrt
        self._kernels = kernels
        self.name = name
        self.plugin_version = VERSION
        self.plugin_namespace = DOMAIN
        self._declared = write_fields(tensorrt, name, None)  # TensorRT keeps a bare pointer
        self.field_names = self._declared

    def create_plugin(self, name: str, fields: Iterable[Any], phase: Any) -> Any:
        """A plugin for the node ``name``, while parsing or from an engine."""
        read = read_fields(self.name, fields)
        return make_plugin(self._tensorrt, self.name, read, self._kernels)


class _Plugin:
    """The methods both forms have; combined with TensorRT's base classes in `make_plugin`."""

    operator: str
    output_count: int

    def __init__(self, tensorrt: Any, fields: Fields, kernels: Kernels) -> None:
        for base in ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime"):
            getattr(tensorrt, base).__init__(self)
        self._tensorrt = tensorrt
        self._fields = fields
        self._kernels = kernels
        self._serialized: Any = None
        self.plugin_name = self.operator
        self.plugin_version = VERSION
        self.plugin_namespace = DOMAIN
        self.num_outputs = self.output_count

    def get_capability_interface(self, capability: Any) -> Any:
        """The plugin is all three capabilities itself."""
        return self

    def clone(self) -> Any:
        """Another plugin of the same fields; the kernels are shared."""
        return make_plugin(self._tensorrt, self.operator, self._fields, self._kernels)

    def attach_to_context(self, resources: Any) -> Any:
        """Contexts share nothing that could change."""
        return self.clone()

    def get_fields_to_serialize(self) -> Any:
        """What an engine keeps of the node."""
        self._serialized = write_fields(self._tensorrt, self.operator, self._fields)
        return self._serialized

    def configure_plugin(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Nothing depends on the choice of formats."""

    def on_shape_change(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Refuse shapes that do not fit each other before they are run."""
        self._shape(inputs)

    def set_tactic(self, tactic: int) -> None:
        """There is one."""

    def supports_format_combination(
        self, position: int, tensors: Sequence[Any], num_inputs: int
    ) -> bool:
        """Row-major; each tensor of a type that goes with those before it."""
        described = [tensor.desc for tensor in tensors[: position + 1]]
        if described[position].format != self._tensorrt.TensorFormat.LINEAR:
            return False
        return self._supports_type(position, [one.type for one in described])

    def get_workspace_size(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
        """Room for the summaries of the largest shapes."""
        types = [tensor.desc.type for tensor in inputs]
        shape = self._shape_of([tuple(tensor.max) for tensor in inputs], types)
        return self._kernels.workspace_bytes(shape)

    def _shape(self, inputs: Sequence[Any]) -> AttentionShape:
        sizes = [tuple(tensor.dims) for tensor in inputs]
        return self._shape_of(sizes, [tensor.type for tensor in inputs])

    def _storage(self, data_type: Any) -> Storage:
        return "float16" if data_type == self._tensorrt.DataType.HALF else "float32"

    def _is_float(self, data_type: Any) -> bool:
        types = self._tensorrt.DataType
        return data_type in (types.FLOAT, types.HALF)

    def _answer_dims(self, qkv: Any, builder: Any) -> Any:
        """``(F, heads, 3d, N) -> (F, heads, d, N)``."""
        divide = self._tensorrt.DimensionOperation.FLOOR_DIV
        dims = self._tensorrt.DimsExprs(4)
        for axis in (0, 1, 3):
            dims[axis] = qkv[axis]
        dims[2] = builder.operation(divide, qkv[2], builder.constant(3))
        return dims

    def _supports_type(self, position: int, types: Sequence[Any]) -> bool:
        raise NotImplementedError

    def _shape_of(self, sizes: Sequence[Sequence[int]], types: Sequence[Any]) -> AttentionShape:
        raise NotImplementedError


class _ClipPlugin(_Plugin):
    operator = CLIP_OP
    output_count = 1

    def get_output_data_types(self, types: Sequence[Any]) -> list[Any]:
        """``out`` is of the type of ``qkv``."""
        return [types[0]]

    def get_output_shapes(
        self, inputs: Sequence[Any], shape_inputs: Sequence[Any], builder: Any
    ) -> list[Any]:
        """``out (F, heads, d, N)``."""
        return [self._answer_dims(inputs[0], builder)]

    def enqueue(
        self,
        input_descs: Sequence[Any],
        output_descs: Sequence[Any],
        inputs: Sequence[int],
        outputs: Sequence[int],
        workspace: int,
        stream: int,
    ) -> None:
        """Start the kernels on TensorRT's stream."""
        shape = self._shape(input_descs)
        self._kernels.clip(shape, qkv=inputs[0], out=outputs[0], workspace=workspace, stream=stream)

    def _supports_type(self, position: int, types: Sequence[Any]) -> bool:
        return self._is_float(types[0]) and types[position] == types[0]

    def _shape_of(self, sizes: Sequence[Sequence[int]], types: Sequence[Any]) -> AttentionShape:
        return clip_shape(
            sizes[0],
            eps=self._fields.eps,
            window=self._fields.window,
            causal=self._fields.causal,
            batch=self._fields.batch,
            storage=self._storage(types[0]),
        )


class _StepPlugin(_Plugin):
    operator = STEP_OP
    output_count = 2

    def get_output_data_types(self, types: Sequence[Any]) -> list[Any]:
        """``out`` is of the type of ``qkv``, ``next_ring`` of the type of ``ring``."""
        return [types[0], types[1]]

    def get_output_shapes(
        self, inputs: Sequence[Any], shape_inputs: Sequence[Any], builder: Any
    ) -> list[Any]:
        """``out (B, heads, d, N)`` and ``next_ring (B, M − 1, D)``."""
        return [self._answer_dims(inputs[0], builder), self._tensorrt.DimsExprs(inputs[1])]

    def enqueue(
        self,
        input_descs: Sequence[Any],
        output_descs: Sequence[Any],
        inputs: Sequence[int],
        outputs: Sequence[int],
        workspace: int,
        stream: int,
    ) -> None:
        """Start the kernels on TensorRT's stream."""
        shape = self._shape(input_descs)
        self._kernels.step(
            shape,
            qkv=inputs[0],
            ring=inputs[1],
            frames_seen=inputs[2],
            out=outputs[0],
            next_ring=outputs[1],
            workspace=workspace,
            stream=stream,
        )

    def _supports_type(self, position: int, types: Sequence[Any]) -> bool:
        # qkv, ring, frames_seen, out, next_ring
        if position == 0:
            return self._is_float(types[0])
        if position == 1:
            return types[1] in (types[0], self._tensorrt.DataType.FLOAT)
        return bool(types[position] == types[0 if position == 3 else 1])

    def _shape_of(self, sizes: Sequence[Sequence[int]], types: Sequence[Any]) -> AttentionShape:
        return step_shape(
            sizes[0],
            sizes[1],
            eps=self._fields.eps,
            storage=self._storage(types[0]),
            state_storage=self._storage(types[1]),
        )
