"""Runs in the guest: a script from its beginning, and what is made anew when it goes on.

Where its moment is, nobody knows beforehand: so the library OS sends a signal when it has come,
and the handler comes to it, whatever the script is doing then (``parts/snapshot/device.c``).
"""

from __future__ import annotations

import os as _os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # nothing is imported that the script would not find imported
    from typing import Any

    from .boot import _UNSEEN, _hooks, _moment, _read, _say, _streams
    from .renewed import renew_modules  # in one namespace; by its full name see program.py

os: Any = _os
_signal: Any = sys.modules["_signal"]  # of which ``signal`` is made

_SIGNAL = 64
"""The last one there is: nobody else has it, as a rule."""

_ASK = "/dev/limpet/signal"


def _words_now() -> list[str]:
    return [os.fsdecode(each) for each in _read("/proc/self/cmdline").split(b"\0")[:-1]]


def _come(number: int, frame: object) -> None:
    """Stops here; each start of the bundle goes on from here."""
    _moment()
    try:
        _go_on()
    finally:
        _say()
        _signal.signal(number, _signal.SIG_DFL)


def _go_on() -> None:
    renew_modules()  # before another thread has a turn
    words = _words_now()[1:]
    if words:  # else those of the moment, which the script may have looked at already
        sys.argv[1:] = words
    for each in _read("/proc/self/environ").split(b"\0")[:-1]:
        name, _, value = each.partition(b"=")
        if name:
            os.environb[name] = value
    _streams()
    for function, given, named in _hooks("get_after_restore"):
        function(*given, **named)


def watch(options: int, folder: str) -> list[str]:
    """Ask for that signal; returns the words behind the interpreter's options.

    Args:
        options: words that are the interpreter's own options.
        folder: where this file is.
    """
    for each in _UNSEEN:  # who imports one finds that it has not been
        sys.modules.pop(each, None)
    for each in os.listdir(folder):
        os.unlink(f"{folder}/{each}")
    os.rmdir(folder)
    _signal.signal(_SIGNAL, _come)
    handle = os.open(_ASK, os.O_WRONLY)
    os.write(handle, str(_SIGNAL).encode())
    os.close(handle)
    words = _words_now()
    del words[1 + options]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = words
    return words[1 + options :]
