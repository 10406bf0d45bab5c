"""Run in a process of its own: ``rtx_check ONNX HOST_LIBRARY``.

Parses a model with the plugins registered. TensorRT-RTX asks the creator for a plugin and then
ends the process, as it takes none; what the creator was given is printed before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorrt_rtx

from effvit_edge.engine.plugin import CLIP_OP, STEP_OP
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.python_plugin import _Creator, register_python_plugins


def main() -> None:
    registry = tensorrt_rtx.get_plugin_registry()
    assert not {creator.name for creator in registry.all_creators} & {CLIP_OP, STEP_OP}
    create = _Creator.create_plugin

    def tell(creator: _Creator, name: str, fields: Iterable[Any], phase: Any) -> Any:
        given = {field.name: field.data.tolist() for field in fields}
        sys.stdout.write(json.dumps({"operator": creator.name, "node": name, "fields": given}))
        sys.stdout.flush()
        return create(creator, name, fields, phase)

    _Creator.create_plugin = tell  # type: ignore[method-assign]
    register_python_plugins(tensorrt_rtx, registry, SharedLibrary(Path(sys.argv[2])))
    logger = tensorrt_rtx.Logger(tensorrt_rtx.Logger.ERROR)
    builder = tensorrt_rtx.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt_rtx.OnnxParser(network, logger)
    parser.parse(Path(sys.argv[1]).read_bytes())


if __name__ == "__main__":
    main()
