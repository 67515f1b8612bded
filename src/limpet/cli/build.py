"""``limpet build``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.job import Job
from limpet.cli.options import FILE, about_guest, chosen, declared, packing
from limpet.cli.pythons import by_python, for_python, is_python, tell_of_paths
from limpet.errors import PlanError
from limpet.formats.bounds import is_chosen
from limpet.guests.usual import usual
from limpet.loading.interpreters import known
from limpet.loading.start import Start, start_of
from limpet.plain import quoted
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
@click.option("-m", "module", metavar="MODULE", help="The bundle runs this module, as python -m.")
@click.option("-c", "code", metavar="CODE", help="The bundle runs this code, as python -c.")
@click.option("-o", "--output", type=FILE, help="Where to put the bundle.")
@click.argument("app", type=FILE, required=False)
@click.argument("more", nargs=-1, metavar="")
def command(
    app: Path | None,
    more: tuple[str, ...],
    module: str | None,
    code: str | None,
    output: Path | None,
    block: tuple[str, ...],
    net: tuple[str, ...],
    volume: tuple[str, ...],
    publish: tuple[Port, ...],
    **given: Any,
) -> None:
    """Write the bundle of APP: one executable that needs nothing else.

    A name without a slash is looked up in PATH when there is no such file here. The bundle of a
    script, of -m and of -c is started with the script's arguments; APP may name the Python of -m
    and -c.
    """
    if more:
        raise PlanError(
            f"{quoted(more[0])}: a bundle gets its words when it is started",
            hint=f"leave them out, and then ./{_place(app or Path(), module)} {quoted(more[0])}; "
            "--file HOST:GUEST packs a file",
        )
    app, words = _asked(app, module, code, given)
    target = output or _place(app, module)
    _check_place(app, target)
    tell_of_paths(given, (each.split(":")[1] for each in volume))
    options = chosen(given, (*block, *net, *volume), tuple(map(str, publish)))
    start, options = _started(app, words, options, given)
    chosen_at_start = any(map(is_chosen, (*options.publish, *options.connect)))
    if options.devices or usual(start.program).devices or chosen_at_start:
        options = replace(options, features=_with_help(options.features))
    if is_python(app):
        given["files"] += tuple(f"{host}:{path}" for path, host in hooks_of(start.program).items())
    size = _warm(start, options, given, target) if is_python(app) else None
    if size is None:
        files = packing(given).for_start(start) if start.words else packing(given)
        size = Job.given(start.program, options, files).deliver(Cache.default(), target)
    say.note(f"{target}: {kilobytes(size)}")


def _asked(
    app: Path | None, module: str | None, code: str | None, given: dict[str, Any]
) -> tuple[Path, tuple[str, ...]]:
    """What is to be started, and its first words; a Python of ``-m`` or ``-c`` is in ``given``.

    Raises:
        PlanError: there is nothing, or more than one thing.
    """
    words = [(name, text) for name, text in (("-m", module), ("-c", code)) if text is not None]
    if len(words) > 1:
        raise PlanError("-m and -c do not go together", hint="leave out one of them")
    if not words:
        if app is None:
            raise click.UsageError("Missing argument 'APP'.")
        return app, ()
    if app is not None:
        _name_python(app, words[0][0], given)
    return Path(words[0][0]), words[0][1:]


def _name_python(app: Path, option: str, given: dict[str, Any]) -> None:
    found = start_of(app).program
    if given["python"] or known(found) is None:
        raise PlanError(
            f"{app} and {option} do not go together",
            hint="leave out one of them; --python PATH names the interpreter",
        )
    given["python"] = str(found)


def _place(app: Path, module: str | None) -> Path:
    if str(app) == "-c":
        raise PlanError("-c: the bundle has no name", hint="give it one: -o FILE")
    name = module or app.resolve().name.removesuffix(".c")
    return Path(f"{name}.limpet")


def _check_place(app: Path, target: Path) -> None:
    if app.exists() and target.exists() and app.samefile(target):
        raise PlanError(
            f"{target}: the bundle would take the place of what it is made from",
            hint="choose another place with -o",
        )


def _started(
    app: Path, words: tuple[str, ...], options: Options, given: dict[str, Any]
) -> tuple[Start, Options]:
    """What starts for ``app``, and with which words: a script is its interpreter's.

    An interpreter is called by its path, since it looks for its library there.
    """
    program, words = by_python(app, words, given["python"])
    start = start_of(program, given["root"], words)
    say.notes(start.given)
    if len(start.words) == 1 and not words and known(start.program) is None:
        return replace(start, words=()), options
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
