"""``limpet explain``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.job import Job
from limpet.cli.options import FILE, about_guest, chosen, declared, packing
from limpet.cli.pythons import by_python, which_python
from limpet.guests.usual import usual
from limpet.loading.named import named_in
from limpet.loading.start import start_of
from limpet.plain import plain

if TYPE_CHECKING:
    from limpet.formats.ports import Port


@click.command("explain", context_settings={"allow_interspersed_args": False})
@about_guest
@declared
@which_python
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.argument("app", type=FILE)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    app: Path,
    arguments: tuple[str, ...],
    as_json: bool,
    block: tuple[str, ...],
    net: tuple[str, ...],
    volume: tuple[str, ...],
    publish: tuple[Port, ...],
    **given: Any,
) -> None:
    """Say what the bundle of APP has and lacks, and the reason for each.

    ARGUMENTS are as for run: an interpreter's script and files that they name are packed as well.
    APP may be a script of Python: then it is its interpreter's bundle, as that starts cold.
    """
    from limpet.planning.explain import as_data, as_text

    options = chosen(given, (*block, *net, *volume), tuple(map(str, publish)))
    say.of_the_program(arguments)
    app, arguments = by_python(app, arguments, given["python"])
    with say.Progress() as progress:
        start = start_of(app, given["root"], arguments)
        files = packing(given).for_start(start)
        mounted = [each.removeprefix("volume:").removesuffix(":ro") for each in volume]
        words = () if usual(start.program).devices else arguments
        named = named_in(words, files.files, mounted, given["root"])
        job = Job.given(start.program, options, replace(files, given=named.paths))
        made = job.plan(progress)
    told = named.told(made.guest.given)
    whys = [*start.why, *([f"limpet run {told}"] if told else [])]
    if as_json:
        import json

        click.echo(json.dumps({"start": whys, **as_data(made)}, indent=2))
    else:
        for why in whys:
            click.echo(f"start     {plain(why)}")
        click.echo(as_text(made), nl=False)
