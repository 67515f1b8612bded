"""``limpet run``."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace as other
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import debugger, say
from limpet.cli.job import Job, Made, Packing
from limpet.cli.options import FILE, about_guest, attached, chosen, packing
from limpet.cli.pythons import OPTIONS, by_python, for_python, is_python, tell_of_paths
from limpet.errors import PlanError
from limpet.guests.usual import usual
from limpet.loading.mentioned import mentioned
from limpet.loading.named import NOTHING, Named, named_in
from limpet.loading.start import Start, start_of
from limpet.tools.cache import Cache

if TYPE_CHECKING:
    from limpet.formats.ports import Port
    from limpet.planning.options import Options
    from limpet.running.debugging.places import Place
    from limpet.running.devices import Block, Network, Volume

_NAME_MOST = 100
"""Characters of a program's name that a core file has in its own."""

_TENDERS = {"--mem": "--memory SIZE", "--net": "--net NAME=tap:INTERFACE"}
_TENDERS |= {"--block": "--block NAME=PATH[:ro][,sector=SIZE]"}
_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("run", cls=debugger.WithGdb, context_settings=_PASS_ON)
@about_guest
@attached
@debugger.option
@click.option(
    "--dumpcore", type=FILE, metavar="DIR", help="Where a guest that crashes leaves a core file."
)
@click.option("--report", type=FILE, help="Write how the guest ended to this file, as JSON.")
@for_python
@click.argument("app", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    app: Path,
    arguments: tuple[str, ...],
    block: tuple[Block, ...],
    net: tuple[Network, ...],
    publish: tuple[Port, ...],
    volume: tuple[Volume, ...],
    report: Path | None,
    dumpcore: Path | None,
    gdb: Place | None,
    **given: Any,
) -> None:
    """Run APP (a program, a script, a .c file, a folder with limpet.toml or a unikernel).

    A name without a slash is looked up in PATH when there is no such file here. A script gets the
    program that its #! line names. Files that ARGUMENTS name are packed as they are now.

    The exit status is the guest's own; see docs/exit-status.md for the others.
    """
    from limpet.running.exec import replace

    if gdb and dumpcore:
        raise PlanError("--gdb and --dumpcore do not go together", hint="leave out one of them")
    given["features"] += ("report",) if report else ()
    given["features"] += (debugger.FEATURE,) if gdb else ()
    given["features"] += (debugger.CORES,) if dumpcore else ()
    given["cold"] |= gdb is not None or dumpcore is not None
    tell_of_paths(given, (each.name for each in volume))
    words = [f"--report={report}"] if report else []
    devices = block, net, publish, volume
    if is_python(app, arguments):
        app, arguments = _as_python(app, arguments, words, devices, given)
    with ready(app, arguments, devices, given) as (made, argv):
        line = [argv[0], *words, *argv[1:]]
        if gdb:
            sys.exit(debugger.debug(made.path, line, gdb))
        if dumpcore:
            from limpet.running.cores.dump import run

            name = f"core.{app.name[:_NAME_MOST]}"
            sys.exit(run(made.path, line, dumpcore, name, debugger.known(), say.note))
        replace(made.path, line)


Attached = tuple[
    tuple["Block", ...], tuple["Network", ...], tuple["Port", ...], tuple["Volume", ...]
]


@contextmanager
def ready(
    app: Path, arguments: Sequence[str], given_devices: Attached, given: dict[str, Any]
) -> Iterator[tuple[Made, list[str]]]:
    """The bundle of a guest, made or found, and the command line to start it with.

    Raises:
        LimpetError: it cannot be made, or not be started as it is given.
    """
    block, net, publish, volume = given_devices
    _check_word(str(app), arguments)
    attached: list[Block | Network | Volume] = [*block, *net, *volume]
    start = start_of(app, given["root"], arguments, gives=not given["no_given"])
    own = usual(start.program).devices
    forward = publish if net or own else ()  # by the network's own relay
    if forward:
        from limpet.running.devices import check_ports

        check_ports(net, forward)
    _settle_terminal(given)
    ports = () if forward else tuple(map(str, publish))
    options = chosen(given, _declared(block, net, volume), ports)
    _check_ways((*options.publish, *options.connect))
    _tell_of_rights(volume, options)
    files = packing(given).for_start(start)
    named = NOTHING if own else _named(arguments, start, files, volume, given)
    files = other(files, given=named.paths)
    job = Job.given(start.program, options, files, strict=options.strict)
    with job.bundle(Cache.default()) as made:
        say.given(named, made.given)
        if options.strict:
            from limpet.running.strict import refuse_if_missing

            refuse_if_missing(app.name, made.path, made.warnings)
        words: list[str] = []
        if attached or made.devices:
            from limpet.running import devices

            if own:
                devices.check_attached(app.name, made.devices, attached)
            words += devices.words(block, net, forward, volume)
        if attached or own:
            words.append("--")
        yield made, [start.words[0], *words, *start.words[1:], *arguments]


def _named(
    arguments: Sequence[str],
    start: Start,
    files: Packing,
    volumes: Sequence[Volume],
    given: dict[str, Any],
) -> Named:
    """The files that the words behind a program name, where these are to be given."""
    if given["no_given"]:
        return NOTHING
    folders = [each.name for each in volumes]
    found = named_in(arguments, files.files, folders, given["root"])
    taken = {*files.files, *found.files}
    more = mentioned(start.files, taken, folders, given["root"])
    return other(found, hints=(*start.given, *found.hints, *more))


def _as_python(
    app: Path,
    arguments: tuple[str, ...],
    words: Sequence[str],
    devices: Attached,
    given: dict[str, Any],
) -> tuple[Path, tuple[str, ...]]:
    """Start a script of Python warm; where that cannot be, its interpreter and what it is given.

    Args:
        words: what the monitor is given.
    """
    from limpet.cli.warm import run_warm, wanted_of
    from limpet.running.warm.guest import hooks_of

    app, arguments = by_python(app, arguments, given["python"])
    start = start_of(app, given["root"], arguments, gives=not given["no_given"])
    behind = [*start.words[1:], *arguments]
    if not given["cold"]:
        _settle_terminal(given)
        block, net, publish, volume = devices
        options = chosen(given, _declared(block, net, volume), tuple(map(str, publish)))
        _check_ways((*options.publish, *options.connect))
        _tell_of_rights(volume, options)
        named = _named(behind, start, packing(given).for_start(start), volume, given)
        wanted = wanted_of(start, behind, options, packing(given), given, named)
        folders = [word for each in volume for word in each.words()]
        folders += ["--"] if volume else []
        run_warm(wanted, [start.words[0], *words, *folders, *behind], Cache.default())
    given["files"] += tuple(f"{host}:{guest}" for guest, host in hooks_of(start.program).items())
    return app, arguments


def _settle_terminal(given: dict[str, Any]) -> None:
    if given["tty"] is None:
        given["tty"] = any(map(os.isatty, range(3)))


def _check_word(app: str, arguments: Sequence[str]) -> None:
    """Nothing, or an error for a word that is neither a file nor an option.

    Raises:
        PlanError: with the spelling of an option that a tender would take.
    """
    if app.startswith("-") and not os.path.exists(app):
        known = re.match("--(?:mem|net|block)(?=[-:=])", app)
        hint = f"run {_TENDERS[known[0]]}" if known else "run --help"
        if app[1:2] in OPTIONS:  # which stand right before the script
            from limpet.running.warm.words import words_of

            words = words_of((app, *arguments))
            script = words.rest[0] if words and words.rest else "-"
            if not script.startswith("-") and not os.path.exists(script):
                raise PlanError(f"{script}: no such file", hint="check the path")
            hint = f"python {shlex.join((app, *arguments))}"
        raise PlanError(f"{app}: no such option", hint=f"limpet {hint}")


def _check_ways(given: Sequence[str]) -> None:
    """Nothing, or an error for a way out that a bundle's start would choose.

    Raises:
        PlanError: there is one.
    """
    if not given:
        return
    from limpet.formats.bounds import is_chosen

    for each in filter(is_chosen, given):
        name = each.partition("=")[0]
        raise PlanError(
            f"{each}: {name} is for a bundle's start to choose, and this one starts now",
            hint="give the address itself; or limpet build, and the bundle's own words",
        )


def _tell_of_rights(volumes: Sequence[Volume], options: Options) -> None:
    """A line for each folder of root's that the guest will not be able to use."""
    for each in volumes if os.geteuid() == 0 else ():
        problem = each.out_of_reach(options.uid, options.gid)
        if problem:
            say.note(problem)


def _declared(
    blocks: Sequence[Block], networks: Sequence[Network], volumes: Sequence[Volume]
) -> tuple[str, ...]:
    """The devices by the names that the plan knows."""
    names = [f"block:{each.name}" for each in blocks] + [f"net:{each.name}" for each in networks]
    names += [f"volume:{each.name}{':ro' * each.read_only}" for each in volumes]
    return tuple(names)
