"""``limpet gdb``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from limpet.cli import debugger
from limpet.cli.options import FILE, saying
from limpet.errors import RunError
from limpet.running.debugging.places import DEFAULT, Place

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("gdb", context_settings=_PASS_ON)
@saying
@click.option(
    "-l",
    "--listen",
    type=debugger.PLACE,
    default=DEFAULT,
    show_default=True,
    metavar="HOST:PORT|PATH|-",
    help="Where a debugger connects; - is standard input and output, for target remote |.",
)
@click.argument("bundle", type=FILE)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(bundle: Path, arguments: tuple[str, ...], listen: Place) -> None:
    """Start BUNDLE, a finished one, and wait for a debugger before its first instruction.

    It is made again first, to see that it is what it says. A program that is no bundle yet is
    debugged with limpet run --gdb. A guest that was started by one of these can be left to itself
    (detach) and met again while it runs, at the same place, as often as one likes.

    The exit status is the guest's own.
    """
    if str(bundle).isdecimal() and not bundle.exists():
        raise RunError(
            f"{bundle}: a process that was started without a debugger's place: a debugger meets a "
            "running guest where it was started with --gdb",
            hint="start it with limpet gdb BUNDLE, or limpet run --gdb APP",
        )
    sys.exit(debugger.debug(bundle, [str(bundle), *arguments], listen))
