"""The look behind a start: a program that forks meanwhile has no thread, and locks, of it."""

from __future__ import annotations

import subprocess
import sys

from limpet import Sandbox

_FORKS = """
import os, threading
os.register_at_fork(before=lambda: print(threading.active_count()))
import limpet
from limpet.sandbox import looked
looked._FRESH = 0
with limpet.Sandbox(backend="process") as sandbox:
    sandbox.run("1")
print(len(looked._looking))
if not os.fork():
    with limpet.Sandbox(backend="process") as sandbox:
        print(sandbox.run("2").value)
else:
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_fork_right_behind_a_start() -> None:
    """It waits for the look, which is short; and the child looks by itself."""
    Sandbox(backend="process").close()  # its bundle is there then
    words = [sys.executable, "-uc", _FORKS]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "2", "0"] and "Deprec" not in done.stderr
