"""What is said beside a guest's output, all of it on standard error."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import click

from limpet.plain import plain

if TYPE_CHECKING:
    from rich.status import Status

    from limpet.loading.named import Named

_CHOSEN = {"quiet": False, "verbose": False}


def choose(_: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember ``--quiet`` or ``--verbose``, wherever on the line it stands."""
    _CHOSEN[str(parameter.name)] |= value


def be_quiet() -> None:
    """As with ``--quiet``."""
    _CHOSEN["quiet"] = True


def note(text: str) -> None:
    """What the user ought to know."""
    if not _CHOSEN["quiet"]:
        click.echo(f"limpet: {plain(text)}", err=True)


def notes(texts: Iterable[str]) -> None:
    """Several of them."""
    for each in texts:
        note(each)


def of_the_program(arguments: Iterable[str]) -> None:
    """Which options of the command stand behind the program, where they are the program's."""
    known = {name for each in click.get_current_context().command.params for name in each.opts}
    for each in arguments:
        name = each.partition("=")[0]
        if each == "--":
            return
        if len(name) > 1 and name in known:
            note(f"{name} stands behind the program and is the program's: options come before it")


def detail(text: str) -> None:
    """What a user who asked for it wants to know."""
    if _CHOSEN["verbose"]:
        click.echo(f"limpet: {plain(text)}", err=True)


def warn(warnings: Iterable[str]) -> None:
    """What a plan warns about."""
    for each in warnings:
        note(f"warning: {each}")


def given(named: Named, given: Collection[str]) -> None:
    """What of ``named`` a guest was ``given``, and what of it not."""
    told = (named.told(given), *named.changed(given), *named.hints, *named.lost(given))
    notes(filter(None, told))


class Progress:
    """A status line on a terminal; elsewhere a line for what takes long."""

    def __init__(self) -> None:
        self._status: Status | None = None

    def __enter__(self) -> Progress:
        return self

    def __call__(self, what: str, *, slow: bool = False) -> None:
        """See :class:`limpet.tools.progress.Progress`."""
        if _CHOSEN["quiet"]:
            return
        if _CHOSEN["verbose"] or not sys.stderr.isatty():
            (note if slow else detail)(what)
            return
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status(what)
            self._status.start()
        self._status.update(what)

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
