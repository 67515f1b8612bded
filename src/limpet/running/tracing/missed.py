"""Files of this host that a program looked for in its own world, where they are not.

A guest has the files that it was packed with. Which ones those have to be says the program itself,
by what it looks for and does not find.
"""

from __future__ import annotations

import errno
import glob
import os
import shlex

from limpet.contract.limits import TRACE_TEXT_MOST
from limpet.plain import quoted
from limpet.running.tracing import values
from limpet.running.tracing.events import Event

_LOOKS = {"open", "openat", "openat2", "access", "faccessat", "faccessat2", "chdir", "execve"}
_LOOKS |= {"stat", "lstat", "newfstatat", "statx", "readlink", "readlinkat"}
"""Calls whose first text is the path of something that is to be there."""

_BY_ITSELF = ("/proc/", "/sys/", "/dev/", "/run/", "/etc/ld.so.")
"""Not packed, or not wanted by a program whose objects are found when it is packed."""

_LOOKED_AT = 1024
_SHOWN = 12


class Missed:
    """Gathers the paths; what comes from a guest may be forged, so it is bounded."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    def add(self, event: Event) -> None:
        """Look at a call."""
        call = event.call
        if not event.done or call.result != -errno.ENOENT or event.is_signal:
            return
        if values.name_of(call) not in _LOOKS or len(self._paths) >= _LOOKED_AT:
            return
        text = next(iter(call.pieces.values()), b"").partition(b"\0")[0]
        if text.startswith(b"/") and len(text) < TRACE_TEXT_MOST:
            path = os.path.normpath(os.fsdecode(text.lstrip(b"/")))
            if quoted(path) == path:  # what nobody can type is no word for a shell
                self._paths[f"/{path}"] = None

    def words(self) -> str:
        """``--include`` for each of them that this host has; empty where there is none."""
        found = [
            path
            for path in self._paths
            if not f"{path}/".startswith(_BY_ITSELF) and os.path.exists(path)
        ]
        words = (shlex.quote(glob.escape(path)) for path in found[:_SHOWN])
        text = " ".join(f"--include {word}" for word in words)
        more = len(found) - _SHOWN
        return f"{text}, and {more} more" if more > 0 else text
