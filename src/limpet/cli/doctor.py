"""``limpet doctor``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import get_args

import click

from limpet.cli.options import saying
from limpet.contract import Backend
from limpet.errors import LimpetError
from limpet.running.host import Check, checks
from limpet.running.strict import protections
from limpet.tools import genuine, upkeep
from limpet.tools.cache import Cache
from limpet.tools.pinned import version


@click.command("doctor")
@saying
def command() -> None:
    """Say what this host offers, what is missing, and what to type.

    A guest is started on each backend that this host can have.
    """
    bad = False
    host = checks()
    for check in chain(host, _tools(), _guests(host)):
        click.echo(f"{'ok     ' if check.ok else 'MISSING'} {check.name}: {check.detail}")
        if not check.ok and check.hint:
            click.echo(f"        try: {check.hint}")
        bad |= not check.ok and check.backend != "kvm"
    click.echo("protections on this host")
    for each in protections():
        click.echo(f"{'active ' if each.active else 'MISSING'} {each.name}: {each.detail}")
    sys.exit(1 if bad else 0)


def _guests(host: Sequence[Check]) -> Iterator[Check]:
    """One is started on each backend whose needs are met."""
    from limpet.running.tried import guest_check

    missing = {check.backend for check in host if not check.ok}
    if "" in missing:
        return
    try:
        cache = Cache.default()
    except LimpetError:
        return  # it was said
    yield from (guest_check(each, cache) for each in get_args(Backend) if each not in missing)


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
