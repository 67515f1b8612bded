"""How few system calls are left to a monitor; test_filter_proof.py shows that no other is."""

from __future__ import annotations

from itertools import product

import limpet
from limpet.contract import Backend
from limpet.planning import bpf
from limpet.planning.bpf import Assembler
from tests.support import bpf as kernel
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
            code.end(kernel.KILL_PROCESS)
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
