"""The images' files, without building one: linted, and the choices of run.sh."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.device_trees import (
    COMPUTER,
    COMPUTER_WITH_GPU,
    JETPACK_5,
    JETPACK_62,
    JETPACK_72,
    release,
    tree,
)

DOCKER = REPOSITORY / "docker"
IMAGES = ("l4t-jp6", "l4t-jp7", "x86-cuda")
SCRIPTS = sorted(DOCKER.glob("*.sh"))


def tool(name: str) -> str:
    """A linter of the development extras, beside this Python."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    assert found, f"{name} is not installed: make .venv/installed-dev"
    return found


def run_script(
    folder: Path, files: Mapping[str, str], *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """run.sh on a machine with these files; it only shows what it would do."""
    root = tree(folder, files)
    return subprocess.run(
        [str(DOCKER / "run.sh"), "--dry-run", *arguments],
        env={"PATH": os.environ["PATH"], "EFFVIT_ROOT": str(root.path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", IMAGES)
def test_dockerfiles_are_clean(name: str) -> None:
    path = DOCKER / f"{name}.Dockerfile"
    done = subprocess.run(
        [tool("hadolint"), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_scripts_are_clean(script: Path) -> None:
    command = [tool("shellcheck"), "--enable=quote-safe-variables", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("name", IMAGES)
def test_images_have_no_torch_a_user_of_their_own_and_a_health_check(name: str) -> None:
    text = (DOCKER / f"{name}.Dockerfile").read_text("utf-8")
    assert not re.search(r"\b(torch|onnxscript)\b", text)
    assert re.search(r"^USER \d+$", text, re.MULTILINE)
    assert 'CMD ["effvit-edge", "doctor", "--json"]' in text
    assert "VOLUME /engines" in text
    assert re.search(r"^ARG BASE=\S+:\S+$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("files", "image"),
    [
        (JETPACK_62, "effvit-edge:l4t-jp6"),
        (JETPACK_72, "effvit-edge:l4t-jp7"),
        (COMPUTER, "effvit-edge:x86-cuda"),
        (COMPUTER_WITH_GPU, "effvit-edge:x86-cuda"),
    ],
    ids=["JetPack 6.2", "JetPack 7.2", "no GPU", "GPU"],
)
def test_the_image_fits_the_machine(files: dict[str, str], image: str, tmp_path: Path) -> None:
    done = run_script(tmp_path, files, "label", "my video.mp4")
    assert done.returncode == 0, done.stderr
    command = shlex.split(done.stdout)
    assert command[:2] == ["docker", "run"]
    assert command[command.index(image) :] == [image, "label", "my video.mp4"]
    assert ("nvidia" in command) == ("l4t" in image)
    assert ("--gpus" in command) == (files is COMPUTER_WITH_GPU)
    assert image in done.stderr  # it says what it does


def test_a_boards_cameras_and_files_are_passed_through(tmp_path: Path) -> None:
    command = shlex.split(run_script(tmp_path, JETPACK_62, "doctor").stdout)
    assert command[command.index("--device") + 1] == "/dev/video0"
    for name in ("/tmp/argus_socket", "/etc/nv_tegra_release", "/var/lib/nvpmodel/status"):
        assert any(part.startswith(f"{name}:{name}") for part in command)
    assert f"{Path.cwd()}:/work" in command and "effvit-engines:/engines" in command
    assert f"{os.getuid()}:{os.getgid()}" in command


def test_no_argus_is_said_with_its_cure(tmp_path: Path) -> None:
    files = {name: text for name, text in JETPACK_62.items() if "argus" not in name}
    done = run_script(tmp_path, files, "doctor")
    assert "nvargus-daemon" in done.stderr and "argus_socket:" not in done.stdout


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (JETPACK_5, "too old"),
        ({**JETPACK_62, "etc/nv_tegra_release": release(36, "3.0")}, "TensorRT before 10.3"),
    ],
)
def test_boards_that_are_too_old_are_refused(
    files: dict[str, str], words: str, tmp_path: Path
) -> None:
    done = run_script(tmp_path, files, "doctor")
    assert done.returncode == 3 and not done.stdout
    assert words in done.stderr and "docs/jetson.md" in done.stderr


def test_an_unknown_release_is_tried(tmp_path: Path) -> None:
    files = {**JETPACK_62, "etc/nv_tegra_release": release(41, "1.0")}
    done = run_script(tmp_path, files, "doctor")
    assert done.returncode == 0 and "not known" in done.stderr
    assert "effvit-edge:l4t-jp7" in done.stdout


def test_a_display_is_passed_through_where_there_is_one(tmp_path: Path) -> None:
    assert "X11" not in run_script(tmp_path, COMPUTER).stdout
    assert "X11" in run_script(tmp_path, COMPUTER, DISPLAY=":0").stdout


def test_another_image_program_and_folder_can_be_named(tmp_path: Path) -> None:
    done = run_script(
        tmp_path, COMPUTER, "doctor", EFFVIT_IMAGE="mine:1", DOCKER="podman", EFFVIT_ENGINES="/e"
    )
    command = shlex.split(done.stdout)
    assert command[0] == "podman" and command[-2:] == ["mine:1", "doctor"]
    assert "/e:/engines" in command


def test_no_docker_is_said_in_a_sentence(tmp_path: Path) -> None:
    root = tree(tmp_path, COMPUTER)
    done = subprocess.run(
        [str(DOCKER / "run.sh"), "doctor"],
        env={**os.environ, "EFFVIT_ROOT": str(root.path), "DOCKER": "no-such-program"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3 and "there is no no-such-program here" in done.stderr


def test_the_service_names_what_is_there() -> None:
    text = (DOCKER / "effvit-edge.service").read_text("utf-8")
    assert "docker/run.sh" in text and "EnvironmentFile=/etc/effvit-edge.env" in text
    assert "KillSignal=SIGTERM" in text
