"""Building the kernels: with the compilers that are here, and with ones that misbehave."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from effvit_edge.core.errors import EdgeError, EnvironmentFault
from effvit_edge.engine.plugin import build, nvrtc
from effvit_edge.engine.plugin.__main__ import main
from effvit_edge.engine.plugin.find import load_kernels, look_for_plugin
from effvit_edge.engine.plugin.library import SharedLibrary
from effvit_edge.engine.plugin.resources import most_registers, read_report

KERNELS_OF_EACH = 14
REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'effvit_answer_f16_d32' for 'sm_87'
ptxas info    : Function properties for effvit_answer_f16_d32
    8 bytes stack frame, {spills} bytes spill stores, {spills} bytes spill loads
ptxas info    : Used 95 registers, used 1 barriers, 4240 bytes smem, 440 bytes cmem[0]
ptxas info    : Compiling entry function 'effvit_push_f16_f16_d16' for 'sm_90'
ptxas info    : Function properties for effvit_push_f16_f16_d16
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers
ptxas info    : Compile time = 52.031 ms
"""


def _needs_nvcc() -> None:
    if shutil.which("nvcc") is None and not Path(build._CUDA_NVCC).exists():
        pytest.skip("no nvcc")


def _needs_nvrtc() -> None:
    try:
        nvrtc.Nvrtc()
    except EnvironmentFault as fault:
        pytest.skip(str(fault))


def _fake_nvcc(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A compiler of which ``script`` knows the output's name as ``$out``."""
    program = folder / "bin" / "nvcc"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then\n'
        "  echo 'Cuda compilation tools, release 12.6, V12.6.85'\n"
        "  exit\n"
        "fi\n"
        "for out; do :; done\n" + script
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def _reporting(folder: Path, spills: int) -> str:
    report = folder / "report"
    report.write_text(REPORT.format(spills=spills))
    return f"cat '{report}'; echo lib > \"$out\"\n"


def _no_compilers(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(build, "_CUDA_NVCC", str(folder / "nvcc"))
    monkeypatch.setattr(nvrtc, "_SONAMES", ("libnvrtc-absent.so",))
    monkeypatch.setattr(nvrtc, "_CUDA_NVRTC", str(folder / "libnvrtc.so"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("**/*") if path.is_file())


@pytest.mark.parametrize(
    "architectures", [(87,), pytest.param(build.ARCHITECTURES, marks=pytest.mark.slow)]
)
def test_nvcc_compiles_every_kernel_without_spills(
    tmp_path: Path, architectures: tuple[int, ...]
) -> None:
    _needs_nvcc()
    built = build.build_nvcc(tmp_path, architectures)
    assert len(built.kernels) == KERNELS_OF_EACH * len(architectures)
    assert sum(kernel.spill_bytes + kernel.stack_bytes for kernel in built.kernels) == 0
    assert look_for_plugin(tmp_path).library == built.path
    assert isinstance(load_kernels(look_for_plugin(tmp_path)), SharedLibrary)


@pytest.mark.parametrize(
    "architectures", [(87,), pytest.param(build.ARCHITECTURES, marks=pytest.mark.slow)]
)
def test_nvrtc_compiles_every_kernel_without_spills(
    tmp_path: Path, architectures: tuple[int, ...]
) -> None:
    _needs_nvrtc()
    built = nvrtc.build_nvrtc(tmp_path, architectures)
    assert len(built.kernels) == KERNELS_OF_EACH * len(architectures)
    assert sum(kernel.spill_bytes + kernel.stack_bytes for kernel in built.kernels) == 0
    assert _files(built.path) == [f"sm_{a}.cubin" for a in architectures]
    for cubin in built.path.iterdir():
        assert cubin.read_bytes().startswith(b"\x7fELF")


def test_a_report_is_read_kernel_by_kernel() -> None:
    answer, push = read_report(REPORT.format(spills=12))
    assert (answer.kernel, answer.device) == ("effvit_answer_f16_d32", "sm_87")
    assert (answer.registers, answer.stack_bytes, answer.spill_bytes) == (95, 8, 24)
    assert (answer.shared_bytes, push.shared_bytes) == (4240, 0)
    assert most_registers((answer, push)) == {"sm_87": 95, "sm_90": 64}


def test_what_is_built_is_described_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_nvcc(tmp_path, monkeypatch, _reporting(tmp_path, spills=0))
    built = build.build_nvcc(tmp_path / "out", (87, 90))
    described = json.loads(built.path.with_suffix(".json").read_text())
    assert described["compiler"] == "nvcc 12.6.85"
    assert described["architectures"] == ["sm_87", "sm_90"]
    assert described["sources"] == build.source_hash()
    assert [kernel["registers"] for kernel in described["kernels"]] == [95, 64]


def test_kernels_that_spill_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_nvcc(tmp_path, monkeypatch, _reporting(tmp_path, spills=8))
    with pytest.raises(EdgeError, match="spills registers in effvit_answer_f16_d32 on sm_87"):
        build.build_nvcc(tmp_path / "out")
    assert _files(tmp_path / "out") == []


def test_a_compiler_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo half > \"$out\"; echo 'ptxas info    : x'; echo 'error: no' >&2; exit 2\n"
    _fake_nvcc(tmp_path, monkeypatch, script)
    with pytest.raises(EdgeError, match=r"status 2:\nerror: no$"):
        build.build_nvcc(tmp_path / "out")
    assert _files(tmp_path / "out") == []


def test_without_nvcc_and_nvrtc_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_compilers(monkeypatch, tmp_path)
    done = CliRunner().invoke(main, ["--output", str(tmp_path / "out")])
    assert done.exit_code == EnvironmentFault.exit_code
    assert "neither nvcc nor NVRTC" in done.output
    assert _files(tmp_path) == []


def test_without_headers_the_library_is_built_and_the_plugin_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_nvcc(tmp_path, monkeypatch, _reporting(tmp_path, spills=0))
    monkeypatch.setattr(build, "find_tensorrt_headers", lambda: None)
    done = CliRunner().invoke(main, ["--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    first, second = done.output.splitlines()
    assert "2 kernels, no spills; registers sm_87: 95, sm_90: 64" in first
    assert "needs NvInfer.h" in second
    assert "--tensorrt-include" in second


def test_headers_are_found_where_tensorrt_was_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "NvInfer.h").touch()
    monkeypatch.setenv("TENSORRT_ROOT", str(tmp_path))
    assert build.find_tensorrt_headers() == tmp_path / "include"


def test_nothing_built_is_said_with_what_to_do(tmp_path: Path) -> None:
    report = look_for_plugin(tmp_path)
    assert not report.available
    assert "make plugin" in report.reason
    with pytest.raises(EnvironmentFault, match="stays plain operators"):
        load_kernels(report)


def test_names_change_with_the_sources(tmp_path: Path) -> None:
    shutil.copytree(build.KERNELS, tmp_path / "kernels")
    assert build.source_hash(tmp_path / "kernels") == build.source_hash()
    with (tmp_path / "kernels" / "attention.h").open("a") as file:
        file.write("\n")
    assert build.source_hash(tmp_path / "kernels") != build.source_hash()


def test_a_file_that_is_no_library_is_told(tmp_path: Path) -> None:
    path = tmp_path / "libeffvit.so"
    path.write_bytes(b"text")
    with pytest.raises(EnvironmentFault, match="no library of attention kernels"):
        SharedLibrary(path)
