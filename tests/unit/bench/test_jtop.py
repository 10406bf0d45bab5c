from __future__ import annotations

import sys
import threading
import time
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from effvit_edge.bench.probes import Reading, Samples
from effvit_edge.bench.probes import find as find_module
from effvit_edge.bench.probes import jtop as module
from effvit_edge.bench.probes.jtop import Jtop
from effvit_edge.bench.probes.tegrastats import Tegrastats
from effvit_edge.core.clock import FakeClock
from effvit_edge.core.device import identify
from tests.device_trees import JETPACK_62, tree

# What JtopServer.jtop_decode of jetson-stats 4.3.2 put together from an Orin Nano's files; versions
# 4.2.0, 4.2.12 and 7.2.2 gave the same of them. By its parts: PowerService.get_status (mW; the
# module's rail is moved to "tot" by total_power), TemperatureService.get_status (°C),
# CPUService.get_status, GPUService.get_status (kHz) and MemoryService.get_status (kB, kHz).
RAIL = {"warn": 4000, "crit": 5000, "online": True}
POWER: dict[str, Any] = {
    "rail": {
        "VDD_CPU_GPU_CV": {"volt": 5000, "curr": 240, "power": 1200, "avg": 1200, **RAIL},
        "VDD_SOC": {"volt": 5024, "curr": 320, "power": 1607, "avg": 1607, **RAIL},
        "ucsi_ccg1": {"online": True, "volt": 5000, "curr": 900, "power": 4500, "avg": 4500},
    },
    "tot": {"volt": 5032, "curr": 1000, "power": 5032, "avg": 5032, "name": "VDD_IN", **RAIL},
}
TEMPERATURE = {
    "cpu": {"temp": 51.343, "online": True},
    "cv0": {"temp": -256, "online": False},
    "tj": {"temp": 51.343, "online": True},
}
CPU = {
    "total": {"user": 60.2, "nice": 20.2, "system": 7.1, "idle": 12.3},
    "cpu": [
        {
            "online": True,
            "governor": "schedutil",
            "freq": {"min": 115200, "max": 1728000, "cur": 1510400},
            "info_freq": {"min": 115200, "max": 1728000},
            "idle_state": {"WFI": 0},
            "model": "ARMv8 Processor rev 1 (v8l)",
            **{"user": 20.0, "nice": 1.0, "system": 4.0, "idle": 75.0},
        },
        {"online": False, "model": ""},
    ],
}
GPU = {
    "gpu": {
        "type": "integrated",
        "status": {"railgate": True, "load": 41.5},
        "freq": {"governor": "nvhost_podgov", "cur": 1020000, "max": 1020000, "min": 306000},
        "power_control": "auto",
    }
}
MEMORY = {
    "RAM": {
        **{"tot": 7802880, "used": 2506752, "free": 3000000, "buffers": 5376, "cached": 1429880},
        **{"shared": 204800, "lfb": 4},
    },
    "SWAP": {"tot": 3901440, "used": 12288, "cached": 0, "table": {}},
    "EMC": {"cur": 2133000, "max": 2133000, "val": 7, "online": True},
}
# Of nvml_read_gpu_status in 7.2.2: the clock is NVML's, in MHz.
GPU_BY_NVML = {
    "Thor": {
        "type": "integrated",
        "status": {"load": 0.0, "3d_scaling": None, "railgate": None, "tpc_pg_mask": None},
        "freq": {"governor": "nvml", "cur": 1575, "max": 1575, "min": 0},
        "power_control": "nvml",
    }
}
ZONES = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone1/type": "tj-thermal\n",
    "sys/class/thermal/cooling_device0/type": "cpu-emergency\n",
    "sys/class/power_supply/ucsi-source-psy-ucsi_ccg1/online": "1\n",
}


class JtopException(Exception):
    pass


class Jetson:
    """As much of jtop.jtop as is used."""

    board: object = None

    def __init__(self, interval: float) -> None:
        self.power: Any = deepcopy(POWER)
        self.temperature: Any = deepcopy(TEMPERATURE)
        self.cpu: Any = deepcopy(CPU)
        self.gpu: Any = deepcopy(GPU)
        self.memory: Any = deepcopy(MEMORY)
        self.uptime = timedelta(seconds=100)
        self.alive = False
        self.closed = 0

    def start(self) -> None:
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive

    def close(self) -> None:
        self.closed += 1
        self.alive = False

    def join(self, timeout: float | None = None) -> None:
        assert not self.alive


def library(kind: type[Jetson] = Jetson) -> ModuleType:
    found = ModuleType("jtop")
    found.__dict__["jtop"] = kind
    return found


def opened(folder: Path, clock: FakeClock | None = None, **changes: Any) -> tuple[Jtop, Jetson]:
    """A probe, and the jtop that it asks; with other dictionaries."""
    made: list[Jetson] = []

    class Changed(Jetson):
        def __init__(self, interval: float) -> None:
            super().__init__(interval)
            self.__dict__.update(changes)
            made.append(self)

    return Jtop(tree(folder, ZONES), clock or FakeClock(), library(Changed)), made[0]


def second(probe: Jtop, jetson: Jetson) -> Reading:
    """What it reads when its service has read again."""
    probe.read()
    jetson.uptime += timedelta(seconds=1)
    return probe.read()


def test_an_orins_values_are_in_plain_units_under_the_kernels_names(tmp_path: Path) -> None:
    assert second(*opened(tmp_path)) == pytest.approx(
        {
            "power_w.VDD_IN": 5.032,
            "power_w.VDD_CPU_GPU_CV": 1.2,
            "power_w.VDD_SOC": 1.607,
            "temperature_c.cpu-thermal": 51.343,
            "temperature_c.tj-thermal": 51.343,
            "clock_mhz.cpu0": 1510.4,
            "clock_mhz.gpu": 1020,
            "clock_mhz.emc": 2133,
            "load_percent.cpu0": 25,
            "load_percent.gpu": 41.5,
            "load_percent.emc": 7,
            "memory_mb.system": 2448,
            "memory_mb.swap": 12,
            "memory_mb.gpu": 200,
        }
    )


def test_a_total_that_is_a_sum_of_rails_is_no_source_of_its_own(tmp_path: Path) -> None:
    rails = {"GPU": {"power": 3000, "avg": 3000, **RAIL}, "CPU": {"power": 2000, **RAIL}}
    probe, _ = opened(tmp_path, power={"rail": rails, "tot": {"power": 5000, "avg": 5000}})
    found = Samples([0, 2], [probe.read(), probe.read()])
    assert found.joules() == pytest.approx({"GPU": 6, "CPU": 4})


def test_a_sensor_that_is_off_says_nothing(tmp_path: Path) -> None:
    power = deepcopy(POWER)
    power["rail"]["VDD_SOC"]["online"] = False
    values = opened(tmp_path, power=power)[0].read()
    assert "power_w.VDD_SOC" not in values and "power_w.VDD_IN" in values
    assert [name for name in values if "cv0" in name or "cpu1" in name] == []


def test_zones_of_one_beginning_keep_jtops_names(tmp_path: Path) -> None:
    root = tree(tmp_path, {**ZONES, "sys/class/thermal/thermal_zone2/type": "cpu-die\n"})
    values = Jtop(root, FakeClock(), library()).read()
    assert "temperature_c.cpu" in values and "temperature_c.tj-thermal" in values


def test_loads_of_cores_wait_for_a_second_reading(tmp_path: Path) -> None:
    probe, jetson = opened(tmp_path)
    assert "load_percent.cpu0" not in probe.read()  # it is since the start of the system
    assert "load_percent.cpu0" not in probe.read()
    assert "load_percent.cpu0" in second(probe, jetson)


def test_a_gpu_read_by_nvml_is_left_out(tmp_path: Path) -> None:
    values = opened(tmp_path, gpu=GPU_BY_NVML)[0].read()
    assert [name for name in values if name.endswith(".gpu")] == ["memory_mb.gpu"]


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"power": {}}, "power_w."),  # PowerService.get_status without a sensor
        ({"power": {"rail": {"VDD_IN": {"volt": 5000}}, "tot": {}}}, "power_w."),
        ({"temperature": {"cpu": {"online": True}}}, "temperature_c."),
        ({"cpu": {}}, "clock_mhz.cpu"),
        ({"cpu": {"cpu": [{"online": True}]}}, "clock_mhz.cpu"),
        ({"gpu": {"gpu": {"type": "integrated"}}}, "load_percent.gpu"),
        ({"memory": {}}, "memory_mb."),
        ({"memory": {"EMC": {}}}, "load_percent.emc"),
        ({"memory": {"EMC": {"cur": 1, "val": 223930, "online": True}}}, "load_percent.emc"),
        ({"memory": {"RAM": {"shared": 0}}}, "memory_mb.gpu"),
        ({"memory": None, "gpu": []}, "memory_mb."),
    ],
)
def test_what_is_not_told_is_left_out(
    changes: dict[str, Any], missing: str, tmp_path: Path
) -> None:
    values = opened(tmp_path, **changes)[0].read()
    assert values and not [name for name in values if name.startswith(missing)]


def test_when_jtops_thread_has_died_nothing_is_read(tmp_path: Path) -> None:
    probe, jetson = opened(tmp_path)
    assert probe.read()
    jetson.alive = False  # jtop.run has kept the error, and the last values
    assert probe.read() == {}


def test_when_its_service_reads_no_more_nothing_is_read(tmp_path: Path) -> None:
    clock = FakeClock()
    probe, jetson = opened(tmp_path, clock)
    assert probe.read()
    clock.advance(module.STALE_SECONDS)
    assert probe.read()
    clock.advance(0.1)
    assert probe.read() == {}
    jetson.uptime += timedelta(seconds=9)
    assert probe.read()


def test_closing_twice_is_allowed(tmp_path: Path) -> None:
    probe, jetson = opened(tmp_path)
    probe.close()
    probe.close()
    assert jetson.closed == 1
    assert probe.read() == {}


def test_a_service_that_does_not_run_is_told_in_one_line(tmp_path: Path) -> None:
    class Refused(Jetson):
        def start(self) -> None:
            raise JtopException("The jtop.service is not active. Please run:\nsudo systemctl")

    with pytest.raises(OSError, match=r"not active\. Please run: sudo systemctl$"):
        Jtop(tree(tmp_path, {}), library=library(Refused))


def test_another_package_of_that_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"does not start: .*no attribute"):
        Jtop(tree(tmp_path, {}), library=ModuleType("jtop"))


def test_a_service_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Jetson):
        def __init__(self, interval: float) -> None:
            super().__init__(interval)
            self._controller: dict[str, float] | None = {"interval": interval}

        def start(self) -> None:  # jtop._get_configuration, when its own question comes back
            while self._controller is not None:
                time.sleep(0.001)
            raise AttributeError("'NoneType' object has no attribute 'put'")

    monkeypatch.setattr(module, "START_SECONDS", 0.05)
    with pytest.raises(OSError, match=r"does not answer within 0\.05 s"):
        Jtop(tree(tmp_path, {}), library=library(Hanging))
    left = [thread for thread in threading.enumerate() if thread.name == "jtop"]
    for thread in left:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in left)


def test_where_it_is_not_installed_it_is_called_optional(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    with pytest.raises(OSError, match="optional, and not installed"):
        Jtop(tree(tmp_path, {}))


KERNEL = {
    **JETPACK_62,
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input": "5000\n",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "2000\n",
    **ZONES,
    "sys/class/thermal/thermal_zone0/temp": "60000\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
}


class Printing:
    """A tegrastats that works."""

    name = "tegrastats"

    def read(self) -> Reading:
        return {"memory_mb.system": 1.0}

    def close(self) -> None:
        pass


def found_with_jtop(
    folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], machine: str = "aarch64"
) -> tuple[Reading, set[str], dict[str, str]]:
    """What is read where jtop is installed, by which probes, and what is not."""
    monkeypatch.setitem(sys.modules, "jtop", library())
    root = tree(folder, files)
    found = find_module.find_probes(identify(root, machine), root)
    try:
        values = {name: value for probe in found.probes for name, value in probe.read().items()}
        return values, {probe.name for probe in found.probes}, found.absent
    finally:
        found.close()


def test_where_something_is_missing_jtop_stands_in_and_the_kernels_values_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tegrastats, "__init__", refuse)
    values, names, absent = found_with_jtop(tmp_path, monkeypatch, KERNEL)
    assert "jtop" in names and "tegrastats" in absent
    assert values["power_w.VDD_IN"] == pytest.approx(10)
    assert values["temperature_c.cpu-thermal"] == pytest.approx(60)
    assert values["clock_mhz.gpu"] == pytest.approx(306)
    assert values["memory_mb.system"] == pytest.approx(2448)


def test_tegrastats_wins_over_jtop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_module, "Tegrastats", Printing)
    values, names, _ = found_with_jtop(tmp_path, monkeypatch, JETPACK_62)
    assert {"jtop", "tegrastats"} <= names
    assert values["memory_mb.system"] == 1
    assert values["power_w.VDD_IN"] == pytest.approx(5.032)


def test_where_nothing_is_missing_jtop_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_module, "Tegrastats", Printing)
    _, names, absent = found_with_jtop(tmp_path, monkeypatch, KERNEL)
    assert "jtop" not in names and "jtop" not in absent


def test_a_computer_has_no_jtop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, names, absent = found_with_jtop(tmp_path, monkeypatch, {}, "x86_64")
    assert "jtop" not in names and "jtop" not in absent


def refuse(*given: object) -> None:
    raise OSError("there is no tegrastats")
