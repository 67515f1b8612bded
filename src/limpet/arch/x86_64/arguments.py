"""What a system call is asked with, as far as it is a constant: at the site or in its callers.

This reads code for the likely: a branch that enters in between with another value is not looked
for.  So what is found here informs people, and decides nothing that protects.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from limpet.arch.x86_64.calls import Body, Calls, leads_to
from limpet.arch.x86_64.registers import LEAVES, WRITES_FIRST, WRITES_NONE, register_of, value_left
from limpet.arch.x86_64.sweep import Decoded

_LOST_IN_CALLS = frozenset({"a", "c", "d", "si", "di", "r8", "r9", "r10", "r11"})
_LOST_IN_SYSTEM_CALLS = frozenset({"a", "c", "r11"})
_MAX_STEPS, _MAX_CALLERS = 200, 300
"""Instructions that are read backwards, since jumps may go round, and callers that are asked."""

_BYTE = re.compile(r"([abcd]l|sil|dil|r\d+b), (0x[0-9a-f]+|\d+)\Z")
_COPY = re.compile(r"([a-z0-9]+), ([a-z0-9]+)\Z")


@dataclass(frozen=True)
class Constant:
    """A value of an argument, and the instruction at which code asks with it: site or call."""

    value: int
    asked_at: int


def constants(calls: Calls, address: int, register: str, depth: int) -> Iterator[Constant]:
    """The constants that ``register`` can have at ``address``.

    Args:
        calls: the program's call graph.
        address: a SYSCALL instruction, or a call.
        register: its family, as :func:`register_of` names it.
        depth: how many callers up to look, when it is an argument of the function.
    """
    start = calls.block(address)
    found = _trace(calls.body(start), address, register)
    if isinstance(found, int):
        yield Constant(found, address)
    elif found is not None and depth:
        for source in calls.callers(start)[:_MAX_CALLERS]:
            call = calls.body(calls.block(source)).code.get(source)
            if call and leads_to(call) == start:
                yield from constants(calls, source, found, depth - 1)


def _trace(body: Body, address: int, register: str) -> int | str | None:
    """A constant, the register in which the value came into the block, or unknown."""
    if address not in body.code:
        return None
    at = bisect_left(body.order, address)
    for _ in range(_MAX_STEPS):
        if not at:
            return register
        before, here = body.code[body.order[at - 1]], body.order[at]
        if before[0] + before[1] != here or before[2] in LEAVES:
            if here not in body.jumps:
                return None
            at = bisect_left(body.order, body.jumps[here])
            continue
        at -= 1
        left = _left(before, register)
        if not isinstance(left, str):
            return left
        register = left
    return None


def _left(each: Decoded, register: str) -> int | str | None:
    """What ``register`` is before ``each``: itself, another, a constant, or unknown."""
    _, _, mnemonic, operands = each
    if mnemonic == "call":
        return None if register in _LOST_IN_CALLS else register
    if mnemonic == "syscall":
        return None if register in _LOST_IN_SYSTEM_CALLS else register
    if mnemonic in WRITES_NONE or mnemonic[0] == "j":
        return register
    if register_of(operands.split(",")[0].strip()) != register:
        return register if WRITES_FIRST.fullmatch(mnemonic) else None
    if byte := _BYTE.match(operands):
        return int(byte[2], 0) if mnemonic == "mov" else None
    if mnemonic in ("movsxd", "movzx") and (copy := _COPY.match(operands)):
        return register_of(copy[2])
    return value_left(mnemonic, operands)
