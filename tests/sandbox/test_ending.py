"""A program that is ending already is told so, in place of what Python lacks by then."""

from __future__ import annotations

import subprocess
import sys

HOST = """
import atexit
import time
from limpet import Sandbox
from limpet.errors import NeverRan

def ask():
    try:
        Sandbox(backend="process", warm=f"number = {time.time_ns()}")
    except NeverRan as error:
        print(error.message, error.hint, sep="\\n")

atexit.register(ask)
"""


def test_a_first_sandbox_at_exit() -> None:
    """What makes it takes threads, which Python starts no more."""
    done = subprocess.run([sys.executable, "-c", HOST], capture_output=True, text=True, check=True)
    message, hint = done.stdout.splitlines()
    assert message.startswith("this program is ending, and no sandbox can be started any more: ")
    assert hint == "start and ask it before: not in atexit, nor in __del__"
