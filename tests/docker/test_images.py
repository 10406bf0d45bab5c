"""The images, really built on a plain Debian by buildah, and used.

NVIDIA's bases cannot be had here, so the attention plugin and TensorRT are left out; everything
else of the Dockerfiles is what runs on a board. It needs root, buildah and debootstrap; where
these are absent the tests are skipped with the reason, which is no pass.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_SUITE = "bookworm"
_ADDED_MEGABYTES = 600
"""What an image may add to its base."""
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PROXY = Path("/etc/apt/apt.conf.d/proxy")


@dataclass(frozen=True)
class Buildah:
    """buildah with a storage of its own."""

    folder: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        storage = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")]
        return subprocess.run(
            ["buildah", "--storage-driver", "vfs", *storage, *arguments],
            capture_output=True,
            text=True,
            check=check,
            cwd=REPOSITORY,
        )

    def build(self, dockerfile: Path, tag: str, *arguments: str) -> str:
        done = self.run(
            *("bud", "--isolation=chroot", "--format=docker", f"--tag={tag}", *self._mounts()),
            *(*arguments, f"--file={dockerfile}", str(REPOSITORY)),
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return tag

    def _mounts(self) -> list[str]:
        """How this machine reaches packages, where it has rules of its own."""
        mounts = []
        if _CERTIFICATES.exists():
            # Under another name: the package ca-certificates writes the usual one.
            settings = self.folder / "pip.conf"
            settings.write_text("[global]\ncert = /host-certificates.crt\n")
            mounts = [f"{_CERTIFICATES}:/host-certificates.crt:ro", f"{settings}:/etc/pip.conf:ro"]
        if _PROXY.exists():
            mounts.append(f"{_PROXY}:{_PROXY}:ro")
        return [f"--volume={mount}" for mount in mounts]

    def megabytes(self, image: str) -> float:
        """Of all files in an image."""
        container = self.run("from", "--pull=never", image).stdout.strip()
        place = self.run("mount", container).stdout.strip()
        size = subprocess.run(["du", "-sxm", place], capture_output=True, text=True, check=True)
        self.run("rm", container)
        return float(size.stdout.split()[0])


@dataclass(frozen=True)
class Image:
    """One built image."""

    buildah: Buildah
    name: str

    def call(
        self, arguments: Sequence[str], folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """effvit-edge in a container of it, as the image's user; ``folder`` is /work inside."""
        container = self.buildah.run("from", "--pull=never", self.name).stdout.strip()
        mount = [] if folder is None else [f"--volume={folder}:/work"]
        try:
            return self.buildah.run(
                *("run", "--isolation=chroot", *mount, container, "--"),
                *("/usr/local/bin/effvit-entrypoint", *arguments),
                check=False,
            )
        finally:
            self.buildah.run("rm", container)


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    for program in ("buildah", "debootstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: no image was built")
    if os.geteuid() != 0:
        pytest.skip("not root: no image was built")
    return Buildah(tmp_path_factory.mktemp("buildah"))


@pytest.fixture(scope="session")
def base(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A plain Debian, as an image."""
    folder = tmp_path_factory.mktemp("base")
    given = os.environ.get("EFFVIT_ROOTFS")  # a tar of one, to save the minutes
    tar = folder / "rootfs.tar"
    if given:
        shutil.copy(given, tar)
    else:
        root = folder / "rootfs"
        subprocess.run(["debootstrap", "--variant=minbase", _SUITE, str(root)], check=True)
        subprocess.run(["tar", "-C", str(root), "-cf", str(tar), "."], check=True)
    (folder / "Dockerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
    tag = "localhost/base:plain"
    done = buildah.run("bud", f"--tag={tag}", str(folder), check=False)
    assert done.returncode == 0, done.stderr
    return tag


@pytest.fixture(scope="session", params=["l4t-jp6", "l4t-jp7", "x86-cuda"])
def image(request: pytest.FixtureRequest, buildah: Buildah, base: str) -> Iterator[Image]:
    name = request.param
    arguments = [f"--build-arg={key}={base}" for key in ("BASE", "DEVEL")]
    arguments.append("--build-arg=PLUGIN=off")
    if name == "l4t-jp7":
        arguments.append("--build-arg=TENSORRT=off")
    dockerfile = REPOSITORY / "docker" / f"{name}.Dockerfile"
    tag = buildah.build(dockerfile, f"localhost/effvit-edge:{name}", *arguments)
    yield Image(buildah, tag)
    buildah.run("rmi", "--force", tag, check=False)


def test_the_doctor_runs_inside(image: Image) -> None:
    done = image.call(["doctor", "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["topic"]: row for row in json.loads(done.stdout)["rows"]}
    assert not [row for row in rows.values() if row["status"] == "missing"]
    assert rows["OpenCV"]["found"] and rows["ONNX Runtime"]["found"]
    assert "torch" not in rows["packages"]["found"]


def test_a_video_is_labelled_inside(image: Image, test_data: Path, tmp_path: Path) -> None:
    video = next((test_data / "yoga6").rglob("*.mp4"))
    shutil.copy(video, tmp_path / "clip.mp4")
    tmp_path.chmod(0o777)
    done = image.call(["label", "clip.mp4", "--jsonl", "labels.jsonl"], tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert records and all(record["label"] for record in records)
    assert (tmp_path / "clip.labelled.mp4").stat().st_size > 0


def test_the_demonstration_model_is_measured_inside(image: Image) -> None:
    command = ["bench", "/opt/models/demo.onnx", "--count", "20", "--warm-up", "0", "--json"]
    done = image.call(command)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["count"] == 20 and found["device"]["kind"] != "jetson"


def test_what_the_shell_has_too_is_effvit_edges_inside(image: Image) -> None:
    for name in ("export", "eval"):
        done = image.call([name, "--help"])
        assert f"Usage: effvit-edge {name} " in done.stdout, done.stderr


def test_the_plugin_is_reported_as_unbuilt(image: Image) -> None:
    done = image.call(["cat", "/opt/plugin/UNBUILT"])
    assert "not built" in done.stdout


def test_an_image_is_small(image: Image, buildah: Buildah, base: str) -> None:
    added = buildah.megabytes(image.name) - buildah.megabytes(base)
    assert added < _ADDED_MEGABYTES, f"{image.name} adds {added:.0f} MB to its base"


def test_nobody_is_root_inside(image: Image) -> None:
    assert image.call(["id", "-u"]).stdout.strip() == "10001"
