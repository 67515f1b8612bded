"""Limpet: one finished guest program and a monitor made for it alone, in one executable file.

Four verbs over frozen values::

    guest = limpet.load("hello.c")           # what the program is and needs
    plan = limpet.plan(guest)                # every decision, with its reason; pure
    bundle = limpet.build(plan)              # one executable file's bytes
    result = limpet.run(bundle, ["World"])   # a jailed run of it
"""

from limpet.build import Bundle, Monitor, build
from limpet.errors import LimpetError
from limpet.guest import Guest, load
from limpet.image import Image
from limpet.plan import Options, Plan, plan
from limpet.run import Result, run
from limpet.version import __version__

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
