from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from effvit_edge.bench.doctor import Facts, Module, Row, examine, gather
from effvit_edge.core.device import identify
from tests.device_trees import (
    COMPUTER,
    COMPUTER_WITH_GPU,
    JETPACK_5,
    JETPACK_62,
    JETPACK_72,
    LIBRARIES,
    meminfo,
    release,
    tree,
)

WITH_GSTREAMER = "Video I/O:\n    GStreamer:                   YES (1.20.3)\n"
WITHOUT = "Video I/O:\n    GStreamer:                   NO\n"
BOARD_MODULES = {
    "cv2": Module("4.8.0", WITH_GSTREAMER),
    "tensorrt": Module("10.3.0"),
    "onnxruntime": Module("1.23.2", "CPUExecutionProvider\n"),
    "av": Module("17.1.0"),
    "cuda.bindings": Module("12.9.4"),
}
BOARD_PACKAGES = {"numpy": "1.26.4", "click": "8.3.0", "cuda-bindings": "12.9.4"}


def facts(
    folder: Path, files: Mapping[str, str], machine: str = "aarch64", **changes: Any
) -> Facts:
    """A machine on which everything is as it should be, but for the changes."""
    root = tree(folder, files)
    healthy = Facts(
        root=root,
        identity=identify(root, machine),
        python=(3, 10, 12),
        system_packages=True,
        packages=BOARD_PACKAGES,
        modules=BOARD_MODULES,
        plugin="The attention plugin is engines/plugin/lib.so.",
        plugin_built=True,
        free_bytes=20 * 2**30,
    )
    return dataclasses.replace(healthy, **changes)


def without(*names: str, **errors: str) -> dict[str, Module]:
    """The board's modules but for some; those with an error are there and broken."""
    kept = {name: module for name, module in BOARD_MODULES.items() if name not in names}
    return {**kept, **{name: Module(error=error) for name, error in errors.items()}}


def rows(known: Facts) -> dict[str, Row]:
    found = examine(known)
    assert all((row.remedy is None) == (row.status == "fine") for row in found)
    return {row.topic: row for row in found}


@pytest.mark.parametrize("files", [JETPACK_62, JETPACK_72], ids=["JetPack 6.2", "JetPack 7.2"])
def test_a_board_as_it_should_be_is_fine(files: dict[str, str], tmp_path: Path) -> None:
    found = rows(facts(tmp_path, files))
    assert {row.status for row in found.values()} == {"fine"}
    assert "imx219" in found["cameras"].found
    assert found["power mode"].found == "MAXN_SUPER"
    assert "1.20.3" in found["GStreamer"].found


def test_jetpack_5_is_too_old(tmp_path: Path) -> None:
    found = rows(facts(tmp_path, JETPACK_5, python=(3, 8, 10)))
    assert found["L4T"].status == found["Python"].status == "missing"
    assert "5.1.4" in found["L4T"].found and "docs/jetson.md" in str(found["L4T"].remedy)


@pytest.mark.parametrize("number", [37, 41])
def test_an_unknown_release_warns(number: int, tmp_path: Path) -> None:
    files = {**JETPACK_62, "etc/nv_tegra_release": release(number, "1.0")}
    assert rows(facts(tmp_path, files))["L4T"].status == "warning"


def test_a_release_before_tensorrt_10_3_warns(tmp_path: Path) -> None:
    files = {**JETPACK_62, "etc/nv_tegra_release": release(36, "3.0")}
    assert "10.3" in rows(facts(tmp_path, files))["L4T"].found


def test_a_slow_power_mode_names_the_command_of_this_board(tmp_path: Path) -> None:
    files = {**JETPACK_62, "var/lib/nvpmodel/status": "pmode:0001"}
    row = rows(facts(tmp_path, files))["power mode"]
    assert (row.status, row.found) == ("warning", "25W; the fastest is MAXN_SUPER")
    assert str(row.remedy).startswith("sudo nvpmodel -m 2")


def test_little_memory_without_swap_warns(tmp_path: Path) -> None:
    files = {**JETPACK_62, "proc/meminfo": meminfo(7.4, 0)}
    row = rows(facts(tmp_path, files))["memory"]
    assert row.status == "warning" and "swapon" in str(row.remedy)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    found = [rows(facts(tmp_path, JETPACK_62, free_bytes=n * 2**29))["disk"] for n in (1, 4, 40)]
    assert [row.status for row in found] == ["missing", "warning", "fine"]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    row = rows(facts(tmp_path, JETPACK_62, free_bytes=None))["disk"]
    assert row.status == "missing" and "deleted" in row.found and "cd" in str(row.remedy)


@pytest.mark.parametrize(
    ("system_packages", "remedy"), [(False, "--system-site-packages"), (True, "--reinstall")]
)
def test_tensorrt_that_python_does_not_see(
    system_packages: bool, remedy: str, tmp_path: Path
) -> None:
    known = facts(
        tmp_path, JETPACK_62, modules=without("tensorrt"), system_packages=system_packages
    )
    row = rows(known)["TensorRT"]
    assert row.status == "warning" and "10.3.0" in row.found and remedy in str(row.remedy)


def test_tensorrt_that_does_not_load_says_why(tmp_path: Path) -> None:
    broken = without(tensorrt="ImportError: libnvinfer.so.10: cannot open shared object file")
    row = rows(facts(tmp_path, JETPACK_62, modules=broken))["TensorRT"]
    assert row.status == "warning" and "libnvinfer.so.10" in row.found


def test_an_old_tensorrt_warns(tmp_path: Path) -> None:
    old = {**BOARD_MODULES, "tensorrt": Module("8.6.2")}
    assert rows(facts(tmp_path, JETPACK_62, modules=old))["TensorRT"].status == "warning"


def test_a_plugin_is_an_option(tmp_path: Path) -> None:
    row = rows(facts(tmp_path, JETPACK_62, plugin_built=False))["plugin"]
    assert row.status == "fine" and "make plugin" in row.found


def test_an_opencv_without_gstreamer_warns_on_a_board_only(tmp_path: Path) -> None:
    modules = {**BOARD_MODULES, "cv2": Module("4.12.0", WITHOUT)}
    board = rows(facts(tmp_path / "board", JETPACK_62, modules=modules))["GStreamer"]
    computer = rows(facts(tmp_path / "pc", COMPUTER, "x86_64", modules=modules))["GStreamer"]
    assert (board.status, computer.status) == ("warning", "fine")
    assert "python3-opencv" in str(board.remedy)


def test_gstreamers_own_bindings_do_as_well(tmp_path: Path) -> None:
    modules = {**BOARD_MODULES, "cv2": Module("4.12.0", WITHOUT), "gi": Module("3.42.1")}
    assert rows(facts(tmp_path, JETPACK_62, modules=modules))["GStreamer"].status == "fine"


def test_a_missing_argus_socket_names_both_cures(tmp_path: Path) -> None:
    files = {name: text for name, text in JETPACK_62.items() if "argus" not in name}
    row = rows(facts(tmp_path, files))["Argus"]
    assert "nvargus-daemon" in str(row.remedy) and "docker/run.sh" in str(row.remedy)


def test_a_camera_that_may_not_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may use every file
    row = rows(facts(tmp_path, JETPACK_62))["cameras"]
    assert row.status == "warning" and "usermod -aG video" in str(row.remedy)


@pytest.mark.parametrize(
    ("absent", "topic"), [("cv2", "OpenCV"), ("av", "PyAV"), ("onnxruntime", "ONNX Runtime")]
)
def test_labelling_cannot_work_without(absent: str, topic: str, tmp_path: Path) -> None:
    modules = without(absent, "tensorrt")
    row = rows(facts(tmp_path, COMPUTER, "x86_64", modules=modules))[topic]
    assert row.status == "missing" and "pip install" in str(row.remedy)


def test_with_tensorrt_no_onnx_runtime_is_needed(tmp_path: Path) -> None:
    found = rows(facts(tmp_path, JETPACK_62, modules=without("onnxruntime")))
    assert found["ONNX Runtime"].status == "fine"


def test_engines_need_cuda_calls(tmp_path: Path) -> None:
    row = rows(facts(tmp_path, JETPACK_62, modules=without("cuda.bindings")))["CUDA calls"]
    assert row.status == "warning" and "[tensorrt]" in str(row.remedy)


def test_a_computer_without_gpu_says_nothing_of_cuda(tmp_path: Path) -> None:
    modules = without("tensorrt", "cuda.bindings")
    found = rows(facts(tmp_path, COMPUTER, "x86_64", modules=modules))
    assert {row.status for row in found.values()} == {"fine"}
    assert "not a Jetson" in found["board"].found and "EPYC" in found["board"].found
    assert not {"CUDA", "TensorRT", "Argus", "L4T", "power mode"} & found.keys()


def test_a_computer_with_gpu_lists_its_libraries(tmp_path: Path) -> None:
    modules = without("tensorrt", "cuda.bindings")
    packages = {"onnxruntime-gpu": "1.23.2"}
    known = facts(tmp_path, COMPUTER_WITH_GPU, "x86_64", modules=modules, packages=packages)
    found = rows(known)
    assert found["NVIDIA driver"].found == "570.133.20"
    assert found["TensorRT"].remedy == "pip install tensorrt"
    assert found["cuDNN"].status == "warning"


@pytest.mark.parametrize(
    ("packages", "modules", "words"),
    [
        ({"onnxruntime": "1", "onnxruntime-gpu": "1"}, {}, "onnxruntime-gpu"),
        ({"opencv-python": "4", "opencv-python-headless": "4"}, {}, "headless"),
        ({"numpy": "2.2.6"}, {"cv2": Module(error="numpy.core.multiarray failed")}, "numpy 2.2.6"),
        ({"cuda-bindings": "13.0.1"}, {}, "CUDA 12.6.68"),
    ],
)
def test_known_bad_combinations_are_named(
    packages: dict[str, str], modules: dict[str, Module], words: str, tmp_path: Path
) -> None:
    known = facts(
        tmp_path,
        JETPACK_62,
        packages={**BOARD_PACKAGES, **packages},
        modules={**BOARD_MODULES, **modules},
    )
    row = rows(known)["conflict"]
    assert row.status == "warning" and words in row.found and "pip" in str(row.remedy)


def test_the_longest_version_in_a_file_name_counts(tmp_path: Path) -> None:
    found = rows(facts(tmp_path, JETPACK_62, modules=without("tensorrt")))["TensorRT"]
    assert found.found.startswith("10.3.0,")
    assert not (tmp_path / f"{LIBRARIES}/libnvinfer.so.10.16.2").exists()


def test_remedies_that_are_commands_can_be_pasted(tmp_path: Path) -> None:
    """Quotes in them are balanced."""
    known = facts(tmp_path, {"proc/device-tree/model": "Jetson\0"}, modules={}, packages={})
    for row in examine(known):
        if row.remedy and re.match(r"(sudo|pip) ", row.remedy):
            assert shlex.split(row.remedy)


def test_this_machine_can_be_examined() -> None:
    """The real thing: real imports in processes of their own."""
    known = gather()
    found = rows(known)
    assert known.module("cv2").version and known.module("onnxruntime").version
    assert found["Python"].found == ".".join(map(str, known.python))
    assert not [row for row in found.values() if row.status == "missing"]
