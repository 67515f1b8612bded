"""An MCP server with one tool, ``execute_code``: Python for a language model, in a sandbox.

Needs ``pip install mcp``.  Source: the specification of the Model Context Protocol, "Tools".
"""

from __future__ import annotations

import threading
from typing import Any

from mcp.server.mcpserver import Image, MCPServer

from limpet.errors import LimitReached, SandboxError
from limpet.sandbox.result import Result
from limpet.sandbox.sandbox import Sandbox
from limpet.version import __version__

_ABOUT = """Run Python code in a sandbox and return what it prints and the value of its last \
expression. Names stay defined from one call to the next. There is no network, and there are no \
files of the user's. With reset, everything is forgotten before the code runs."""


class Code:
    """Runs code in one sandbox, which is made when there is some."""

    def __init__(self, **given: Any) -> None:
        self._given = given
        self._sandbox: Sandbox | None = None
        self._one = threading.Lock()

    def execute(self, code: str, reset: bool = False) -> list[Any]:
        """Text and pictures, for the model to look at; what went wrong is text too."""
        with self._one:
            if self._sandbox is None:
                self._sandbox = Sandbox(**self._given)
            elif reset or not self._sandbox.alive:
                self._sandbox.reset()
            try:
                return _shown(self._sandbox.run(code))
            except SandboxError as error:
                written = error.stdout + error.stderr if isinstance(error, LimitReached) else ""
                lost = "" if self._sandbox.alive else "; what was defined before is gone"
                return [f"{written}{error.message}{lost}"]


def _shown(result: Result) -> list[Any]:
    """What a result is in the protocol's words."""
    parts = [result.stdout, *(each.text for each in result.shown), result.stderr]
    value = result.value
    if result.error:
        parts.append(result.error.traceback)
    elif result.exit is not None:
        parts.append(f"exited with {result.exit}")
    elif value is not None:
        parts.append(value.text)
    text = "\n".join(each.rstrip("\n") for each in parts if each)
    kinds = ("image/png", "image/jpeg")
    pictures = [
        Image(data=each.mime[kind], format=kind.removeprefix("image/"))
        for each in (*result.shown, value)
        for kind in kinds
        if each is not None and kind in each.mime
    ]
    return [text or "(nothing was printed)", *pictures]


def server(**given: Any) -> MCPServer[Any]:
    """The server; ``given`` are arguments of :class:`limpet.Sandbox`."""
    made: MCPServer[Any] = MCPServer("limpet", version=__version__)
    made.tool(name="execute_code", description=_ABOUT, structured_output=False)(
        Code(**given).execute
    )
    return made


def serve(**given: Any) -> None:
    """Serve on standard input and output until the client is gone."""
    server(**given).run("stdio")
