"""The wheel on an emulated aarch64 machine: the same labels as here, and the same logits to 1e-4.

    make test-arm64

It needs root, qemu-user-static, binfmt_misc and debootstrap, and builds a small Debian once, in the
folder that EFFVIT_ARM64_ROOT names (some minutes and 800 MB). Debian's Python is 3.11; that wheels
exist for JetPack's 3.10 and 3.12 is asked of pip.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from effvit_edge.core.motion.film import render_film
from effvit_edge.core.preprocess import preprocess_frame
from effvit_edge.runtime import open_session
from effvit_edge.sinks import VideoSink
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.arm64, pytest.mark.timeout(3600)]

DEMO = REPOSITORY / "models" / "demo.onnx"
_PACKAGES = ["av", "click", "numpy", "onnxruntime", "opencv-python-headless", "rich"]
_MORE_PACKAGES = ["cuda-bindings<13", "paho-mqtt"]
_SUITE, _QEMU = "bookworm", "/usr/bin/qemu-aarch64-static"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# The header of an aarch64 ELF file, and which of its bits count (the kernel's documentation,
# "Kernel Support for miscellaneous Binary Formats"). F: the interpreter is opened here and now, so
# that it is found from within the other root.
_MAGIC = (
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
)
_RULE = f":effvit-aarch64:M::{_MAGIC}:{_QEMU}:F"


@dataclass(frozen=True)
class Arm:
    """The root of an emulated machine."""

    root: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["chroot", str(self.root), *command],
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}
            | ({"PIP_CERT": "/host-certificates.crt"} if _CERTIFICATES.exists() else {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def inside(self, path: Path) -> str:
        """A file below the root, as it is called there."""
        return "/" + path.relative_to(self.root).as_posix()


_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture(scope="session")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Arm:
    """A Debian for aarch64 with a virtual environment in /venv."""
    for program in ("debootstrap", _QEMU):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: nothing ran on aarch64")
    if os.geteuid() != 0:
        pytest.skip("not root: nothing ran on aarch64")
    _register()
    given = os.environ.get("EFFVIT_ARM64_ROOT")
    root = Path(given) if given else tmp_path_factory.mktemp("arm64") / "root"
    if not (root / "ready").exists():
        include = "python3,python3-venv,ca-certificates"
        command = ["debootstrap", "--arch=arm64", "--variant=minbase", f"--include={include}"]
        subprocess.run([*command, _SUITE, str(root)], check=True)
        if _CERTIFICATES.exists():
            shutil.copy(_CERTIFICATES, root / "host-certificates.crt")
        Arm(root).run("python3", "-m", "venv", "/venv")
        (root / "ready").touch()
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    return Arm(root)


@pytest.fixture(scope="session")
def installed(arm: Arm, tmp_path_factory: pytest.TempPathFactory) -> Arm:
    """With the wheel of this checkout, and what it needs to run a model."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(folder)]
    subprocess.run([*wheel, str(REPOSITORY)], check=True)
    (built,) = folder.glob("*.whl")
    shutil.copy(built, arm.root / built.name)
    shutil.copy(REPOSITORY / "constraints.txt", arm.root / "constraints.txt")
    pip = ["/venv/bin/pip", "install", "--quiet", "--constraint", "/constraints.txt"]
    arm.run(*pip, *_PACKAGES)
    arm.run(
        "/venv/bin/pip", "install", "--quiet", "--no-deps", "--force-reinstall", f"/{built.name}"
    )
    return arm


def test_logits_are_the_same(installed: Arm, tmp_path: Path) -> None:
    work = installed.root / "work"
    work.mkdir(exist_ok=True)
    film = render_film(3)
    with open_session(DEMO, "cpu", 1) as session:
        spec = session.card.preprocess
        frames = np.stack([preprocess_frame(next(film).image, spec) for _ in range(60)])
    np.savez(work / "frames.npz", frames=frames)
    for path in (DEMO, Path(__file__).with_name("answers.py")):
        shutil.copy(path, work / path.name)
    command = ["answers.py", "demo.onnx", "frames.npz"]
    there = [f"/work/{name}" for name in command]
    installed.run("/venv/bin/python", *there, "/work/there.npz")
    here = [str(work / name) for name in command]
    subprocess.run([sys.executable, *here, str(work / "here.npz")], check=True, cwd=REPOSITORY)
    answers = [np.load(work / name)["logits"] for name in ("here.npz", "there.npz")]
    assert np.array_equal(*(logits.argmax(axis=1) for logits in answers))
    assert np.abs(answers[0] - answers[1]).max() < 1e-4


def test_a_video_gets_the_same_labels(installed: Arm, tmp_path: Path) -> None:
    work = installed.root / "work"
    work.mkdir(exist_ok=True)
    sink = VideoSink(work / "film.mp4", 15)
    film = render_film(5, fps=15, segment_seconds=1)
    for number in range(60):
        sink.write(next(film).image, number / 15)
    sink.close(complete=True)
    shutil.copy(DEMO, work / "demo.onnx")
    label = [
        "label",
        "--model",
        "{0}/demo.onnx",
        "--no-video",
        "--jsonl",
        "{0}/{1}",
        "{0}/film.mp4",
    ]
    there = [part.format("/work", "there.jsonl") for part in label]
    installed.run("/venv/bin/effvit-edge", *there)
    here = [part.format(work, "here.jsonl") for part in label]
    subprocess.run([sys.executable, "-m", "effvit_edge", *here], check=True, cwd=REPOSITORY)
    labels = [_labels(work / name) for name in ("here.jsonl", "there.jsonl")]
    assert labels[0] == labels[1] and len(labels[0]) > 50


def test_the_doctor_knows_the_machine(installed: Arm) -> None:
    done = installed.run("/venv/bin/effvit-edge", "doctor", "--json", check=False)
    rows = {row["topic"]: row for row in json.loads(done.stdout)["rows"]}
    assert "arm64, not a Jetson" in rows["board"]["found"]
    assert done.returncode == 0


@pytest.mark.parametrize(("python", "glibc"), [("3.10", "2_35"), ("3.12", "2_39")])
def test_wheels_exist_for_the_boards_pythons(python: str, glibc: str, tmp_path: Path) -> None:
    """JetPack 6 has Ubuntu 22.04 (glibc 2.35), JetPack 7.2 Ubuntu 24.04 (glibc 2.39)."""
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(17, int(glibc[2:]) + 1)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", "-d", str(tmp_path)]
    command += [f"--platform={name}" for name in (*platforms, "manylinux2014_aarch64")]
    done = subprocess.run(
        [*command, *_PACKAGES, *_MORE_PACKAGES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def _labels(path: Path) -> Sequence[tuple[int, str]]:
    records = map(json.loads, path.read_text("utf-8").splitlines())
    return [(record["frame"], record["label"]) for record in records]


def _register() -> None:
    """Let the kernel run programs for aarch64."""
    if not (_BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], check=False)
    if not (_BINFMT / "register").exists():
        pytest.skip("the kernel has no binfmt_misc: nothing ran on aarch64")
    if not any((_BINFMT / name).exists() for name in ("effvit-aarch64", "qemu-aarch64")):
        (_BINFMT / "register").write_bytes(_RULE.encode())
