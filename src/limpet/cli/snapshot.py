"""``limpet snapshot``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.job import Job
from limpet.cli.options import FILE, TIME, about_guest, chosen, declared, packing
from limpet.loading.start import start_of
from limpet.tools.units import kilobytes

if TYPE_CHECKING:
    from limpet.formats.ports import Port

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("snapshot", context_settings=_PASS_ON)
@about_guest
@declared
@click.option(
    "--after", type=TIME, default=0, metavar="TIME", help="Stop it then, if it has not before."
)
@click.option("-o", "--output", type=FILE, required=True, help="Where to put the bundle.")
@click.argument("app", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    app: Path,
    arguments: tuple[str, ...],
    output: Path,
    after: int,
    block: tuple[str, ...],
    net: tuple[str, ...],
    volume: tuple[str, ...],
    publish: tuple[Port, ...],
    **given: Any,
) -> None:
    """Run APP until it waits for its standard input, and write a bundle that goes on from there.

    A program that knows better writes to /dev/limpet/snapshot, which is there meanwhile. What it
    has written until then is shown now. Each start of the bundle has its own input, time and random
    numbers, ports and folders of the host's; its memory, files and threads are as they were, its
    connections are dead.
    """
    from limpet.running.snapshot import snapshot

    options = chosen(given, (*block, *net, *volume), tuple(map(str, publish)))
    options = replace(options, snapshot=True, after=after)
    start = start_of(app, given["root"], arguments)
    say.notes(start.given)
    files = packing(given).for_start(start)
    job = Job.given(start.program, options, files)
    with say.Progress() as progress:
        planned = job.plan(progress)
        say.warn(planned.warnings)
        progress("running it until it waits for input")
        made = snapshot(planned, [*start.words[1:], *arguments], name=start.words[0])
    click.echo(made.stdout, nl=False)
    click.echo(made.stderr, nl=False, err=True)
    made.bundle.write(output)
    say.note(f"{output}: {kilobytes(made.bundle.size)}")
