"""Limpet: one finished guest program and a monitor made for it alone, in one executable file.

Four verbs over frozen values::

    guest = limpet.load("hello.c")           # what the program is and needs
    plan = limpet.plan(guest)                # every decision, with its reason; pure
    bundle = limpet.build(plan)              # one executable file's bytes
    result = limpet.run(bundle, ["World"])   # a jailed run of it
"""

from __future__ import annotations

import os
import sys
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
    from limpet.sandbox.asynchronous import AsyncPool, AsyncSandbox
    from limpet.sandbox.decorator import sandboxed
    from limpet.sandbox.executor import SandboxExecutor
    from limpet.sandbox.pool import Pool
    from limpet.sandbox.sandbox import Sandbox, SandboxSnapshot

__all__ = [
    "AsyncPool",
    "AsyncSandbox",
    "Bundle",
    "Guest",
    "Image",
    "LimpetError",
    "Monitor",
    "Options",
    "Plan",
    "Pool",
    "Result",
    "Sandbox",
    "SandboxExecutor",
    "SandboxSnapshot",
    "Snapshot",
    "__version__",
    "build",
    "load",
    "plan",
    "run",
    "sandboxed",
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
    "AsyncPool": "sandbox.asynchronous",
    "AsyncSandbox": "sandbox.asynchronous",
    "Pool": "sandbox.pool",
    "Sandbox": "sandbox.sandbox",
    "SandboxExecutor": "sandbox.executor",
    "SandboxSnapshot": "sandbox.sandbox",
    "sandboxed": "sandbox.decorator",
    "Snapshot": "running.snapshot",
    "snapshot": "running.snapshot",
}


def __getattr__(name: str) -> object:
    """Import on first use: nobody needs all of it, and a cached ``limpet run`` hardly any."""
    if name not in _HOMES:
        raise AttributeError(f"module 'limpet' has no attribute {name!r}")
    return getattr(import_module(f"limpet.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """What is there once it is used, too: for who completes names."""
    return sorted({*globals(), *__all__})


def _is_command() -> bool:
    """Whether this process is one of Limpet's own commands."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return name == "-m" or name.partition("-")[0] == "limpet"  # -m: this package is what is run


if not _is_command():  # of a program's first call in a sandbox, this would be most of the time
    import_module("limpet.sandbox.sandbox")
