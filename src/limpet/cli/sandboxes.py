"""What commands have for the sandbox that they start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from limpet.cli.options import SIZE, Parsed

_MEMORY = 256 << 20


def _seconds(text: str) -> float:
    from limpet.tools import units

    return units.milliseconds(text) / 1000


_OPTIONS = (
    click.option(
        "--backend",
        type=click.Choice(["auto", "kvm", "process"]),
        default="auto",
        show_default=True,
        help="Virtual machine or jailed process; auto takes kvm where it works.",
    ),
    click.option("--python", default="", help="Interpreter; by default the one that runs this."),
    click.option(
        "--package",
        "packages",
        multiple=True,
        help="A module that code may import, or what pip installs.",
    ),
    click.option("--memory", type=SIZE, default=_MEMORY, help="What the code has (256M)."),
    click.option("--jit", is_flag=True, help="The code may run code that it makes (numba)."),
)


def for_sandbox(timeout: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The arguments of a :class:`limpet.Sandbox`, by their names there.

    Args:
        timeout: seconds for one piece of code, unless the user says otherwise; 0 for any time.
    """
    usual = f"{timeout:g}s" if timeout else "any"
    limit = click.option(
        "--timeout",
        type=Parsed("time", _seconds),
        default=timeout,
        help=f"Of one piece of code ({usual}).",
    )

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (limit, *reversed(_OPTIONS)):
            command = option(command)
        return command

    return add


def arguments(given: dict[str, Any]) -> dict[str, Any]:
    """What :func:`for_sandbox` found, as :class:`limpet.Sandbox` takes it."""
    return {**given, "backend": None if given["backend"] == "auto" else given["backend"]}
