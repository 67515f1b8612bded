"""``limpet mcp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.options import SIZE, Parsed
from limpet.errors import HostError

if TYPE_CHECKING:
    from limpet.contract import Backend

_MEMORY = 256 << 20


def _seconds(text: str) -> float:
    from limpet.tools import units

    return units.milliseconds(text) / 1000


@click.command("mcp")
@click.option(
    "--backend",
    type=click.Choice(["auto", "kvm", "process"]),
    default="auto",
    show_default=True,
    help="Virtual machine or jailed process; auto takes kvm where it works.",
)
@click.option("--python", default="", help="The interpreter; by default the one that runs this.")
@click.option("--package", "packages", multiple=True, help="A module that code may import.")
@click.option("--memory", type=SIZE, default=_MEMORY, help="What the code has (256M).")
@click.option(
    "--timeout", type=Parsed("time", _seconds), default=30.0, help="Of one piece of code (30s)."
)
def command(backend: str, **given: Any) -> None:
    """Serve a tool that runs Python code in a sandbox, over the Model Context Protocol.

    A client starts it, and talks with it on its standard streams. Needs: pip install mcp
    """
    chosen: Backend | None = None if backend == "auto" else backend  # type: ignore[assignment]
    try:
        from limpet.sandbox.mcp import serve
    except ImportError as error:
        raise HostError(
            f"limpet mcp needs the package mcp, version 2: {error}", hint="pip install 'mcp>=2'"
        ) from None
    say.detail("serving execute_code on standard input and output")
    serve(backend=chosen, **given)
