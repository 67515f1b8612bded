"""The command line: a thin skin over load, plan, build and run.

A command is a file here that has a ``command``; it is imported when it is asked for.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from limpet.cli.options import saying
from limpet.errors import BuildError, CompileError, LimpetError, ToolchainError
from limpet.plain import plain, plain_lines
from limpet.version import __version__

COMMANDS = (
    "run",
    "trace",
    "gdb",
    "python",
    "build",
    "snapshot",
    "explain",
    "doctor",
    "audit",
    "verify",
    "rebuild",
    "mcp",
    "kernel",
    "ps",
    "top",
)


class _Commands(click.Group):
    """Those of :data:`COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"limpet.cli.{cmd_name}").command
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@saying
@click.version_option(__version__, prog_name="limpet")
def cli() -> None:
    """One program, one tiny machine made for it alone, one executable file."""


def main() -> NoReturn:
    """The entry point: errors become one message and an exit status, never a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # by who starts this
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, _ended)
    try:
        cli(standalone_mode=False)
    except CompileError as error:
        click.echo(plain_lines(error.output.rstrip()), err=True)
        _fail(error)
    except LimpetError as error:
        _fail(error)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("limpet: interrupted", err=True)
        sys.exit(130)
    except _Ended as error:
        os.kill(os.getpid(), error.number)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    finally:
        _end_others()
    sys.exit(0)


class _Ended(SystemExit):
    """A signal that ends this; what it made for a while is taken away first."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _interrupted(number: int, frame: FrameType | None) -> None:
    _next_at_once()
    _end_others()
    signal.default_int_handler(number, frame)


def _ended(number: int, frame: FrameType | None) -> None:
    """End as by that signal."""
    _next_at_once()
    _end_others()
    raise _Ended(number)


def _next_at_once() -> None:
    """Whichever signal comes second ends this where it stands, with no traceback."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) in (_interrupted, _ended):
            signal.signal(each, signal.SIG_DFL)


def _end_others() -> None:
    """End compilers that have begun for what is not built any more: who asked would wait."""
    used = sys.modules.get("limpet.tools.process")  # nothing has begun where it is not imported
    if used:
        used.end_all()


def _fail(error: LimpetError) -> NoReturn:
    of_tools = type(error) in (BuildError, ToolchainError)  # with the lines that a compiler said
    message = plain_lines(error.message) if of_tools else plain(error.message)
    click.echo(f"limpet: {message}", err=True)
    if error.hint:
        click.echo(f"limpet: try: {plain(error.hint)}", err=True)
    sys.exit(error.exit_status)
