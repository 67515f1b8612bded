"""``limpet doctor``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from limpet.cli.options import saying
from limpet.errors import LimpetError
from limpet.running.host import Check, checks
from limpet.running.strict import protections
from limpet.tools import genuine, upkeep
from limpet.tools.cache import Cache
from limpet.tools.pinned import version


@click.command("doctor")
@saying
def command() -> None:
    """Say what this host offers, what is missing, and what to type."""
    bad = False
    for check in [*checks(), *_tools()]:
        click.echo(f"{'ok     ' if check.ok else 'MISSING'} {check.name}: {check.detail}")
        if not check.ok and check.hint:
            click.echo(f"        try: {check.hint}")
        bad |= not check.ok and check.backend != "kvm"
    click.echo("protections on this host")
    for each in protections():
        click.echo(f"{'active ' if each.active else 'MISSING'} {each.name}: {each.detail}")
    sys.exit(1 if bad else 0)


def _tools() -> Iterator[Check]:
    """What is needed to make bundles, beside the host itself."""
    try:
        genuine.check()
        yield Check("toolchain", True, f"{version()}, by its hash")
    except LimpetError as error:
        yield Check("toolchain", False, error.message, error.hint or "")
    try:
        cache = Cache.default()
        cache.check()
        used = f"{upkeep.size(cache) >> 20} MiB of at most {cache.limit >> 20}"
        yield Check("cache", True, f"{cache.root}, {used}")
    except LimpetError as error:
        yield Check("cache", False, error.message, error.hint or "")
