"""``limpet trace``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from limpet.cli import say
from limpet.cli.options import FILE, about_guest, attached
from limpet.cli.pythons import by_python, tell_of_paths
from limpet.cli.run import ready
from limpet.errors import RunError, TraceError
from limpet.guests.usual import usual
from limpet.running.tracing import outside, show
from limpet.running.tracing.events import Event, Events
from limpet.running.tracing.missed import Missed
from limpet.running.tracing.records import Reader
from limpet.running.tracing.start import TRACE, trace, traced_bundle, unikernel_bundle

if TYPE_CHECKING:
    from limpet.formats.ports import Port
    from limpet.running.devices import Block, Network, Volume

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
_PIECE = 1 << 16


@click.command("trace", context_settings=_PASS_ON)
@about_guest
@attached
@click.option("-o", "--output", type=FILE, help="Write there instead of to standard error.")
@click.option("-c", "--count", is_flag=True, help="Only a table of the calls, at the end.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object on each line, for programs.")
@click.option(
    "-s", "size", type=click.IntRange(0, 128), default=32, help="Bytes of memory that are shown."
)
@click.option("-e", "calls", metavar="CALLS", help="Only these: NAME,NAME; or all but: !NAME,NAME.")
@click.option("--read", is_flag=True, help="APP is a file of records: of a bundle's --trace=FILE.")
@click.argument("app", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    app: Path,
    arguments: tuple[str, ...],
    block: tuple[Block, ...],
    net: tuple[Network, ...],
    publish: tuple[Port, ...],
    volume: tuple[Volume, ...],
    output: Path | None,
    count: bool,
    as_json: bool,
    size: int,
    calls: str | None,
    read: bool,
    **given: Any,
) -> None:
    """Run APP and show what it asks of its system: each call, and which left the guest.

    APP is what limpet run takes, or a bundle that was built with --feature trace. A line without an
    arrow below it was served inside: nothing of it reached the host. What it looked for in vain and
    this host has stands at the end, as --include would pack it.

    The exit status is the guest's own.
    """
    choice = show.Choice(calls) if calls is not None else None
    with _opened(output) as stream:
        shown = _Shown(stream, count=count, as_json=as_json, size=size, choice=choice)
        if read:
            _read(app, shown)
            return
        if traced_bundle(app):
            status = trace(app.absolute(), [str(app), *arguments], shown.taken, shown.idle)
        elif unikernel_bundle(app):
            words = [str(app), *arguments]
            status = outside.trace(app.absolute(), words, shown.show, size)
        else:
            tell_of_paths(given, (each.name for each in volume))
            given["features"] += () if usual(app).devices else (TRACE,)
            devices = block, net, publish, volume
            shown.missed = Missed()
            app, arguments = by_python(app, arguments, None)
            own = usual(app).devices
            with ready(app, arguments, devices, given) as (made, argv):
                if own:
                    status = outside.trace(made.path, argv, shown.show, size)
                else:
                    status = trace(made.path, argv, shown.taken, shown.idle)
        shown.end(status)
    sys.exit(status)


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stderr
        return
    try:
        with output.open("w", encoding="ascii") as stream:
            yield stream
    except OSError as error:
        raise RunError(
            f"{output}: cannot be written: {error.strerror}", hint="give -o another file"
        ) from None


def _read(path: Path, shown: _Shown) -> None:
    try:
        with path.open("rb") as stream:
            while data := stream.read(_PIECE):
                shown.taken(data)
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be read: {error.strerror}", hint="give what --trace=FILE wrote"
        ) from None
    shown.end(None)


class _Shown:
    """Shows what came, as it comes; what is no record ends that, and nothing else."""

    def __init__(
        self,
        stream: TextIO,
        *,
        count: bool,
        as_json: bool,
        size: int,
        choice: show.Choice | None,
    ) -> None:
        self._stream, self._json, self._size = stream, as_json, size
        self._choice = choice
        self._table = show.Table() if count else None
        self.missed: Missed | None = None  # of a program that is packed for this
        self._reader, self._events = Reader(), Events()
        self._damaged: TraceError | None = None

    def taken(self, data: bytes) -> None:
        """Show the calls that ``data`` completes."""
        if self._damaged:
            return
        try:
            for record in self._reader.feed(data):
                for event in self._events.taken(record):
                    self.show(event)
        except TraceError as error:
            self._damaged = error

    def idle(self) -> None:
        """Nothing came for a moment: what was shown is there to be read."""
        if not self._table and not self._json:
            for event in self._events.left():
                self.show(event)
        self._stream.flush()

    def end(self, status: int | None) -> None:
        """The guest has ended: the rest, and how.

        Raises:
            TraceError: not all of it could be read.
        """
        for event in self._events.left():
            self.show(event)
        if self._table:
            for line in self._table.lines():
                print(line, file=self._stream)
        elif status is not None and not self._json:
            print(f"+++ exited with {status} +++", file=self._stream)
        self._stream.flush()
        if self._damaged and status is None:
            raise self._damaged
        if self._damaged:
            say.note(self._damaged.message)
        elif self._reader.rest:
            say.note("the trace ends within a record: the guest was ended from outside")
        if self.missed and (words := self.missed.words()):
            say.note(
                "it looked for files that this host has and the guest has not, of which a folder "
                f"is packed with all that is in it: {words}"
            )

    def show(self, event: Event) -> None:
        """Show a call."""
        if self.missed:
            self.missed.add(event)
        if self._choice and not self._choice.shows(event):
            return
        if self._table:
            self._table.add(event)
        elif self._json:
            print(show.as_json(event, self._size), file=self._stream)
        else:
            for line in show.lines(event, self._size):
                print(line, file=self._stream)
