"""``limpet top``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from limpet.cli.options import saying
from limpet.cli.ps import COLUMNS, as_text, row, warn_of_hidden
from limpet.errors import PlanError
from limpet.running.instances import Finder, Found, Instance

if TYPE_CHECKING:
    from rich.table import Table

_SECONDS = click.FloatRange(0.1, 3600)


@click.command("top")
@saying
@click.option("--json", "as_json", is_flag=True, help="Once, for programs: as limpet ps --json.")
@click.option("--interval", type=_SECONDS, default=1.0, show_default=True, help="Seconds.")
def command(as_json: bool, interval: float) -> None:
    """Watch the bundles that run on this host, the busiest first; Ctrl-C ends it."""
    finder = Finder()
    if as_json:
        click.echo(as_text(finder.look()))
        return
    if not sys.stdout.isatty():
        raise PlanError("limpet top needs a terminal", hint="limpet ps, or limpet top --json")
    _watch(finder, interval)


def _watch(finder: Finder, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live

    before, then = finder.look(), time.monotonic()
    with Live(console=Console(), auto_refresh=False, screen=True) as live:
        live.update(_table(before, before, interval), refresh=True)
        try:
            while True:
                time.sleep(interval)
                found, now = finder.look(), time.monotonic()
                live.update(_table(found, before, now - then), refresh=True)
                before, then = found, now
        except KeyboardInterrupt:
            pass
    warn_of_hidden(before)


def _table(found: Found, before: Found, seconds: float) -> Table:
    """The table; no word in it is read as markup, for guests' names are foreign."""
    from rich.table import Table
    from rich.text import Text

    earlier = {each.pid: each for each in before.instances}
    then = [earlier.get(each.pid, each) for each in found.instances]
    share = {
        e.pid: 100 * (e.cpu - b.cpu) / seconds for e, b in zip(found.instances, then, strict=True)
    }
    rates = {e.pid: _rate(e, b, seconds) for e, b in zip(found.instances, then, strict=True)}
    table = Table(*COLUMNS, box=None)
    for each in sorted(found.instances, key=lambda each: (-share[each.pid], each.pid)):
        table.add_row(*map(Text, row(each, f"{max(0.0, share[each.pid]):.0f} %", rates[each.pid])))
    return table


def _rate(each: Instance, before: Instance, seconds: float) -> str:
    """Hypercalls a second, where a monitor counts them."""
    if each.hypercalls is None or before.hypercalls is None:
        return "-"
    return f"{max(0.0, (each.hypercalls - before.hypercalls) / seconds):.0f}/s"
