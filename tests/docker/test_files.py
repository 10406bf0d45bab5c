"""The images' files, without building one: linted, and run with programs that stand in."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from effvit_edge.cli.main import COMMANDS
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
NAMES = [entry.name for entry in COMMANDS]
SAYS_HOW_IT_WAS_CALLED = '#!/bin/sh\nprintf \'%s\\n\' "${0##*/}" "$@"\n'


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


def stand_in(folder: Path, name: str, script: str = SAYS_HOW_IT_WAS_CALLED) -> Path:
    """A program of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(script, "utf-8")
    path.chmod(0o755)
    return path


def enter(shell: str, programs: Path, *arguments: str) -> list[str]:
    """What the entry point runs, word by word, where these programs are all that there is."""
    found = shutil.which(shell)
    assert found
    done = subprocess.run(
        [found, str(DOCKER / "entrypoint.sh"), *arguments],
        env={"PATH": f"{programs.parent / 'none'}:{programs}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.fixture(params=["sh", "bash"])
def shell(request: pytest.FixtureRequest) -> str:
    """An image's sh may be either."""
    name: str = request.param
    return name


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
    assert "VOLUME /engines" in text
    assert re.search(r"^ARG BASE=\S+:\S+$", text, re.MULTILINE)


@pytest.mark.parametrize("name", IMAGES)
def test_the_health_check_is_the_doctor_and_rare(name: str) -> None:
    text = (DOCKER / f"{name}.Dockerfile").read_text("utf-8")
    found = re.search(r"^HEALTHCHECK (.*) CMD (.*)$", text, re.MULTILINE)
    assert found and found[2] == '["effvit-edge", "doctor", "--json"]'
    options = dict(option.split("=") for option in found[1].split())
    minutes = re.fullmatch(r"(\d+)m", options["--interval"])
    assert minutes and int(minutes[1]) >= 30
    assert "--start-period" not in options  # within it docker asks every 5 s


@pytest.mark.parametrize("name", NAMES)
def test_a_command_of_effvit_edge_is_no_shells_and_no_other_program(
    name: str, shell: str, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    stand_in(programs, "effvit-edge")
    stand_in(programs, name)
    arguments = [name, "my x.onnx", "--json", ""]
    assert enter(shell, programs, *arguments) == ["effvit-edge", *arguments]


@pytest.mark.parametrize("name", ["nvidia-smi", "test", "time", "printf", "echo", "[", "if"])
def test_a_program_runs_as_it_is_whatever_the_shell_has_of_that_name(
    name: str, shell: str, tmp_path: Path
) -> None:
    programs = tmp_path / "my bin"
    stand_in(programs, "effvit-edge")
    program = stand_in(programs, name)
    assert enter(shell, programs, name, "a b", "*", "-x") == [name, "a b", "*", "-x"]
    assert enter(shell, programs, str(program), "a b") == [name, "a b"]


@pytest.mark.parametrize(
    "line",
    ["", "''", "-x", "exprot x", "test", "time ls", "set", "if", ".", "'*'", "/", "folder", "text"],
)
def test_what_is_no_program_is_effvit_edges_to_answer(
    line: str, shell: str, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    stand_in(programs, "effvit-edge")
    (programs / "folder").mkdir()
    (programs / "text").write_text("not executable")
    arguments = shlex.split(line)
    assert enter(shell, programs, *arguments) == ["effvit-edge", *arguments]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_goes_through_run_and_the_entry_point(name: str, tmp_path: Path) -> None:
    entry = shlex.quote(str(DOCKER / "entrypoint.sh"))
    skip = 'while [ "$1" != mine:1 ]; do shift; done; shift'
    docker = stand_in(tmp_path / "bin", "docker", f'#!/bin/sh\n{skip}\nexec {entry} "$@"\n')
    stand_in(tmp_path / "bin", "effvit-edge")
    done = subprocess.run(
        [str(DOCKER / "run.sh"), name, "my x.onnx"],
        env={
            "PATH": f"{docker.parent}:{os.environ['PATH']}",
            "EFFVIT_ROOT": str(tmp_path),
            "EFFVIT_IMAGE": "mine:1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["effvit-edge", name, "my x.onnx"], done.stderr


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


@pytest.mark.parametrize("name", ["eng", "./eng", "kept here/eng", "{}/eng"])
def test_engines_are_kept_in_a_folder_that_the_caller_owns(name: str, tmp_path: Path) -> None:
    here = tmp_path.resolve()
    name = name.format(here)
    folder = here / name

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DOCKER / "run.sh"), *arguments],
            cwd=here,
            env={
                "PATH": f"{here / 'bin'}:{os.environ['PATH']}",
                "EFFVIT_ROOT": str(here / "root"),
                "EFFVIT_ENGINES": name,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    stand_in(here / "bin", "docker")
    shown = shlex.split(run("--dry-run", "doctor").stdout)
    assert not folder.exists()
    done = run("doctor")
    assert done.returncode == 0 and done.stdout.split("\n")[:-1] == shown
    volume = next(word for word in shown if word.endswith(":/engines"))
    # A volume of docker's, which has a name without a slash, would not be seen here.
    assert volume.startswith("/") and Path(volume.removesuffix(":/engines")) == folder
    assert folder.is_dir() and volume.removesuffix(":/engines") in done.stderr


def test_engines_in_what_is_no_folder_are_refused(tmp_path: Path) -> None:
    docker = stand_in(tmp_path / "bin", "docker")
    done = subprocess.run(
        [str(DOCKER / "run.sh"), "doctor"],
        env={**os.environ, "DOCKER": str(docker), "EFFVIT_ENGINES": str(docker)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3 and not done.stdout
    assert f"EFFVIT_ENGINES: {docker} is no folder" in done.stderr


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("bench x.onnx", True),
        ("bench", True),
        ("--debug bench x.onnx", True),
        ("label bench", False),
        ("benchmark", False),
        ("doctor", False),
        ("", False),
    ],
)
def test_no_health_check_disturbs_a_measurement(line: str, left_out: bool, tmp_path: Path) -> None:
    command = shlex.split(run_script(tmp_path, COMPUTER, *shlex.split(line)).stdout)
    image = command.index("effvit-edge:x86-cuda")
    assert ("--no-healthcheck" in command[:image]) == left_out


def test_a_terminal_is_passed_on_so_that_ctrl_c_reaches_the_run(tmp_path: Path) -> None:
    assert "--tty" not in run_script(tmp_path, COMPUTER, "label", "0").stdout
    own, given = pty.openpty()
    try:
        subprocess.run(
            [str(DOCKER / "run.sh"), "--dry-run", "label", "0"],
            env={"PATH": os.environ["PATH"], "EFFVIT_ROOT": str(tmp_path)},
            stdin=given,
            stdout=given,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        shown = os.read(own, 65536).decode()
    finally:
        os.close(own)
        os.close(given)
    assert "--interactive --tty" in shown


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


def guide(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text("utf-8")


def test_the_guide_takes_a_terminal_where_it_runs_something_by_ssh() -> None:
    lines = [line for line in guide("aws.md").splitlines() if line.startswith("ssh ")]
    runs = [line for line in lines if "run.sh" in line]
    assert runs and all("-t" in shlex.split(line) for line in runs)


def test_the_guide_says_of_jtop_what_the_images_do() -> None:
    texts = [path.read_text("utf-8") for path in DOCKER.iterdir()]
    assert not any("jtop" in text or "jetson-stats" in text for text in texts)
    assert "The images have no jetson-stats" in guide("jetson.md")


class Instance:
    """An AWS instance that starts with the guide's user data, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "opt" / "effvit_edge"
        self._calls = folder / "calls"
        for name in ("opt", "var/log"):
            (folder / name).mkdir(parents=True)
        self.programs = folder / "bin"
        note = f'echo "${{AS:-root}}: ${{0##*/}} $*" >> {shlex.quote(str(self._calls))}\n'
        run = shlex.quote(f"#!/bin/sh\n{note}")
        for name, what in {
            "usermod": note,
            "docker": note,
            "install": f'{note}for last; do :; done; mkdir -p "$last"',
            "git": f"{note}mkdir .git docker; echo {run} > docker/run.sh; chmod +x docker/run.sh",
            "sudo": '[ "$1 $2" = "-H -u" ]; AS="$3"; export AS; shift 3; exec "$@"',
        }.items():
            stand_in(self.programs, name, f"#!/bin/sh\nset -e\n{what}\n")
        found = re.search(r"```yaml\n(#cloud-config\n.*?)```", guide("aws.md"), re.DOTALL)
        assert found
        self.data = yaml.safe_load(found[1])
        (file,) = self.data["write_files"]
        assert [file["path"]] in self.data["runcmd"] and file["permissions"] == "0755"
        script = re.sub(r" (/opt/|/var/)", rf" {folder}\1", file["content"])
        self.script = stand_in(folder, "setup", script)

    def start(self) -> tuple[int, list[str]]:
        """Run the script: the exit code, and who called what."""
        self._calls.write_text("")
        path = f"{self.programs}:{os.environ['PATH']}"
        done = subprocess.run([str(self.script)], env={"PATH": path}, check=False)
        return done.returncode, self._calls.read_text("utf-8").splitlines()


def test_the_user_data_is_a_clean_script(tmp_path: Path) -> None:
    command = [tool("shellcheck"), str(Instance(tmp_path).script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_the_user_data_makes_is_the_users_who_logs_in(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    calls = [
        "root: usermod -aG docker ubuntu",
        f"root: install -d -o ubuntu -g ubuntu {instance.checkout}",
        "ubuntu: git clone URL .",
        "ubuntu: docker build -f docker/x86-cuda.Dockerfile -t effvit-edge:x86-cuda .",
        "ubuntu: run.sh doctor",
    ]
    assert instance.start() == (0, calls)
    # Again, by hand: what is cloned stays.
    assert instance.start() == (0, [call for call in calls if "git" not in call])
    # The guide logs in as that user, works in that folder, and makes an environment there.
    users = set(re.findall(r"\w+(?=@HOST)", guide("aws.md")))
    folders = set(re.findall(r"\bcd (\S+)", guide("aws.md")))
    assert (users, folders) == ({"ubuntu"}, {"/opt/effvit_edge"})
    assert set(instance.data["packages"]) == {"git", "python3-venv"}


@pytest.mark.parametrize("broken", ["usermod", "git", "docker"])
def test_the_user_data_stops_at_what_fails(broken: str, tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    stand_in(instance.programs, broken, "#!/bin/sh\nexit 7\n")
    code, calls = instance.start()
    assert code == 7 and not any("run.sh" in call for call in calls)
