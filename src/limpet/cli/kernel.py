"""``limpet kernel``: notebooks whose code runs in a sandbox."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from limpet.cli import say
from limpet.cli.options import FILE
from limpet.cli.sandboxes import arguments, for_sandbox
from limpet.errors import HostError, PlanError


@click.group("kernel")
def command() -> None:
    """Run the code of notebooks in a sandbox.

    Needs: pip install ipykernel
    """


@command.command("install")
@click.option("--name", default="limpet", show_default=True, help="What Jupyter knows it by.")
@click.option("--prefix", type=FILE, help="Environment to install it in; else your own folder.")
@for_sandbox(timeout=0)
def install(name: str, prefix: Path | None, **given: Any) -> None:
    """Tell Jupyter of a kernel that runs each cell in a sandbox of its own making."""
    where = _kernel().install(name, _words(given), prefix)
    say.note(f"{name}: {where}")


@command.command("run")
@click.option("-f", "connection", type=FILE, required=True, help="Jupyter's connection file.")
@for_sandbox(timeout=0)
def run(connection: Path, **given: Any) -> None:
    """Be a kernel: Jupyter starts this."""
    if not connection.is_file():
        raise PlanError(
            f"{connection}: no such file", hint="Jupyter starts this: limpet kernel install"
        )
    _kernel().run(connection, arguments(given))


def _words(given: dict[str, Any]) -> list[str]:
    """The command that Jupyter starts, for the same sandbox."""
    words = [f"--backend={given['backend']}", f"--memory={given['memory']}"]
    words += [f"--timeout={round(given['timeout'] * 1000)}ms"] if given["timeout"] else []
    words += [f"--python={given['python']}"] if given["python"] else []
    words += [f"--package={each}" for each in given["packages"]]
    words += ["--jit"] if given["jit"] else []
    return [sys.executable, "-m", "limpet", "kernel", "run", "-f", "{connection_file}", *words]


def _kernel() -> Any:
    try:
        from limpet.sandbox import jupyter
    except ImportError as error:
        raise HostError(
            f"limpet kernel needs the package ipykernel: {error}", hint="pip install ipykernel"
        ) from None
    return jupyter
