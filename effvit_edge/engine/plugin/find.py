"""Which attention kernels there are on this machine, built from the present sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effvit_edge.core.errors import EnvironmentFault
from effvit_edge.engine.plugin.build import (
    KERNELS,
    cubin_folder,
    default_folder,
    library_path,
    plugin_path,
    source_hash,
)
from effvit_edge.engine.plugin.driver import CubinKernels
from effvit_edge.engine.plugin.library import Kernels, SharedLibrary


@dataclass(frozen=True)
class PluginReport:
    """What was found, for messages and for an engine's sidecar.

    Attributes:
        plugin: the library that TensorRT loads itself, or None.
        library: of the kernels alone, for the Python plugin, or None.
        cubins: the folder of NVRTC's, for the Python plugin, or None.
        sources: the hash of the kernels' sources, which names an engine's plugin.
    """

    plugin: Path | None
    library: Path | None
    cubins: Path | None
    sources: str

    @property
    def available(self) -> bool:
        """Whether an engine with attention plugins can be built and run."""
        return bool(self.plugin or self.library or self.cubins)

    @property
    def reason(self) -> str:
        """One sentence: what is taken, or why there is nothing."""
        found = self.plugin or self.library or self.cubins
        if found is not None:
            return f"The attention plugin is {found}."
        return (
            "The attention plugin is not built, or from other sources than these; attention stays "
            "plain operators. Build it with make plugin."
        )


def look_for_plugin(folder: Path | None = None) -> PluginReport:
    """What ``make plugin`` left in ``folder`` (`default_folder`) for the present sources."""
    folder = folder or default_folder()
    plugin, library, cubins = plugin_path(folder), library_path(folder), cubin_folder(folder)
    return PluginReport(
        plugin=plugin if plugin.is_file() else None,
        library=library if library.is_file() else None,
        cubins=cubins if any(cubins.glob("*.cubin")) else None,
        sources=source_hash(KERNELS),
    )


def load_kernels(report: PluginReport) -> Kernels:
    """The kernels for the Python plugin: nvcc's library, or else the cubins.

    Raises:
        EnvironmentFault: there are none, or they do not load.
    """
    if report.library is not None:
        return SharedLibrary(report.library)
    if report.cubins is not None:
        return CubinKernels(report.cubins)
    raise EnvironmentFault(report.reason)
