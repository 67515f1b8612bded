"""A wait that looks for signals leaves SIGALRM to a program that has a use for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WAITS = """
import signal, time
from limpet.running.heeding import heeding
found = []
{before}
with heeding():
    time.sleep(0.6)
{after}
print(found)
"""

_HEARD = "signal.signal(signal.SIGALRM, lambda *_: found.append(1))"
_MASK = "signal.pthread_sigmask(signal.SIG_{}, [signal.SIGALRM])"
_LEFT = "found = signal.alarm(0) > 0, signal.getsignal(signal.SIGALRM)"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("", _LEFT, "(False, <Handlers.SIG_DFL: 0>)"),
        (_HEARD, "", "[]"),
        (f"{_HEARD}; signal.setitimer(signal.ITIMER_REAL, 0.3)", "", "[1]"),
        ("signal.alarm(60)", _LEFT, "(True, <Handlers.SIG_DFL: 0>)"),
        (_MASK.format("BLOCK"), _MASK.format("UNBLOCK"), "[]"),
    ],
    ids=["unused", "handler", "timer", "alarm", "blocked"],
)
def test_what_is_used(before: str, after: str, says: str) -> None:
    """It is as it was: what is blocked would else come, and end the program, once it is not."""
    text = _WAITS.format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, says), done.stderr
