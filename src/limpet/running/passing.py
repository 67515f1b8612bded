"""Signals that are sent to this process while a bundle runs as its child: they are the guest's."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_THE_TERMINALS = (signal.SIGINT, signal.SIGQUIT)
"""Those that are sent on, and those that a terminal sends to the bundle as well."""


@contextmanager
def passing(send: Callable[[int], None]) -> Iterator[None]:
    """Meanwhile ``send`` is called with each signal that is to reach the bundle."""

    def send_on(number: int, _: FrameType | None) -> None:
        send(number)

    before = {each: signal.signal(each, send_on) for each in _PASSED_ON}
    before |= {each: signal.signal(each, lambda *_: None) for each in _THE_TERMINALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
