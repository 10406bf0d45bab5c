from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from effvit_edge import __version__
from effvit_edge.cli import main as cli_main
from effvit_edge.core.errors import (
    EdgeError,
    EnvironmentFault,
    GateFailure,
    IncompatibleArtifact,
    InputError,
)


def register(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Make ``command`` the only one of the program, under the name ``work``."""
    module = ModuleType("a_command_module")
    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = cli_main.Entry("work", module.__name__, "Work.")
    monkeypatch.setattr(cli_main, "COMMANDS", (entry,))


def raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (EdgeError("It failed."), 1, "error: It failed.\n"),
        (InputError("No such clip."), 2, "error: No such clip.\n"),
        (EnvironmentFault("No camera."), 3, "error: No camera.\n"),
        (GateFailure("Worse by 3 points."), 4, "error: Worse by 3 points.\n"),
        (IncompatibleArtifact("Built for sm_90."), 5, "error: Built for sm_90.\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.Abort(), 130, "interrupted\n"),
        (PermissionError(13, "Permission denied", "/dev/video0"), 3, "/dev/video0"),
        (FileExistsError(17, "File exists", "folder.yaml"), 2, "folder.yaml is a file"),
        (NotADirectoryError(20, "Not a directory", "a/b"), 2, "a/b is a file"),
        (OSError(28, "No space left on device", "out.mp4"), 1, "No space left on device: out.mp4"),
        (
            RuntimeError("bad\nand a long story"),
            1,
            "error: Unexpected RuntimeError: bad (--debug shows the trace).\n",
        ),
        (ZeroDivisionError(), 1, "error: Unexpected ZeroDivisionError (--debug shows the trace)"),
        (click.UsageError("Which one?"), 2, "Which one?"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_error_is_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    told: str,
) -> None:
    register(monkeypatch, raising(error))
    assert cli_main.main(["work"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("arguments", [["--debug", "work"], ["work", "--debug"]])
def test_debug_shows_the_trace_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    register(monkeypatch, raising(InputError("No such clip.")))
    assert cli_main.main(arguments) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("error: No such clip.\n")


def test_what_follows_two_dashes_is_not_an_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    @click.argument("source")
    def command(source: str) -> None:
        raise InputError(source)

    register(monkeypatch, command)
    assert cli_main.main(["work", "--", "--debug"]) == 2
    assert capsys.readouterr().err == "error: --debug\n"


def test_a_command_that_ends_well_is_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register(monkeypatch, click.Command("work", callback=lambda: click.echo("done")))
    assert cli_main.main(["work"]) == 0
    assert capsys.readouterr().out == "done\n"


def test_a_command_that_does_not_import_is_an_error_not_a_missing_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = cli_main.Entry("work", "no_such_module", "Work.")
    monkeypatch.setattr(cli_main, "COMMANDS", (entry,))
    assert cli_main.main(["work"]) == 1
    shown = capsys.readouterr().err
    assert "no_such_module" in shown
    assert "No such command" not in shown


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.main(["modles"]) == 2
    shown = capsys.readouterr().err
    assert "No such command 'modles'" in shown and "Did you mean 'models'?" in shown
    assert cli_main.main(["xyzzy"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"effvit-edge, version {__version__}\n"


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.main([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_a_thread_that_hangs_does_not_spoil_the_end() -> None:
    """What was printed is there, and the exit code is the command's own."""
    script = (
        "import threading, time\n"
        "from effvit_edge.cli import main as module\n"
        "def main():\n"
        "    work = lambda: time.sleep(600)\n"
        "    threading.Thread(target=work, name='lane of camera', daemon=True).start()\n"
        "    print('what was said', end='')\n"
        "    return 130\n"
        "module.main = main\n"
        "raise SystemExit(module.program())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (130, "what was said")


def test_a_current_folder_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    assert cli_main.main(["label", str(tmp_path / "a.mp4")]) == 3
    assert "The current folder has been deleted" in capsys.readouterr().err
