"""``limpet snapshot``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from limpet.cli import say
from limpet.cli.job import Job
from limpet.cli.options import FILE, about_guest, chosen, packing
from limpet.loading.start import start_of
from limpet.tools.units import kilobytes

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("snapshot", context_settings=_PASS_ON)
@about_guest
@click.option("-o", "--output", type=FILE, required=True, help="Where to put the bundle.")
@click.argument("app", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(app: Path, arguments: tuple[str, ...], output: Path, **given: Any) -> None:
    """Run APP until it waits for its standard input, and write a bundle that goes on from there.

    A program that knows better writes to /dev/limpet/snapshot, which is there meanwhile. What it
    has written until then is shown now. Each start of the bundle has its own input, time and random
    numbers; its memory, files and threads are as they were.
    """
    from limpet.running.snapshot import snapshot

    options = replace(chosen(given), snapshot=True)
    start = start_of(app, given["root"], arguments)
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
    say.note(f"{output}: {kilobytes(len(made.bundle.data))}")
