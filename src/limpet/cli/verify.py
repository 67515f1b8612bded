"""``limpet verify``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from limpet.cli.options import FILE, saying
from limpet.plain import plain

DISAGREES = 3
"""Exit status (docs/exit-status.md)."""


@click.command("verify")
@saying
@click.argument("bundle", type=FILE)
def command(bundle: Path) -> None:
    """Make BUNDLE again from the guest inside it and compare byte for byte.

    Exit status 3: it came out otherwise; 1: it was made with another Limpet or toolchain.
    """
    from limpet.audit import verify as verifying

    verdict = verifying.verify(bundle)
    if verdict.same:
        tools = f"Limpet {verdict.limpet}, {verdict.toolchain}"
        click.echo(plain(f"{bundle}: the same, byte for byte, made again with {tools}"))
        return
    for each in verdict.differences:
        where = f"{each.count} bytes, the first at offset {each.offset:#x}"
        click.echo(plain(f"limpet: {bundle}: {each.part} differs: {where}"), err=True)
    sys.exit(DISAGREES)
