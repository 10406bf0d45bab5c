"""Building the attention kernels: ``python -m effvit_edge.engine.plugin`` or ``make plugin``.

With nvcc a shared library for every architecture; where NvInfer.h is found too, a second one that
TensorRT loads as a plugin. Without nvcc, NVRTC makes one cubin an architecture, which the Python
plugin launches through the driver. Without either the attention stays plain operators.

Files are named by the hash of the sources they were made from, so a stale one is never taken for
a current one. Beside each lies ``NAME.json``: compiler, architectures, registers and spills.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.core.files import atomic_path
from effvit_edge.engine.plugin.resources import KernelResources, most_registers, read_report

ARCHITECTURES = (75, 80, 86, 87, 89, 90)
"""Compute capabilities times ten: Turing, Ampere (87: Orin), Ada, Hopper."""

_HERE = Path(__file__).resolve().parent
KERNELS = _HERE / "kernels"
CPP = _HERE / "cpp"
_TENSORRT_HEADER = "NvInfer.h"
_CUDA_NVCC = "/usr/local/cuda/bin/nvcc"  # CUDA's packages do not put it on the PATH
_COMPILER_SECONDS = 600
_REPORT = re.compile(r"ptxas info|\s+\d+ bytes stack frame")  # what is said when all is well


@dataclasses.dataclass(frozen=True)
class Built:
    """What a build made.

    Attributes:
        path: the library, or the folder of the cubins.
        compiler: with its version.
        architectures: ``sm_75`` and so on; empty for a host.
        kernels: of every architecture, as ptxas reported them.
    """

    path: Path
    compiler: str
    architectures: tuple[str, ...]
    kernels: tuple[KernelResources, ...]

    def check_spills(self) -> None:
        """Refuse a build whose kernels spill registers.

        Raises:
            EdgeError: one does.
        """
        spilling = [f"{k.kernel} on {k.device}" for k in self.kernels if k.spill_bytes]
        if spilling:
            raise EdgeError(
                f"{self.compiler} spills registers in {', '.join(spilling)}; such kernels are slow "
                f"and are not kept. Build with another version of the compiler."
            )


def default_folder() -> Path:
    """``engines/plugin`` in the current folder, or what ``EFFVIT_PLUGIN_FOLDER`` names."""
    return Path(os.environ.get("EFFVIT_PLUGIN_FOLDER", Path("engines") / "plugin"))


def source_hash(*folders: Path) -> str:
    """Twelve hexadecimal digits that change with the sources; of the kernels by default."""
    digest = hashlib.sha256()
    for folder in folders or (KERNELS,):
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def library_path(folder: Path) -> Path:
    """Where nvcc's library of the kernels lies, whether built or not."""
    return folder / f"libeffvit_attention-{source_hash()}.so"


def plugin_path(folder: Path) -> Path:
    """Where the library that TensorRT loads lies, whether built or not."""
    return folder / f"libeffvit_plugin-{source_hash(KERNELS, CPP)}.so"


def cubin_folder(folder: Path) -> Path:
    """Where NVRTC's cubins lie, ``sm_87.cubin`` and so on, whether built or not."""
    return folder / f"attention-{source_hash()}"


def build_host(folder: Path, compiler: str = "c++") -> Path:
    """Compile the kernels for this computer's processor, block by block and thread by thread.

    It computes what a device would, slowly: tests check the arithmetic with it.

    Raises:
        EnvironmentFault: there is no such compiler.
        EdgeError: it fails.
    """
    program = _find(compiler)
    path = folder / f"libeffvit_attention_host-{source_hash()}.so"
    if path.exists():
        return path
    options = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
    with atomic_path(path) as temporary:
        source = str(KERNELS / "api.cu")
        _compile(program, *options, "-fvisibility=hidden", "-x", "c++", source, "-o", temporary)
    return path


def build_nvcc(folder: Path, architectures: Sequence[int] = ARCHITECTURES) -> Built:
    """Compile the shared library of the kernels.

    Raises:
        EnvironmentFault: there is no nvcc.
        EdgeError: it fails, or kernels spill.
    """
    return _nvcc_library(library_path(folder), [KERNELS / "api.cu"], [], architectures)


def build_plugin(
    folder: Path, headers: Path | None = None, architectures: Sequence[int] = ARCHITECTURES
) -> Built:
    """Compile the library that TensorRT's registry loads: kernels and C++ plugin together.

    Args:
        folder: where it goes.
        headers: the folder of NvInfer.h; None looks where JetPack and the images have it.
        architectures: see `ARCHITECTURES`.

    Raises:
        EnvironmentFault: there is no nvcc, or no NvInfer.h.
        EdgeError: nvcc fails, or kernels spill.
    """
    headers = headers or find_tensorrt_headers()
    if headers is None:
        raise EnvironmentFault(
            f"The C++ plugin needs {_TENSORRT_HEADER}, which is in none of the usual folders. "
            f"Install libnvinfer-headers-dev, or name its folder with --tensorrt-include."
        )
    sources = [KERNELS / "api.cu", CPP / "plugin.cpp"]
    options = ["-isystem", str(headers), "-I", str(KERNELS)]
    return _nvcc_library(plugin_path(folder), sources, options, architectures)


def find_tensorrt_headers() -> Path | None:
    """The folder of NvInfer.h where Debian's packages and NVIDIA's archives put it."""
    root = os.environ.get("TENSORRT_ROOT")
    folders = [Path(root) / "include"] if root else []
    folders += [Path("/usr/include/aarch64-linux-gnu"), Path("/usr/include/x86_64-linux-gnu")]
    folders += [Path("/usr/include"), Path("/usr/local/tensorrt/include")]
    return next((folder for folder in folders if (folder / _TENSORRT_HEADER).is_file()), None)


def _nvcc_library(
    path: Path, sources: Sequence[Path], options: Sequence[str], architectures: Sequence[int]
) -> Built:
    nvcc = _find("nvcc")
    version = _nvcc_version(nvcc)
    codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    newest = max(architectures)
    # the driver compiles this for devices newer than the list
    codes.append(f"-gencode=arch=compute_{newest},code=compute_{newest}")
    with atomic_path(path) as temporary:
        common = ("-std=c++17", "-O3", "-shared", "-Xptxas=-v", "-Xcompiler=-fPIC,-Wall")
        hidden = "-Xcompiler=-fvisibility=hidden"
        files = [str(source) for source in sources]
        text = _compile(nvcc, *common, hidden, *options, *codes, *files, "-o", temporary)
        built = Built(path, version, tuple(f"sm_{a}" for a in architectures), read_report(text))
        built.check_spills()
    write_manifest(built)
    return built


def write_manifest(built: Built) -> None:
    """Write ``NAME.json`` beside what was built."""
    document = {
        "sources": built.path.stem.rpartition("-")[2],
        "compiler": built.compiler,
        "architectures": built.architectures,
        "kernels": [dataclasses.asdict(kernel) for kernel in built.kernels],
    }
    with atomic_path(built.path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None and program == "nvcc":
        found = shutil.which(_CUDA_NVCC)
    if found is None:
        raise EnvironmentFault(
            f"There is no {program} on the PATH. The compiler of CUDA comes with JetPack and the "
            f"CUDA toolkit (package cuda-nvcc), a C++ compiler with g++."
        )
    return found


def _nvcc_version(nvcc: str) -> str:
    found = re.search(r"release \S+, V(\S+)", _compile(nvcc, "--version"))
    return f"nvcc {found[1]}" if found else "nvcc"


def _compile(program: str, *arguments: str | Path) -> str:
    """What the compiler said on both of its outputs."""
    command = [program, *(str(argument) for argument in arguments)]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_COMPILER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EdgeError(f"{program} did not come to an end: {error}.") from error
    if done.returncode:
        said = "\n".join(line for line in done.stdout.splitlines() if not _REPORT.match(line))
        raise EdgeError(f"{program} failed with status {done.returncode}:\n{said}")
    return done.stdout


def build_all(folder: Path, headers: Path | None, architectures: Sequence[int]) -> list[str]:
    """Build what this machine can; a sentence for each thing that was made or could not be.

    Raises:
        EnvironmentFault: nothing could be made.
        EdgeError: a compiler fails.
    """
    from effvit_edge.engine.plugin.nvrtc import build_nvrtc

    try:
        said = [describe(build_nvcc(folder, architectures))]
    except EnvironmentFault as fault:
        return [str(fault), describe(build_nvrtc(folder, architectures))]
    try:
        said.append(describe(build_plugin(folder, headers, architectures)))
    except EnvironmentFault as fault:
        said.append(f"{fault} The Python plugin does without.")
    return said


def describe(built: Built) -> str:
    """One line: what, by which compiler, the most registers of each architecture."""
    registers = ", ".join(f"{d}: {n}" for d, n in most_registers(built.kernels).items())
    kernels = len({kernel.kernel for kernel in built.kernels})
    return f"{built.path} by {built.compiler}: {kernels} kernels, no spills; registers {registers}"
