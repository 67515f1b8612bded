"""``limpet build``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.job import Job
from limpet.cli.options import FILE, about_guest, chosen, declared, packing
from limpet.guests.usual import usual
from limpet.tools import executables
from limpet.tools.cache import Cache
from limpet.tools.units import kilobytes

if TYPE_CHECKING:
    from limpet.formats.ports import Port

_DEPLOYED = ("help", "tender")
"""Features of a bundle with devices, whose operator may have nothing but the file."""


def _with_help(features: tuple[str, ...]) -> tuple[str, ...]:
    named = {each.partition("=")[0] for each in features}
    return (*features, *(each for each in _DEPLOYED if each not in named))


@click.command("build")
@about_guest
@declared
@click.option("-o", "--output", type=FILE, help="Where to put the bundle.")
@click.argument("app", type=FILE)
def command(
    app: Path,
    output: Path | None,
    block: tuple[str, ...],
    net: tuple[str, ...],
    volume: tuple[str, ...],
    publish: tuple[Port, ...],
    **given: Any,
) -> None:
    """Write the bundle of APP: one executable that needs nothing else."""
    target = output or Path(f"{app.resolve().name.removesuffix('.c')}.limpet")
    options = chosen(given, (*block, *net, *volume), tuple(map(str, publish)))
    if options.devices or usual(app).devices:
        options = replace(options, features=_with_help(options.features))
    job = Job.given(app, options, packing(given))
    with job.bundle(Cache.default()) as made:
        executables.copy(made.path, target)
        size = made.path.stat().st_size
    say.note(f"{target}: {kilobytes(size)}")
