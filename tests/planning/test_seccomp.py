"""How few system calls are left to a monitor; test_filter_proof.py shows that no other is."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.seccomp_decode import decode
from limpet.contract import Backend, Pin
from limpet.planning import bpf
from limpet.planning.bpf import Assembler
from limpet.planning.seccomp import LARGE_CODE, PAIR, TRAP, Filter, Rule
from tests.support import bpf as kernel
from tests.support import filter_rules
from tests.support.bundles import Maker
from tests.support.sources import HELLO


def test_few_calls_are_left(make: Maker, backend: Backend) -> None:
    """A hello leaves its monitor at most three distinct system calls."""
    made = limpet.plan(
        limpet.load(make.compile(HELLO.replace("getenv", "(char *)(long)!"), "small")),
        limpet.Options(backends=(backend,)),
    )
    wanted = {"exit_group", "write"} | ({"ioctl"} if backend == "kvm" else set())
    assert set(made.filters[backend].calls) == wanted


def _between(yes: int, no: int) -> bytes:
    """7 is allowed that many instructions behind the test, another number raises further on."""
    code = Assembler()
    first, second = code.new_label(), code.new_label()
    code.load(kernel.NUMBER)
    code.jump(bpf.JEQ, 7, yes=first, no=second)
    for label, count, verdict in ((first, yes, kernel.ALLOW), (second, no, kernel.TRAP)):
        for _ in range(count):
            code.load(kernel.NUMBER)
        code.label(label)
        code.end(verdict)
    return code.finish()[0]


def test_jumps_of_any_distance() -> None:
    """A test that reaches 255 instructions gets a plain jump where its target is farther."""
    for yes, no in product((0, 1, 253, 254, 255, 256, 300), (0, 1, 200, 254, 255, 256, 300)):
        text = _between(yes, no)
        longer = len(text) // 8 - (yes + no + 4)
        assert (longer > 0) == (yes + 1 + no > 255), (yes, no)
        program = kernel.decode(text)
        verdicts = [kernel.run(program, kernel.words(n, 0, 0, [0] * 6)) for n in (7, 8)]
        assert verdicts == [kernel.ALLOW, kernel.TRAP], (yes, no)


def test_ends_are_shared() -> None:
    """A verdict far behind serves what comes before; one that nothing needs is not there."""
    for between in (10, 40):
        code = Assembler()
        code.load(kernel.NUMBER)
        for number, verdict in ((7, kernel.ALLOW), (8, kernel.KILL_PROCESS), (9, kernel.ALLOW)):
            other = code.new_label()
            code.jump(bpf.JEQ, number, no=other)
            code.end(verdict)
            code.label(other)
        for _ in range(between):
            code.load(kernel.NUMBER)
        last = code.new_label()
        code.jump(bpf.JEQ, 10, no=last)
        code.end(kernel.ALLOW)
        code.label(last)
        code.end(kernel.TRAP)
        program = kernel.decode(code.finish()[0])
        assert len(program) == 1 + 6 + between + 3 - (2 if between == 40 else 0)
        verdicts = [kernel.run(program, kernel.words(n, 0, 0, [0] * 6)) for n in range(7, 12)]
        allow, kill, trap = kernel.ALLOW, kernel.KILL_PROCESS, kernel.TRAP
        assert verdicts == [allow, kill, allow, allow, trap]


_STUB = 1 << 24
_GIB4 = 1 << 32
_APART = [(at << 16, (at << 16) + 4096 * (at % 5 + 1)) for at in range(400, 16, -7)]


@pytest.mark.parametrize(
    ("ranges", "most"),
    [
        (_APART, 2 * len(_APART) + 30),  # two instructions for each
        ([(4096, 8192), (8192, 12288)], 36),  # neighbours
        ([(0, 4096), (_GIB4 - 4096, _GIB4)], 36),
        ([(4096, 12288), (8192, 16384)], 40),  # one over the other
        ([(4096, 8192), (4 * _GIB4, 5 * _GIB4), (8 * _GIB4 + 1, 9 * _GIB4)], 60),
        ([(_GIB4 - 4096, _GIB4 + 4096), (2 * _GIB4, 2 * _GIB4 + 1)], 60),
    ],
)
def test_runs(ranges: list[tuple[int, int]], most: int) -> None:
    """Rules that differ in one range say what each says, wherever the ranges lie."""
    for pins in ((Pin(1, max=4096), Pin(2, (3,))), (Pin(2, (0, 1)),)):
        rules = [
            Rule("mprotect", "", (*pins, Pin(0, range=each)), "stub", _STUB) for each in ranges
        ]
        other = Rule("exit_group", "", (), "other", _STUB)
        made = Filter((*rules, other), TRAP, (0, 1))
        labels = {"stub": _STUB + 2, "other": _STUB + 4}
        program = kernel.decode(made.assemble(labels))
        assert len(program) <= most
        policy = filter_rules.policy(made, labels, {})
        filter_rules.prove(program, policy)
        for rule in policy.rules[:3]:
            for arguments in filter_rules.boundaries(rule):
                ran = kernel.run(
                    program, kernel.words(rule.number, 0xC000003E, _STUB + 2, arguments)
                )
                assert ran == policy.verdict(rule.number, 0xC000003E, _STUB + 2, arguments)


_LOW, _HIGH, _FAR = (4096, 8192), (1 << 20, 2 << 20), (3 * _GIB4, 5 * _GIB4)


def _proved(*rules: Rule) -> kernel.Program:
    """The program of ``rules`` and another, which says what they say."""
    made = Filter((*rules, Rule("exit_group", "", (), "other", _STUB)), TRAP, (0, 1))
    labels = {"stub": _STUB + 2, "next": _STUB + 4, "other": _STUB + 6}
    program = kernel.decode(made.assemble(labels))
    filter_rules.prove(program, filter_rules.policy(made, labels, {}))
    return program


@pytest.mark.parametrize("places", [(_LOW, _HIGH), (_LOW, _FAR), (_LOW, _HIGH, _FAR)])
def test_combinations(places: tuple[tuple[int, int], ...]) -> None:
    """Where any place goes with any other each argument is asked once, else each rule by itself."""
    pins = [(Pin(0, range=a), Pin(4, range=b)) for a, b in product(places, places)]
    rules = [Rule("mremap", "", (Pin(3, (3,)), *each), "stub", _STUB) for each in pins]
    whole, without = _proved(*rules), _proved(*rules[:-1])
    assert len(whole) < len(without)
    assert len(whole) <= 20 + 2 * 8 * len(places)
    _proved(*rules[1:])
    _proved(rules[0], rules[-1])


def test_halves_of_several_rules() -> None:
    """An upper half that all rules of one stub ask for is asked once, by the next one again."""
    near, far = Pin(0, range=_LOW), Pin(0, range=(3 * _GIB4, 3 * _GIB4 + 4096))
    size, reads, writes = Pin(1, max=4096), Pin(2, (1,)), Pin(2, (3,))
    next_one = Rule("mremap", "", (near, size), "next", _STUB)
    counts = []
    for places in ((near, near), (near, far)):
        rules = [
            Rule("mprotect", "", (rights, place, size), "stub", _STUB)
            for rights, place in zip((reads, writes), places, strict=True)
        ]
        counts.append(len(_proved(*rules, next_one)))
        _proved(*rules, Rule("mprotect", "", (Pin(2, (0,)),), "stub", _STUB), next_one)
    assert counts[0] < counts[1]


def test_several_calls() -> None:
    """One stub that makes two: each with its own arguments, and no third."""
    calls = ("read", Pin(0, (0,))), ("write", Pin(0, (1,))), ("write", Pin(0, (2,)))
    _proved(*(Rule(call, "", (pin,), "stub", _STUB) for call, pin in calls))


def test_values_that_no_pin_can_have() -> None:
    """Values of one pin are asked for by their low halves: that the high ones differ is said."""
    rule = Rule("read", "", (Pin(0, (1, _GIB4 + 1)),), "stub", _STUB)
    with pytest.raises(AssertionError, match="values of argument 0 with other high halves"):
        _proved(rule)


PAIRS = tuple((low, low + PAIR) for low in range(1 << 20, 1 << 21, 1 << 18))
ODD = ((3 << 20, (3 << 20) + 4096), ((3 << 20) + 8192 + 4096, (3 << 20) + 8192 + 4096 + PAIR))
CODE = ((0x510000, 4096), (0x511000, 8192), (7 << 20, LARGE_CODE), (96 << 20, 4096))


def test_rules_of_objects() -> None:
    """Of many, data by pages and code as a whole: each is one instruction, and says what it did."""
    more = tuple((low + (4 << 20), high + (4 << 20)) for low, high in PAIRS)
    written, run = Pin(2, (3,)), Pin(2, (5,))
    data, further = (
        [Rule("mprotect", "", (written, Pin(0, range=each)), "stub", _STUB) for each in ranges]
        for ranges in ((*PAIRS, *ODD), more)
    )
    code = [
        Rule("mprotect", "", (run, Pin(0, (low,)), Pin(1, (size,))), "stub", _STUB)
        for low, size in CODE
    ]
    assert len(_proved(*data, *further)) - len(_proved(*data)) == len(more)
    program = _proved(*code)
    extra = replace(code[0], pins=(run, Pin(0, (9 << 20,)), Pin(1, (12288,))))
    assert len(_proved(*code, extra)) - len(program) == 1
    decoded = decode(Filter(tuple(code), TRAP, (0, 1)).assemble({"stub": _STUB + 2}))
    said = {(each.arguments[0][0], each.arguments[1][0]) for each in decoded.boxes}
    assert said == {((low, low), (size, size)) for low, size in CODE}

    def passes(at: int, size: int) -> bool:
        words = kernel.words(NUMBERS["mprotect"], 0xC000003E, _STUB + 2, [at, size, 5, 0, 0, 0])
        return kernel.run(program, words) == kernel.ALLOW

    low, size = CODE[0]
    assert passes(low, size)
    assert not passes(low, size + 1)  # which is a page more
    assert not passes(low | size // 4096, 0)
    assert not passes(low - (1 << 16), size + (1 << 16 + 12))  # its length has a bit of the other
    assert not passes(low, size + (1 << 32))
