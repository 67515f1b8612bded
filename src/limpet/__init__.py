"""Limpet: one finished guest program and a monitor made for it alone, in one executable file.

Four verbs over frozen values::

    guest = limpet.load("hello.c")           # what the program is and needs
    plan = limpet.plan(guest)                # every decision, with its reason; pure
    bundle = limpet.build(plan)              # one executable file's bytes
    result = limpet.run(bundle, ["World"])   # a jailed run of it
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from limpet.version import __version__

if TYPE_CHECKING:
    from limpet.bundle import Bundle, Monitor, build
    from limpet.decisions import Options, Plan, plan
    from limpet.errors import LimpetError
    from limpet.guest import Guest, load
    from limpet.image import Image
    from limpet.result import Result, run

__all__ = [
    "Bundle",
    "Guest",
    "Image",
    "LimpetError",
    "Monitor",
    "Options",
    "Plan",
    "Result",
    "__version__",
    "build",
    "load",
    "plan",
    "run",
]

_HOMES = {
    "Bundle": "bundle",
    "Monitor": "bundle",
    "build": "bundle",
    "Options": "decisions",
    "Plan": "decisions",
    "plan": "decisions",
    "LimpetError": "errors",
    "Guest": "guest",
    "load": "guest",
    "Image": "image",
    "Result": "result",
    "run": "result",
}


def __getattr__(name: str) -> object:
    """Import on first use: a cached ``limpet run`` needs hardly any of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'limpet' has no attribute {name!r}")
    return getattr(import_module(f"limpet.{_HOMES[name]}"), name)
