"""The record's rules in the terms in which a filter's program is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.seccomp_decode import EVERYTHING, Allowed, joined
from limpet.errors import BundleError
from limpet.formats.bundle.record import Rule


@dataclass(frozen=True)
class RecordedRule:
    """A rule of a filter; ``stub`` names the only instruction it is for, if there is one.

    ``slots`` are the arguments that are held against what the start knows of a device.
    """

    allowed: Allowed
    why: str
    stub: str
    slots: Mapping[int, tuple[str, int]]


def recorded_rule(rule: Rule) -> RecordedRule:
    """``rule`` as what it lets through.

    Raises:
        BundleError: there is no such system call.
    """
    number = NUMBERS.get(rule.call)
    if number is None:
        raise BundleError(
            f"the record names a system call {rule.call}", hint="do not run the bundle"
        )
    arguments = tuple(
        joined(list(rule.arguments[index])) if index in rule.arguments else (EVERYTHING,)
        for index in range(6)
    )
    half = rule.half << 32
    allowed = Allowed(number, (half, half | 0xFFFFFFFF), arguments)
    return RecordedRule(allowed, rule.why, rule.stub, rule.slots)
