"""``effvit-edge``: finds the command, runs it, and turns what went wrong into an exit code.

0 fine, 1 the work failed, 2 usage or bad input, 3 environment, 4 a gate failed, 5 artifact not
compatible with this device, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from effvit_edge import __version__
from effvit_edge.core.errors import INTERRUPTED, EdgeError, EnvironmentFault, InputError


@dataclass(frozen=True)
class Entry:
    """One command: ``module`` holds it under the name ``command`` and is imported when needed."""

    name: str
    module: str
    help: str


COMMANDS = (
    Entry("demo", "effvit_edge.cli.demo", "Render a test film, label it, measure the accuracy."),
    Entry("label", "effvit_edge.cli.label", "Label a video, a folder of videos or a camera."),
    Entry("models", "effvit_edge.cli.models", "List the networks with their size and cost."),
    Entry("export", "effvit_edge.cli.export", "Make a checked ONNX file, or an engine of it."),
    Entry(
        "prepare", "effvit_edge.cli.prepare", "Decode a set once for training; check a download."
    ),
    Entry("train", "effvit_edge.cli.train", "Train a network as a recipe says; resume it."),
    Entry("eval", "effvit_edge.cli.eval", "Measure a checkpoint, ONNX file or engine on data."),
    Entry("inspect", "effvit_edge.cli.inspect", "Show what an ONNX file or checkpoint is."),
    Entry("bench", "effvit_edge.cli.bench", "Measure how long a label takes on this machine."),
    Entry("doctor", "effvit_edge.cli.doctor", "Say whether this machine is fit, and what to mend."),
)


class CommandTable(click.Group):
    """The commands of :data:`COMMANDS`; listing them imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name. A module that does not import is an error, not "no such"."""
        for entry in COMMANDS:
            if entry.name == cmd_name:
                command: click.Command = importlib.import_module(entry.module).command
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; a name that is none is refused with the nearest that is."""
        near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not near:
                raise
            said = f"{error.format_message()} Did you mean '{near[0]}'?"
            raise click.UsageError(said, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's own one-line texts."""
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.help) for entry in COMMANDS])


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,  # main takes it off the line, so that it may stand anywhere
    help="Show the trace of an error, and what decodes each source.",
)
@click.version_option(__version__, prog_name="effvit-edge")
def cli() -> None:
    """Train, export and run video action recognition on the edge."""


_LABELLING = ("source ", "lane of ", "pictures of ", "inference", "records", "predictions")
"""How the names of labelling's threads begin."""


def program() -> int:
    """The process's own command line: :func:`main`, and an end that hung threads do not spoil.

    A source that does not answer is left alone in its thread. Python takes such a thread down as it
    ends; in the middle of a library's code that is an abort.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    code = main()
    if any(thread.name.startswith(_LABELLING) for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command as Ctrl-C does: what is half-written is removed."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, errors and all.

    Args:
        arguments: without the program's name; the process's own by default. Commands find in
            their context's ``obj`` whether ``--debug`` is among them.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, given = _take_debug(given)
    try:
        outcome = cli.main(given, prog_name="effvit-edge", standalone_mode=False, obj=debug)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        text, code = _explain(error)
        if debug:
            traceback.print_exc()
        click.echo(f"error: {text}", err=True)
        return code
    return outcome if isinstance(outcome, int) else 0


def _take_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """Take ``--debug`` off a command line, up to a ``--`` that ends its options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    return len(options) < end, options + arguments[end:]


def _explain(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an error that ended a command."""
    if isinstance(error, EdgeError):
        return str(error), error.exit_code
    if isinstance(error, PermissionError):
        return f"No permission: {error.strerror}: {error.filename}.", EnvironmentFault.exit_code
    if isinstance(error, FileNotFoundError) and _folder_is_gone():
        text = "The current folder has been deleted. Change to another one, for example: cd ~"
        return text, EnvironmentFault.exit_code
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        text = f"{error.filename} is a file where a folder is needed. Give another name."
        return text, InputError.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}.", EdgeError.exit_code
    summary = str(error).strip().split("\n")[0]
    named = f"{type(error).__name__}: {summary}" if summary else type(error).__name__
    return f"Unexpected {named} (--debug shows the trace).", EdgeError.exit_code


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
