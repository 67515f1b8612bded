"""What a processor can is found by instructions: those that it says it has run, and no others."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable

import pytest

from tests.support.native import INT, U64, Library


@pytest.fixture
def processor(native: Callable[[str], Library]) -> Library:
    """x86_64/processor.c."""
    return native("processor")


def _ends(processor: Library, *bits: int) -> int:
    """How a process ends that runs them: 0 or 1, or by a signal."""
    child = os.fork()
    if not child:
        faulthandler.disable()
        os._exit(processor("runs", INT, U64, U64, U64, U64)(*bits))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_instructions(processor: Library) -> None:
    """All that this processor has; what no processor has all of; and other registers."""
    has = [processor("asked", U64, INT)(which) for which in range(3)]
    assert _ends(processor, *has, 0) == 1
    assert _ends(processor, has[0], 0xFFFFFFFF, has[2], 0) == -signal.SIGILL
    assert _ends(processor, *has, 1) == 0
