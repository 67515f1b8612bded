"""``limpet python``: in the place of an interpreter."""

from __future__ import annotations

import os

import click

from limpet.cli import say
from limpet.cli.job import Job, Packing
from limpet.cli.options import asked_features
from limpet.cli.pythons import interpreter
from limpet.loading.start import start_of
from limpet.planning.options import Options
from limpet.tools.cache import Cache

_ALL = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


@click.command("python", context_settings=_ALL)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(words: tuple[str, ...]) -> None:
    """Run what WORDS say as Python does, in a guest: all options are the interpreter's.

    It is the python of $VIRTUAL_ENV, else python3 in PATH.  The guest has the script, the modules
    that it names and nothing else of this host; what it is to have beside, limpet run gives it.
    """
    from limpet.cli.warm import run_warm, wanted_of
    from limpet.running.exec import replace
    from limpet.running.warm.guest import hooks_of

    say.be_quiet()  # what it says is the interpreter's
    start = start_of(interpreter(None), None, words, gives=False)  # it could not be told
    options = Options(features=asked_features((), any(map(os.isatty, range(3))), None))
    argv = [start.words[0], *words]
    given = {"warm": None, "teardown": False}
    run_warm(wanted_of(start, words, options, Packing(), given), argv, Cache.default())
    packing = Packing(files=hooks_of(start.program)).for_start(start)
    with Job.given(start.program, options, packing).bundle(Cache.default()) as made:
        replace(made.path, argv)
