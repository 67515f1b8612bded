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
    from limpet.building.bundle import Bundle, Monitor, build
    from limpet.errors import LimpetError
    from limpet.formats.image import Image
    from limpet.guests.registry import load, plan
    from limpet.loading.guest import Guest
    from limpet.planning.options import Options
    from limpet.planning.plan import Plan
    from limpet.running.result import Result, run
    from limpet.running.snapshot import Snapshot, snapshot
    from limpet.sandbox.sandbox import Sandbox

__all__ = [
    "Bundle",
    "Guest",
    "Image",
    "LimpetError",
    "Monitor",
    "Options",
    "Plan",
    "Result",
    "Sandbox",
    "Snapshot",
    "__version__",
    "build",
    "load",
    "plan",
    "run",
    "snapshot",
]

_HOMES = {
    "Bundle": "building.bundle",
    "Monitor": "building.bundle",
    "build": "building.bundle",
    "Options": "planning.options",
    "Plan": "planning.plan",
    "plan": "guests.registry",
    "LimpetError": "errors",
    "Guest": "loading.guest",
    "load": "guests.registry",
    "Image": "formats.image",
    "Result": "running.result",
    "run": "running.result",
    "Sandbox": "sandbox.sandbox",
    "Snapshot": "running.snapshot",
    "snapshot": "running.snapshot",
}


def __getattr__(name: str) -> object:
    """Import on first use: a cached ``limpet run`` needs hardly any of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'limpet' has no attribute {name!r}")
    return getattr(import_module(f"limpet.{_HOMES[name]}"), name)
