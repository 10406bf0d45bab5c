from __future__ import annotations

from pathlib import Path

import pytest

from effvit_edge.core.device import DeviceRoot, identify
from tests.device_trees import (
    COMPUTER,
    JETPACK_5,
    JETPACK_62,
    JETPACK_72,
    ORIN_NANO_SUPER,
    PLAIN_CONF,
    release,
    tree,
)


@pytest.mark.parametrize(
    ("files", "l4t", "jetpack", "mode"),
    [
        (JETPACK_5, "35.6.0", "5.1.4", "15W"),
        (JETPACK_62, "36.4.3", "6.2", "MAXN_SUPER"),
        (JETPACK_72, "39.2.0", "7.2", "MAXN_SUPER"),
    ],
)
def test_a_board_says_what_it_is(
    files: dict[str, str], l4t: str, jetpack: str, mode: str, tmp_path: Path
) -> None:
    identity = identify(tree(tmp_path, files), "aarch64")
    assert identity.is_jetson
    assert "Orin Nano" in identity.model and "\0" not in identity.model
    assert (identity.l4t, identity.jetpack) == (l4t, jetpack)
    assert identity.power is not None and identity.power.name == mode


def test_an_unknown_release_has_no_jetpack(tmp_path: Path) -> None:
    files = {**JETPACK_62, "etc/nv_tegra_release": release(41, "1.0")}
    identity = identify(tree(tmp_path, files), "aarch64")
    assert (identity.l4t, identity.jetpack) == ("41.1.0", None)


def test_the_fastest_mode_is_found_by_name(tmp_path: Path) -> None:
    """15W is mode 0 of both files, the slowest of one and the fastest of the other."""
    fastest = {}
    for name, files in (("super", JETPACK_62), ("plain", JETPACK_5)):
        power = identify(tree(tmp_path / name, files), "aarch64").power
        assert power is not None and power.fastest is not None
        fastest[name] = power.names[power.fastest]
    assert fastest == {"super": "MAXN_SUPER", "plain": "15W"}


def test_a_mode_that_the_file_does_not_name_is_told_by_number(tmp_path: Path) -> None:
    files = {**JETPACK_62, "etc/nvpmodel.conf": PLAIN_CONF, "var/lib/nvpmodel/status": "pmode:0003"}
    power = identify(tree(tmp_path, files), "aarch64").power
    assert power is not None and power.name == "mode 3"


@pytest.mark.parametrize(
    ("files", "machine", "kind"),
    [
        (COMPUTER, "x86_64", "x86"),
        ({"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}, "aarch64", "arm64"),
        ({}, "aarch64", "arm64"),
        ({}, "riscv64", "other"),
        # An L4T file alone, as in a container on another machine, makes no Jetson.
        ({"etc/nv_tegra_release": release(36, "4.3")}, "x86_64", "x86"),
    ],
)
def test_what_does_not_say_so_is_no_jetson(
    files: dict[str, str], machine: str, kind: str, tmp_path: Path
) -> None:
    identity = identify(tree(tmp_path, files), machine)
    assert (identity.kind, identity.is_jetson) == (kind, False)
    assert identity.model


def test_files_that_cannot_be_read_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "proc" / "device-tree" / "model").mkdir(parents=True)  # a folder of that name
    (tmp_path / "etc").write_text("a file where a folder should be")
    assert not identify(DeviceRoot(tmp_path), "aarch64").is_jetson


def test_nothing_is_kept_of_nul_and_newline(tmp_path: Path) -> None:
    assert tree(tmp_path, {"proc/device-tree/model": ORIN_NANO_SUPER + "\n"}).read(
        "/proc/device-tree/model"
    ) == ORIN_NANO_SUPER.strip("\0")
