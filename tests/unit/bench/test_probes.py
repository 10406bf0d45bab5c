from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from effvit_edge.bench.probes import Reading, Sampler, Samples, find_probes
from effvit_edge.bench.probes.memory import ProcessMemory
from effvit_edge.bench.probes.nvml import Nvml
from effvit_edge.bench.probes.tegrastats import Tegrastats, parse_line
from effvit_edge.core.clock import FakeClock
from effvit_edge.core.device import identify
from tests.device_trees import COMPUTER, JETPACK_62, tree

HWMON = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
ORIN_SENSORS = {
    f"{HWMON}/in1_label": "VDD_IN\n",
    f"{HWMON}/in1_input": "5032\n",
    f"{HWMON}/curr1_input": "1000\n",
    f"{HWMON}/in2_label": "VDD_CPU_GPU_CV\n",
    f"{HWMON}/in2_input": "5000\n",
    f"{HWMON}/curr2_input": "240\n",
    f"{HWMON}/in7_label": "sum of shunt voltages\n",
    f"{HWMON}/in7_input": "9\n",
    f"{HWMON}/curr7_input": "9\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "51343\n",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",  # off: the kernel says EAGAIN
    "sys/class/devfreq/17000000.gpu/cur_freq": "1020000000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1728000\n",
    "sys/class/hwmon/hwmon3/oc1_event_cnt": "0\n",
    "sys/class/hwmon/hwmon3/oc3_event_cnt": "37\n",
}
STATUS = "Name:\tpython\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nVmSwap:\t       0 kB\n"
ORIN_LINE = (
    "01-08-2025 01:49:37 RAM 2448/7620MB (lfb 4x4MB) SWAP 12/3810MB (cached 0MB) CPU "
    "[3%@729,0%@729,1%@729,off,off,off] EMC_FREQ 7%@2133 GR3D_FREQ 41%@[305] NVDEC off NVJPG off "
    "cpu@48.5C soc2@47.6C tj@48.5C VDD_IN 4722mW/4722mW VDD_CPU_GPU_CV 525mW/525mW"
)


def read_all(
    root_files: dict[str, str], folder: Path, machine: str
) -> tuple[Reading, dict[str, str]]:
    root = tree(folder, root_files)
    found = find_probes(identify(root, machine), root)
    try:
        return {k: v for probe in found.probes for k, v in probe.read().items()}, found.absent
    finally:
        found.close()


def test_an_orins_sensors_are_read_in_plain_units(tmp_path: Path) -> None:
    files = {**JETPACK_62, **ORIN_SENSORS, "proc/self/status": STATUS}
    values, absent = read_all(files, tmp_path, "aarch64")
    assert values == pytest.approx(
        {
            "power_w.VDD_IN": 5.032,
            "power_w.VDD_CPU_GPU_CV": 1.2,
            "temperature_c.cpu-thermal": 51.343,
            "clock_mhz.gpu": 1020,
            "clock_mhz.cpu0": 1728,
            "throttled.oc1": 0,
            "throttled.oc3": 37,
            "memory_mb.peak": 200,
            "memory_mb.rss": 100,
            "memory_mb.swapped": 0,
        }
    )
    assert set(absent) == {"tegrastats", "jtop"}


def test_a_computer_reads_its_processors_energy(tmp_path: Path) -> None:
    files = {
        **COMPUTER,
        "sys/class/powercap/intel-rapl:0/name": "package-0\n",
        "sys/class/powercap/intel-rapl:0/energy_uj": "2500000\n",
        "sys/class/powercap/intel-rapl:0:0/name": "core\n",
        "sys/class/powercap/intel-rapl:0:0/energy_uj": "1\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4\n",
    }
    values, absent = read_all(files, tmp_path, "x86_64")
    assert values == {"energy_j.package-0": 2.5, "throttled.cpu0": 4}
    assert "NVML" in absent and "thermal zones" in absent


@pytest.mark.parametrize("content", ["", "off\n", "\0", "12 34"])
def test_a_sensor_that_says_something_else_says_nothing(content: str, tmp_path: Path) -> None:
    files = {**JETPACK_62, **ORIN_SENSORS, f"{HWMON}/curr1_input": content}
    values, _ = read_all(files, tmp_path, "aarch64")
    assert "power_w.VDD_IN" not in values and "power_w.VDD_CPU_GPU_CV" in values


def test_a_machine_that_shows_nothing_has_reasons(tmp_path: Path) -> None:
    values, absent = read_all({}, tmp_path, "x86_64")
    assert not values
    assert all(absent.values()) and len(absent) == 6


def test_a_line_of_tegrastats(tmp_path: Path) -> None:
    assert parse_line(ORIN_LINE) == {
        "memory_mb.system": 2448,
        "memory_mb.swap": 12,
        "memory_mb.largest_free_block": 4,
        "load_percent.gpu": 41,
        "load_percent.emc": 7,
    }
    assert parse_line("something new in JetPack 9") == {}


def test_tegrastats_is_followed_and_ended() -> None:
    script = f"print('warming up', flush=True); print({ORIN_LINE!r}, flush=True); input()"
    probe = Tegrastats(command=[sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    while not probe.read() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert probe.read()["load_percent.gpu"] == 41
    assert probe.unknown == 1
    probe.close()
    assert probe.read()["load_percent.gpu"] == 41  # the last it knew
    probe.close()


class NvmlError(Exception):
    pass


# What versions 11.450.51, 11.525.150, 12.535.161 and 13.615.71 of nvidia-ml-py call the reasons.
REASONS = {
    "nvmlClocksThrottleReasonGpuIdle": 0x1,
    "nvmlClocksThrottleReasonApplicationsClocksSetting": 0x2,
    "nvmlClocksThrottleReasonSwPowerCap": 0x4,
    "nvmlClocksThrottleReasonHwSlowdown": 0x8,
    "nvmlClocksThrottleReasonSyncBoost": 0x10,
    "nvmlClocksThrottleReasonSwThermalSlowdown": 0x20,
    "nvmlClocksThrottleReasonHwThermalSlowdown": 0x40,
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": 0x80,
    "nvmlClocksThrottleReasonDisplayClockSetting": 0x100,
}
UUIDS = ["GPU-8932f937-d72c", "GPU-89aa0000-1111", "GPU-c0ffee00-2222"]


def refuse(*given: object) -> Any:
    raise NvmlError("Not Supported")


def nvml(**changes: Any) -> ModuleType:
    """As much of pynvml as is used, with three A10Gs; a handle is a GPU's index."""
    calls = {
        **REASONS,
        "NVMLError": NvmlError,
        "NVML_CLOCK_SM": 1,
        "NVML_CLOCK_MEM": 2,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(UUIDS),
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda gpu: UUIDS[gpu],
        "nvmlDeviceGetPciInfo": lambda gpu: SimpleNamespace(domain=0, bus=gpu, device=0),
        "nvmlDeviceGetMigMode": refuse,
        "nvmlDeviceGetName": lambda gpu: b"NVIDIA A10G",
        "nvmlDeviceGetPowerUsage": lambda gpu: 61250 + 1000 * gpu,
        "nvmlDeviceGetTotalEnergyConsumption": lambda gpu: 5000,
        "nvmlDeviceGetClockInfo": lambda gpu, kind: {1: 1710, 2: 6251}[kind],
        "nvmlDeviceGetTemperature": lambda gpu, kind: 44,
        "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=500 * 2**20),
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda gpu: 1,
    }
    module = ModuleType("pynvml")
    module.__dict__.update({**calls, **changes})
    return module


def watts(visible: str | None, order: str | None = None, **changes: Any) -> float:
    """The power of the GPU that is read; each has its own."""
    given = {"CUDA_VISIBLE_DEVICES": visible, "CUDA_DEVICE_ORDER": order}
    environment = {name: value for name, value in given.items() if value is not None}
    return Nvml(nvml(**changes), environment).read()["power_w.gpu"]


def test_nvml_tells_power_clocks_and_memory() -> None:
    probe = Nvml(nvml(), {})
    assert probe.name == "NVML, NVIDIA A10G"
    assert probe.read() == pytest.approx(
        {
            "power_w.gpu": 61.25,
            "energy_j.gpu": 5,
            "clock_mhz.gpu": 1710,
            "clock_mhz.memory": 6251,
            "temperature_c.gpu": 44,
            "memory_mb.gpu": 500,
            "throttled.gpu": 0,  # an idle GPU has low clocks, and no fault
        }
    )
    probe.close()
    probe.close()


@pytest.mark.parametrize(
    ("visible", "index"),
    [
        (None, 0),
        ("2", 2),
        ("2,0", 2),
        (" 1 , 0", 1),
        ("1,-1", 1),
        ("GPU-c0ffee00-2222", 2),
        ("GPU-89a,GPU-893", 1),
    ],
)
def test_the_gpu_that_cuda_shows_first_is_read(visible: str | None, index: int) -> None:
    assert watts(visible) == pytest.approx(61.25 + index)


@pytest.mark.parametrize("visible", ["", "-1", "3", "all", ",1", "GPU-89", "GPU-dead"])
def test_where_cuda_shows_no_gpu_none_is_read(visible: str) -> None:
    with pytest.raises(OSError, match=f"CUDA_VISIBLE_DEVICES={visible} shows CUDA no GPU"):
        watts(visible)


def test_the_environment_is_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert Nvml(nvml()).read()["power_w.gpu"] == pytest.approx(62.25)


@pytest.mark.parametrize("visible", [None, "0", "2,1"])
def test_by_number_gpus_of_different_models_need_an_order(visible: str | None) -> None:
    models: dict[str, Any] = {"nvmlDeviceGetName": lambda gpu: f"NVIDIA Model {gpu}"}
    for order in (None, "FASTEST_FIRST"):
        with pytest.raises(OSError, match="not known which is used: set CUDA_DEVICE_ORDER=PCI"):
            watts(visible, order, **models)
    number = int((visible or "0")[0])
    assert watts(visible, "PCI_BUS_ID", **models) == pytest.approx(61.25 + number)
    assert watts("GPU-c0ff", **models) == pytest.approx(63.25)


def test_numbers_are_by_place_on_the_bus_and_not_by_nvmls_order() -> None:
    places = {0: (1, 0), 1: (0, 9), 2: (0, 3)}

    def place(gpu: int) -> SimpleNamespace:
        domain, bus = places[gpu]
        return SimpleNamespace(domain=domain, bus=bus, device=0)

    found = [watts(str(number), nvmlDeviceGetPciInfo=place) for number in range(3)]
    assert found == pytest.approx([63.25, 62.25, 61.25])


def test_a_slice_has_no_power_of_its_own() -> None:
    def slices(gpu: int) -> list[int]:
        return [int(gpu == 1), 0]

    for one in ("MIG-1f2e", "MIG-GPU-8932f937-d72c/1/0"):
        with pytest.raises(OSError, match="MIG"):
            watts(one)
    for visible in (None, "0", "GPU-89a"):
        with pytest.raises(OSError, match="MIG"):
            watts(visible, nvmlDeviceGetMigMode=slices)
    assert watts("GPU-c0ff", nvmlDeviceGetMigMode=slices) == pytest.approx(63.25)


def test_a_driver_without_gpus_says_so() -> None:
    with pytest.raises(OSError, match="no GPU"):
        watts(None, nvmlDeviceGetCount=lambda: 0)


def test_nvml_counts_readings_that_were_throttled() -> None:
    reasons = iter([1, 4, 5])
    probe = Nvml(nvml(nvmlDeviceGetCurrentClocksThrottleReasons=lambda gpu: next(reasons)), {})
    assert [probe.read()["throttled.gpu"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("reason", REASONS)
def test_every_slowdown_counts_and_nothing_else(reason: str) -> None:
    module = nvml(nvmlDeviceGetCurrentClocksThrottleReasons=lambda gpu: REASONS[reason])
    slowed = reason.endswith(("SwPowerCap", "Slowdown"))
    assert Nvml(module, {}).read()["throttled.gpu"] == slowed


def test_the_installed_library_has_these_names() -> None:
    library = pytest.importorskip("pynvml")
    assert {name: getattr(library, name, None) for name in REASONS} == REASONS
    called = [name for name in vars(nvml()) if name.startswith(("nvmlDevice", "NVML_"))]
    assert [name for name in called if not hasattr(library, name)] == []


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_j.gpu"),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", "throttled.gpu"),
    ],
)
def test_what_a_gpu_or_a_version_does_not_tell_is_left_out(missing: str, name: str) -> None:
    older = nvml()
    delattr(older, missing)
    for library in (nvml(**{missing: refuse}), older):
        values = Nvml(library, {}).read()
        assert name not in values and "power_w.gpu" in values


def test_a_reason_that_a_version_lacks_is_not_called_absent() -> None:
    older = nvml()
    delattr(older, "nvmlClocksThrottleReasonHwPowerBrakeSlowdown")
    assert "throttled.gpu" not in Nvml(older, {}).read()


@pytest.mark.parametrize("changes", [{"nvmlDeviceGetCount": refuse}, {}])
def test_nvml_that_is_not_used_is_given_back(changes: dict[str, Any]) -> None:
    ended: list[int] = []
    with pytest.raises(OSError, match=r"does not work|no GPU"):
        Nvml(nvml(nvmlShutdown=lambda: ended.append(1), **changes), {"CUDA_VISIBLE_DEVICES": ""})
    assert ended == [1]


def test_nvml_without_a_driver_says_so() -> None:
    def no_driver() -> None:
        raise NvmlError("Driver Not Loaded")

    with pytest.raises(OSError, match="Driver Not Loaded"):
        Nvml(nvml(nvmlInit=no_driver), {})


def test_a_mb_of_memory_is_the_same_for_every_probe(tmp_path: Path) -> None:
    kib = 204_800
    root = tree(tmp_path, {"proc/self/status": f"VmRSS:\t{kib} kB\n"})
    gpu = nvml(nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(used=kib * 1024))
    assert ProcessMemory(root).read() == {"memory_mb.rss": 200}
    assert Nvml(gpu, {}).read()["memory_mb.gpu"] == 200
    assert parse_line("RAM 200/7620MB")["memory_mb.system"] == 200  # tegrastats: kB over 1024


class Counter:
    """A probe that gives the next reading each time."""

    name = "counter"

    def __init__(self, readings: Iterator[Reading]) -> None:
        self._readings = readings

    def read(self) -> Reading:
        return next(self._readings)

    def close(self) -> None:
        pass


def samples(seconds: Sequence[float], **values: Sequence[float | None]) -> Samples:
    rows = [
        {name: row for name, row in zip(values, columns, strict=True) if row is not None}
        for columns in zip(*values.values(), strict=True)
    ]
    return Samples(list(seconds), rows)


def test_energy_is_power_over_time() -> None:
    found = samples([0, 1, 3], **{"power_w.VDD_IN": [10, 20, 99]})
    assert found.joules() == {"VDD_IN": 10 * 1 + 20 * 2}
    assert found.mean("power_w.VDD_IN") == pytest.approx(50 / 3)


def test_energy_counters_go_before_power_and_may_begin_anew() -> None:
    values = {"energy_j.gpu": [5, 9, 2], "power_w.gpu": [50, 50, 50]}
    assert samples([0, 1, 2], **values).joules() == {"gpu": 4 + 2}


def test_throttling_is_a_rise_and_not_a_count() -> None:
    values = {"throttled.oc1": [7, 7, 7], "throttled.oc3": [37, 37, 38]}
    assert samples([0, 1, 2], **values).throttled == ["oc3"]


def test_gaps_are_left_out() -> None:
    found = samples([0, 1, 2], **{"clock_mhz.gpu": [1000, None, 500]})
    assert found.series("clock_mhz.gpu") == [(0, 1000), (2, 500)]
    assert found.clocks() == {"gpu": (500, 1000)}
    assert found.mean("clock_mhz.cpu0") is None


def test_a_sampler_reads_at_the_start_and_at_the_end() -> None:
    clock = FakeClock(100.0)
    probe = Counter({"power_w.x": float(number)} for number in range(99))
    with Sampler([probe], clock, interval_seconds=1e6) as sampler:
        clock.advance(5)
    assert sampler.samples.seconds == [0, 5]
    assert sampler.samples.series("power_w.x") == [(0, 0), (5, 1)]


def test_a_sampler_reads_in_between() -> None:
    probe = Counter({"power_w.x": float(number)} for number in range(10**6))
    with Sampler([probe], interval_seconds=0.001) as sampler:
        deadline = time.monotonic() + 30
        while len(sampler.samples.seconds) < 10 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert len(sampler.samples.readings) >= 10
