"""Modules that are installed where they are written (``pip install -e``): where that is.

An environment then has a startup file in place of the modules.  It names the folder that they are
in, or imports a finder whose table says where each of them is.  Nothing of it is run.  Sources:
PEP 660, "Site-specific configuration hook" of Python's documentation, and
``setuptools/command/editable_wheel.py``.
"""

from __future__ import annotations

import ast
import os
import re

OWN = "__editable__"
"""What the names of the finders start with."""

_FINDER = re.compile(rf"(?m)^import[ \t]+({OWN}\w+)")
_TABLE = re.compile(r"(?m)^MAPPING\b[^=\n]*=[ \t]*(\{[^\n]*\})[ \t]*$")


def folders(startup: str) -> list[str]:
    """Those that a startup file names by a whole path."""
    return [each for each in startup.splitlines() if os.path.isabs(each)]


def finders(startup: str) -> list[str]:
    """The modules that find others and that it starts."""
    return _FINDER.findall(startup)


def table(finder: str) -> dict[str, str]:
    """Where the modules are that a finder's text knows: its path by the name of each."""
    match = _TABLE.search(finder)
    try:
        found = ast.literal_eval(match[1]) if match else {}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    texts = (each for pair in found.items() for each in pair) if isinstance(found, dict) else [0]
    return found if all(isinstance(each, str) for each in texts) else {}
