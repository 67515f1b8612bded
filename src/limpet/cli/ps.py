"""``limpet ps``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from limpet.cli import say
from limpet.cli.options import saying
from limpet.plain import quoted
from limpet.running.instances import Finder, Found, Instance

COLUMNS = ("PID", "USER", "GUEST", "SHA256", "BACKEND", "MEMORY", "CPU", "CALLS", "AGE")
_LONG = 40
"""Characters of a guest's name that a table shows."""


@click.command("ps")
@saying
@click.option("--json", "as_json", is_flag=True, help="For programs, with times in seconds.")
def command(as_json: bool) -> None:
    """List the bundles that run on this host."""
    found = Finder().look()
    if as_json:
        click.echo(as_text(found))
        return
    rows = [COLUMNS, *(row(each, f"{each.cpu:.2f} s", _made(each)) for each in found.instances)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(COLUMNS))]
    for each in rows:
        words = (word.ljust(width) for word, width in zip(each, widths, strict=True))
        click.echo("  ".join(words).rstrip())
    warn_of_hidden(found)


def _made(each: Instance) -> str:
    return "-" if each.hypercalls is None else str(each.hypercalls)


def as_text(found: Found) -> str:
    """Those that run as JSON, and how many processes could not be looked at."""
    return json.dumps(asdict(found), indent=1)


def row(each: Instance, cpu: str, calls: str) -> tuple[str, ...]:
    """A line of the table: what a file says of its guest is somebody else's, so it is quoted."""
    name = quoted(each.guest)
    name = name if len(name) <= _LONG else f"{name[: _LONG - 3]}..."
    memory = "?" if each.memory is None else f"{each.memory / (1 << 20):.1f} MiB"
    return (
        str(each.pid),
        str(each.user),
        name,
        each.sha256[:12],
        each.backend,
        memory,
        cpu,
        calls,
        age(each.age),
    )


def age(seconds: float) -> str:
    """A time in its largest unit, and the one below: ``3 h 20 min``."""
    whole = int(seconds)
    for size, name, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // below} {small}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def warn_of_hidden(found: Found) -> None:
    """Say that there may be more."""
    if found.hidden:
        what = "1 process" if found.hidden == 1 else f"{found.hidden} processes"
        say.note(f"{what} cannot be looked at by this user: monitors may be among them")
