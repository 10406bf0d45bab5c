"""Compiling the kernels with NVRTC, CUDA's compiler as a library, where there is no nvcc.

It needs neither a GPU nor a driver, and no headers: the kernels include none of CUDA's.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.core.files import atomic_path
from effvit_edge.engine.plugin.build import (
    ARCHITECTURES,
    KERNELS,
    Built,
    cubin_folder,
    write_manifest,
)
from effvit_edge.engine.plugin.resources import KernelResources, read_report

_SOURCE = "kernels.cu"
_HEADERS = ("attention.h", "launch.h", "portable.h")
_SONAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so")
_BUILTINS = "libnvrtc-builtins.so.*"
_CUDA_NVRTC = "/usr/local/cuda/lib64/libnvrtc.so"


class Nvrtc:
    """The library, loaded.

    Raises:
        EnvironmentFault: there is none.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"NVRTC {major.value}.{minor.value}"

    def compile(self, architecture: int) -> tuple[bytes, str]:
        """The kernels for one architecture: the cubin, and what ptxas reports of them.

        Raises:
            EdgeError: they do not compile.
        """
        program = ctypes.c_void_p()
        headers = _strings((KERNELS / name).read_bytes() for name in _HEADERS)
        names = _strings(name.encode() for name in _HEADERS)
        source = (KERNELS / _SOURCE).read_bytes()
        self._call(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            source,
            _SOURCE.encode(),
            len(_HEADERS),
            headers,
            names,
        )
        try:
            options = _strings(
                (f"--gpu-architecture=sm_{architecture}".encode(), b"-std=c++17", b"-Xptxas=-v")
            )
            status = self._library.nvrtcCompileProgram(program, len(options), options)
            log = self._bytes("nvrtcGetProgramLog", "nvrtcGetProgramLogSize", program)
            text = log.rstrip(b"\0").decode(errors="replace")
            if status:
                raise EdgeError(f"{self.version} failed for sm_{architecture}:\n{text.strip()}")
            return self._bytes("nvrtcGetCUBIN", "nvrtcGetCUBINSize", program), text
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))

    def _bytes(self, getter: str, size_getter: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(size_getter, program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(getter, program, buffer)
        return buffer.raw

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            reason = self._library.nvrtcGetErrorString(status).decode()
            raise EdgeError(f"{name} failed: {reason}.")


def build_nvrtc(folder: Path, architectures: Sequence[int] = ARCHITECTURES) -> Built:
    """Compile one cubin an architecture into ``cubin_folder(folder)``.

    Raises:
        EnvironmentFault: there is no NVRTC.
        EdgeError: it fails, or kernels spill.
    """
    nvrtc = Nvrtc()
    path = cubin_folder(folder)
    kernels: list[KernelResources] = []
    cubins: dict[str, bytes] = {}
    for architecture in architectures:
        cubin, text = nvrtc.compile(architecture)
        kernels += read_report(text)
        cubins[f"sm_{architecture}"] = cubin
    built = Built(path, nvrtc.version, tuple(cubins), tuple(kernels))
    built.check_spills()
    for device, cubin in cubins.items():
        with atomic_path(path / f"{device}.cubin") as temporary:
            temporary.write_bytes(cubin)
    write_manifest(built)
    return built


def _load() -> Any:
    for name in (*_wheel_libraries(), *_SONAMES, _CUDA_NVRTC):
        try:
            for builtins in _builtins(Path(name)):
                ctypes.CDLL(str(builtins))  # which the wheel of CUDA 13 does not find by itself
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise EnvironmentFault(
        "There is neither nvcc nor NVRTC to compile the attention kernels with. JetPack and the "
        "CUDA toolkit have both; pip install nvidia-cuda-nvrtc-cu12 brings the second."
    )


def _wheel_libraries() -> Iterator[str]:
    """NVRTC of NVIDIA's wheels, newest first."""
    spec = importlib.util.find_spec("nvidia")
    for root in spec.submodule_search_locations or () if spec else ():
        found = (p for p in Path(root).glob("*/lib/libnvrtc.so.*") if _is_versioned(p.name))
        yield from sorted((str(path) for path in found), reverse=True)


def _builtins(library: Path) -> Sequence[Path]:
    """What lies beside a library that is named with its folder."""
    return sorted(library.parent.glob(_BUILTINS)) if library.is_absolute() else ()


def _is_versioned(name: str) -> bool:
    return re.fullmatch(r"libnvrtc\.so\.[\d.]+", name) is not None


def _strings(values: Iterator[bytes] | Sequence[bytes]) -> Any:
    listed = list(values)
    return (ctypes.c_char_p * len(listed))(*listed)
