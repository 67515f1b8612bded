"""``limpet mcp``."""

from __future__ import annotations

from typing import Any

import click

from limpet.cli import say
from limpet.cli.sandboxes import arguments, for_sandbox
from limpet.errors import HostError


@click.command("mcp")
@for_sandbox(timeout=30)
def command(**given: Any) -> None:
    """Serve a tool that runs Python code in a sandbox, over the Model Context Protocol.

    A client starts it, and talks with it on its standard streams. Needs: pip install mcp
    """
    try:
        from limpet.sandbox.mcp import serve
    except ImportError as error:
        raise HostError(
            f"limpet mcp needs the package mcp, version 2: {error}", hint="pip install 'mcp>=2'"
        ) from None
    say.detail("serving execute_code on standard input and output")
    serve(**arguments(given))
