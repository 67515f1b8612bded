"""A wait of the kernel's does not keep a signal waiting.

Python's handlers run between its own steps.  A signal that comes right before a wait begins, or
that the kernel gives to another thread, is noted, and nobody looks until that wait ends: one for a
guest that computes never does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK = 0.25
"""Seconds after which it is looked."""


@contextmanager
def heeding() -> Iterator[None]:
    """Meanwhile each wait of the main thread is interrupted now and then, and goes on.

    A program that uses SIGALRM or its timer itself, or blocks it, keeps them.
    """
    used = signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
    used |= any(signal.getitimer(signal.ITIMER_REAL))
    used |= signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # it would come later
    if used or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
