"""``limpet build``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.job import Job
from limpet.cli.options import FILE, about_guest, chosen, declared, packing
from limpet.cli.pythons import by_python, for_python, is_python
from limpet.errors import PlanError
from limpet.guests.usual import usual
from limpet.loading.start import Start, is_script, start_of
from limpet.running.warm.guest import hooks_of
from limpet.tools.cache import Cache
from limpet.tools.units import kilobytes

if TYPE_CHECKING:
    from limpet.formats.ports import Port
    from limpet.planning.options import Options

_DEPLOYED = ("help", "tender")
"""Features of a bundle with devices, whose operator may have nothing but the file."""


def _with_help(features: tuple[str, ...]) -> tuple[str, ...]:
    named = {each.partition("=")[0] for each in features}
    return (*features, *(each for each in _DEPLOYED if each not in named))


@click.command("build")
@about_guest
@declared
@for_python
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
    """Write the bundle of APP: one executable that needs nothing else.

    The bundle of a script is started with the script's arguments.
    """
    target = output or Path(f"{app.resolve().name.removesuffix('.c')}.limpet")
    _check_place(app, target)
    options = chosen(given, (*block, *net, *volume), tuple(map(str, publish)))
    if options.devices or usual(app).devices:
        options = replace(options, features=_with_help(options.features))
    start, options = _started(app, options, given)
    if is_python(app):
        given["files"] += tuple(f"{host}:{path}" for path, host in hooks_of(start.program).items())
    size = _warm(start, options, given, target) if is_python(app) else None
    if size is None:
        files = packing(given).for_start(start) if start.words else packing(given)
        size = Job.given(start.program, options, files).deliver(Cache.default(), target)
    say.note(f"{target}: {kilobytes(size)}")


def _check_place(app: Path, target: Path) -> None:
    if app.exists() and target.exists() and app.samefile(target):
        raise PlanError(
            f"{target}: the bundle would take the place of what it is made from",
            hint="choose another place with -o",
        )


def _started(app: Path, options: Options, given: dict[str, Any]) -> tuple[Start, Options]:
    """What starts for ``app``, and with which words: a script is its interpreter's."""
    program, words = by_python(app, (), given["python"])
    if program == app and not is_script(app):
        return Start(app, ()), options
    start = start_of(program, given["root"], words)
    return start, replace(options, words=(*start.words, *words))


def _warm(start: Start, options: Options, given: dict[str, Any], target: Path) -> int | None:
    """Put the bundle in which Python has started already at ``target``, where that can be.

    Returns:
        Its size; ``None`` where it cannot be or is not wanted.
    """
    from limpet.cli.warm import deliver_warm, wanted_of

    if given["cold"]:
        return None
    wanted = wanted_of(start, options.words[1:], options, packing(given), given)
    found = wanted if isinstance(wanted, str) else deliver_warm(wanted, Cache.default(), target)
    if isinstance(found, str):
        say.note(f"starts cold: {found}")
        return None
    return found
