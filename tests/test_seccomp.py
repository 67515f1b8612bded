"""The filter says exactly what the plan's rules say, by an interpreter of its program."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product

import pytest
from conftest import Maker
from test_guests import HELLO

import limpet
from limpet.contract import Backend, Pin
from limpet.layout import MONITOR_BASE
from limpet.seccomp import ALLOW, KILL_PROCESS, Filter, Rule
from limpet.syscalls import NUMBERS

X86_64, I386 = 0xC000003E, 0x40000003
IN_MONITOR, OUTSIDE = MONITOR_BASE + 0x1234, 0x1000000


def interpret(program: bytes, number: int, arch: int, pointer: int, arguments: list[int]) -> int:
    """The verdict of a classic BPF program on one system call."""
    data = struct.pack("<IIQ6Q", number, arch, pointer, *arguments)
    at = accumulator = 0
    while True:
        code, yes, no, value = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return int(value)
        elif code == 0x05:
            at += value
        else:
            test = {
                0x15: accumulator == value,
                0x25: accumulator > value,
                0x35: accumulator >= value,
            }[code]
            at += yes if test else no


def _fits(pin: Pin, value: int, guest: tuple[int, int]) -> bool:
    if pin.guest or pin.range:
        low, high = pin.range or guest
        return low <= value < high
    return value <= pin.max if pin.max is not None else value in pin.values


def expected(
    each: Filter, labels: dict[str, int], number: int, pointer: int, args: list[int]
) -> int:
    """The verdict that the rules ask for, by their own words."""
    mine = [
        rule
        for rule in each.rules
        if (labels[rule.label] == pointer if rule.label else pointer >> 32 == rule.origin >> 32)
    ]
    for rule in mine:
        if NUMBERS[rule.call] == number and all(
            _fits(pin, args[pin.index], each.guest) for pin in rule.pins
        ):
            return ALLOW
    return KILL_PROCESS if any(r.label for r in mine) else each.default


def boundaries(rule: Rule, guest: tuple[int, int]) -> Iterator[list[int]]:
    """Arguments at, below and above every limit of the rule's pins."""
    choices = []
    for pin in rule.pins:
        edges = {0, 1, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1}
        limits = [*pin.values, *([pin.max] if pin.max is not None else [])]
        limits += [*(pin.range or (guest if pin.guest else ()))]
        for limit in limits:
            edges |= {limit, limit - 1, limit + 1, limit + 2**32}
        choices.append([(pin.index, edge % 2**64) for edge in sorted(edges)])
    for chosen in product(*choices):
        arguments = [0] * 6
        for index, value in chosen:
            arguments[index] = value
        yield arguments


@pytest.mark.parametrize("timeout", [0, 1000])
def test_every_call_and_boundary(make: Maker, backend: Backend, timeout: int) -> None:
    """Every number, both other entry paths, and every boundary of every pinned argument."""
    program = make.compile(HELLO, "hello")
    options = limpet.Options(backends=(backend,), rewrite=False, timeout=timeout)
    each = limpet.plan(limpet.load(program), options).filters[backend]
    labels = {rule.label: rule.origin + 16 * i for i, rule in enumerate(each.rules) if rule.label}
    code = each.assemble(labels)
    assert len(code) == each.length * 8
    pointers = [OUTSIDE, IN_MONITOR, *labels.values()]
    for number in [*range(600), *(n | 0x40000000 for n in range(600)), 2**31, 2**32 - 1]:
        for pointer in pointers:
            args = [0] * 6
            assert interpret(code, number, X86_64, pointer, args) == expected(
                each, labels, number, pointer, args
            )
            assert interpret(code, number, I386, pointer, args) == each.default != ALLOW
    for rule in each.rules:
        pointer = labels[rule.label] if rule.label else IN_MONITOR
        for args in boundaries(rule, each.guest):
            number = NUMBERS[rule.call]
            assert interpret(code, number, X86_64, pointer, args) == expected(
                each, labels, number, pointer, args
            )
            assert interpret(code, number, X86_64, pointer + 2**32, args) == each.default


def test_few_calls_are_left(make: Maker, backend: Backend) -> None:
    """A hello leaves its monitor at most three distinct system calls."""
    made = limpet.plan(
        limpet.load(make.compile(HELLO.replace("getenv", "(char *)(long)!"), "small")),
        limpet.Options(backends=(backend,)),
    )
    wanted = {"exit_group", "write"} | ({"ioctl"} if backend == "kvm" else set())
    assert set(made.filters[backend].calls) == wanted
