"""``limpet snapshot``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.job import Job, Packing
from limpet.cli.options import FILE, TIME, about_guest, chosen, declared, packing
from limpet.cli.pythons import by_python, tell_of_paths, which_python
from limpet.errors import PlanError
from limpet.loading.start import Start, start_of
from limpet.tools.cache import Cache
from limpet.tools.units import kilobytes

if TYPE_CHECKING:
    from limpet.formats.ports import Port

_OUTPUT = ("-o", "--output")
_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("snapshot", context_settings=_PASS_ON)
@about_guest
@declared
@click.option(
    "--after", type=TIME, default=0, metavar="TIME", help="Stop it then, if it has not before."
)
@which_python
@click.option("-o", "--output", type=FILE, help="Where to put the bundle: here or at the end.")
@click.argument("app", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    app: Path,
    arguments: tuple[str, ...],
    output: Path | None,
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

    APP may be a script of Python, whose modules get new random numbers in each start as well, and
    whose hooks (snapshot_restore_py) are called.
    """
    from limpet.running.snapshot import snapshot

    options = chosen(given, (*block, *net, *volume), tuple(map(str, publish)))
    options = replace(options, snapshot=True, after=after)
    target, arguments = _place(output, app, arguments)
    say.of_the_program(arguments)
    tell_of_paths(given, (each.split(":")[1] for each in volume))
    program, words = by_python(app, arguments, given["python"])
    start = start_of(program, given["root"], words)
    say.notes(start.given)
    behind = [*start.words[1:], *words]
    with _stopping(start, behind, packing(given)) as (files, line), say.Progress() as progress:
        planned = Job.given(start.program, options, files.for_start(start)).plan(progress)
        say.warn(planned.warnings)
        progress("running it until it waits for input")
        made = snapshot(planned, line, name=start.words[0])
    click.echo(made.stdout, nl=False)
    click.echo(made.stderr, nl=False, err=True)
    made.bundle.write(target)
    say.note(f"{target}: {kilobytes(made.bundle.size)}")


def _place(
    output: Path | None, app: Path, arguments: tuple[str, ...]
) -> tuple[Path, tuple[str, ...]]:
    """Where the bundle goes, and the program's words: where nothing before says it, their end may.

    Raises:
        PlanError: nothing does.
    """
    if output is not None:
        return output, arguments
    if arguments[-2:-1] and arguments[-2] in _OUTPUT:
        say.note(
            f"{shlex.join(arguments[-2:])} at the end is not the program's: the bundle goes there"
        )
        return Path(arguments[-1]), arguments[:-2]
    at = next((at for at, word in enumerate(arguments) if word in _OUTPUT), len(arguments))
    named = arguments[at + 1] if at + 1 < len(arguments) else f"{app.name}.limpet"
    words = [str(app), *arguments[:at], *arguments[at + 2 :]]
    raise PlanError(
        "where to put the bundle is not said: what stands behind APP is the program's",
        hint=shlex.join(["limpet", "snapshot", "-o", named, *words]),
    )


@contextmanager
def _stopping(
    start: Start, words: Sequence[str], files: Packing
) -> Iterator[tuple[Packing, Sequence[str]]]:
    """What is packed and started so that a script of Python knows of its moment.

    Args:
        words: what is behind the name of what starts; returned for all that is no such script.
    """
    from limpet.loading.interpreters import known
    from limpet.running.warm.guest import STUB, files_with_moment, hooks_of, laid_with_moment
    from limpet.running.warm.words import words_of

    which, parts = known(start.program), words_of(words)
    python = which is not None and which.name.startswith("CPython")
    if python and words and not parts:
        say.note(
            "its modules have the random numbers of the moment in each start, and no hooks are "
            "called: its Python is asked for more than to run a script"
        )
    if not python or not parts or parts.kind == "-":
        yield files, words
        return
    count = len(parts.options)
    with files_with_moment(count, Cache.default()) as folder:
        own = {**hooks_of(start.program), **laid_with_moment(folder)}
        packed = replace(files, files={**own, **files.files})
        yield packed, [*words[:count], STUB, *words[count:]]
