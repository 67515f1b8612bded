"""Which code belongs together, on code made to mislead."""

from __future__ import annotations

import pytest

from limpet.arch.x86_64.calls import Calls
from tests.support.assembler import Assembler

FORKS = "mov $57, %eax\n syscall\n ret\n"
CALLED = "1: ud2"

BEHIND_A_CALL = {
    "padding of one byte": ("call 1f\n nop", False),
    "padding of two": ("call 1f\n xchg %ax, %ax", False),
    "padding of eight": ("call 1f\n .byte 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0", False),
    "breakpoints": ("call 1f\n int3", False),
    "code": ("call 1f", True),
    "code, then padding": ("call 1f\n xor %edi, %edi\n nop", True),
    "padding that is jumped to": ("jz 2f\n call 1f\n 2: nop", True),
    "padding behind an indirect call": ("call *%rdx\n nop", False),
}
"""What ends a function, and whether what stands behind it is part of it."""


@pytest.mark.parametrize("how", BEHIND_A_CALL)
def test_what_a_call_that_does_not_return_ends(assemble: Assembler, how: str) -> None:
    """Behind it and padding stands another function, which nothing leads to."""
    text, part = BEHIND_A_CALL[how]
    made = assemble(f"{text}\n{FORKS}{CALLED}")
    (site,) = made.scan.sites
    calls = Calls(made.image, made.scan.branches)
    body = calls.body(made.image.entry)
    assert (site.address in body.code) is part
    assert bool(calls.way([made.image.entry], [site.address], 10)) is part
