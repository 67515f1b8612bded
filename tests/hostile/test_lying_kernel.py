"""A monitor whose KVM tells it what no KVM should: it refuses instead of believing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from limpet.planning.regions import KVM_RUN_AT
from tests.hostile.guest import Hostile
from tests.support.bundles import Maker
from tests.support.traced import Memory, lied_to

pytestmark = pytest.mark.kvm

EXIT_REASON, PORT_USE, DATA_OFFSET = KVM_RUN_AT + 8, KVM_RUN_AT + 32, KVM_RUN_AT + 40
"""In ``struct kvm_run``; the use of a port is direction, size, port and count in one word."""

EXIT_IO = 2
WRONG_USE = b"limpet: the guest used a hypercall port with the wrong width\n"

LIES: dict[str, tuple[int, Callable[[int], int]]] = {
    "two times": (PORT_USE, lambda word: word & 0xFFFFFFFF | 2 << 32),
    "no time": (PORT_USE, lambda word: word & 0xFFFFFFFF),
    "very often": (PORT_USE, lambda word: word | 0xFFFFFFFF << 32),
    "reading": (PORT_USE, lambda word: word & ~0xFF),
    "8 bits": (PORT_USE, lambda word: word & ~0xFF00 | 1 << 8),
    "data outside": (DATA_OFFSET, lambda _: 3 * 4096 - 3),
    "data far away": (DATA_OFFSET, lambda _: 2**64 - 4096),
}


@pytest.mark.parametrize("what", LIES)
def test_use_of_a_port(make: Maker, what: str) -> None:
    """A hypercall that is one 32-bit OUT, with its data in the shared pages, or nothing."""
    at, change = LIES[what]

    def lie(memory: Memory) -> bool:
        if memory.read(EXIT_REASON) & 0xFFFFFFFF != EXIT_IO:
            return False
        memory.write(at, change(memory.read(at)))
        return True

    hostile = Hostile(make, "kvm")
    ran = lied_to([str(hostile.made().path), "find_calls", "0"], lie)
    assert (ran.status, ran.stdout, ran.stderr) == (122, b"", WRONG_USE)


def test_the_truth(make: Maker) -> None:
    """With the words left as they are, the guest runs on."""
    hostile = Hostile(make, "kvm")

    def nothing(memory: Memory) -> bool:
        memory.write(PORT_USE, memory.read(PORT_USE))
        return True

    ran = lied_to([str(hostile.made().path), "auxiliary", "33"], nothing)
    assert (ran.status, ran.stdout, ran.stderr) == (0, b"0\nsurvived\n", b"")
