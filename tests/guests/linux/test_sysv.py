"""System V queues, semaphores and memory against the kernel, in a namespace of their own.

Random sequences of calls with usual and unusual arguments; nothing waits.  What waits, and what is
told of processes and addresses, is in ``programs/sysv.c``.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import strategies as st

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import BACKENDS, Maker, Ran
from tests.support.same_calls import (
    Calls,
    Line,
    Sequences,
    any_of,
    check_all,
    each,
    program_of,
    story,
)

pytestmark = pytest.mark.slow

NEW_IPC_NAMESPACE = 0x08000000
CREATE, EXCLUSIVE, NO_WAIT = 0o1000, 0o2000, 0o4000
NO_ERROR, EXCEPT, UNDO = 0o10000, 0o20000, 0o10000
BAD, KERNEL = "i8", "i-4096"
LEAST, MOST = -(1 << 63), (1 << 63) - 1

key = each([0, 1, 1, 1, 2, 2, 3, -1, 1 << 32, (1 << 32) + 1])
making = each([0, CREATE | 0o600, CREATE | 0o600, CREATE | 0o640, CREATE | EXCLUSIVE | 0o666, -1])
known = each([0, 0, 0, 1, 1, 2, 3, 4, 5, 63, 64, 32768, 32769, -1, 1 << 31, 1 << 32])
sized = each([0, 1, 8, 8, 40, 400, 8192, 8193, -1, 1 << 32, MOST])
kinds = st.sampled_from([1, 1, 2, 3, 4, 5, 1000, 0, -1, LEAST, MOST])
message = st.builds(lambda kind, word: f"n{kind},{word},{word},5", kinds, st.integers(0, 9))
message = st.one_of(message, message, message, st.sampled_from([BAD, KERNEL, "i0", "w"]))
wanted = each([0, 0, 0, 1, 2, 3, 1000, -1, -2, -3, -1000, LEAST, LEAST + 1, MOST])
taking = each([NO_WAIT, NO_WAIT, NO_WAIT, NO_WAIT | NO_ERROR, NO_WAIT | EXCEPT, 0o6000])
received = st.sampled_from(["r", "r", "r", "r", BAD, KERNEL])
QUEUE = "Z0,1,2,3,4,5,6,-12,-14,-16,18,20,22,-24,-25"
SET = "Z0,1,2,3,4,5,6,-12,-16,20"
SEGMENT = "Z0,1,2,3,4,5,6,12,13,-14,-16,-18,-20,-21,22"
permissions = st.builds(
    lambda uid, mode, size: f"n{uid << 32},{uid},{mode << 32},0,0,0,0,0,0,0,0,{size}",
    st.integers(0, 3),
    st.sampled_from([0o600, 0o777, 0o7777]),
    st.sampled_from([0, 10, 16384, 1 << 40]),
)
permissions = st.one_of(permissions, permissions, st.sampled_from([BAD, KERNEL]))
undefined = each([4, 10, 21, 50, -1, 1 << 31, (1 << 32) + 50])


def operations(some: list[tuple[int, int, int]]) -> str:
    """Semaphore operations as words, and how many they are."""
    data = b"".join(struct.pack("<HhH", number, by, flags) for number, by, flags in some)
    data += bytes(-len(data) % 8)
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    return f"n{','.join(map(str, words)) or '0'} i{len(some)}"


one = st.tuples(
    st.sampled_from([0, 0, 0, 1, 1, 2, 3, 9]),
    st.sampled_from([0, 1, 1, 2, 5, 32767, -1, -1, -2, -32768]),
    st.sampled_from([NO_WAIT, NO_WAIT, NO_WAIT, NO_WAIT | UNDO]),
)
some = st.lists(one, max_size=4).map(operations)
some = st.one_of(some, some, some, st.sampled_from(["n0 i501", "n0 i-1", f"{BAD} i1", "i0 i0"]))
values = st.builds(
    lambda a, b, c: f"n{a | b << 16 | c << 32},0",
    *[st.sampled_from([0, 1, 7, 32767, 32768, 65535])] * 3,
)
number = each([0, 0, 1, 1, 2, 3, 9, -1, 1 << 31, 1 << 32])
value = each([0, 1, 5, 32767, 32768, -1, (1 << 32) + 5])

CALLS: Calls = {
    "msgget": ((key, making),) * 3,
    "msgsnd": ((known, message, sized, each([NO_WAIT])),) * 6,
    "msgrcv": ((known, received, sized, wanted, taking),) * 6,
    "msgctl": (
        (known, each([2, 2, 11, 13]), st.one_of(*[st.just(QUEUE)] * 4, st.just(BAD))),
        (known, each([0]), each([0])),
        (known, each([1]), permissions),
        (known, undefined, each([0])),
        (known, each([3, 12]), st.just("Z0,1,2,3,4,5,6,7")),
    ),
    "semget": ((key, each([0, 1, 1, 2, 3, 3, -1, 32000, 32001, 1 << 32]), making),) * 3,
    "semop": ((known, some),) * 6,
    "semtimedop": ((known, some, st.sampled_from(["i0", "W0,0", "W-1,0", "W0,1000000000", BAD])),),
    "semctl": (
        (known, number, each([12, 14, 15]), each([0])),
        (known, number, each([16]), value),
        (known, number, each([13]), st.one_of(st.just("Z0,1"), st.just(BAD))),
        (known, number, each([17]), values),
        (known, number, each([2, 18, 20]), st.one_of(*[st.just(SET)] * 4, st.just(BAD))),
        (known, number, each([0]), each([0])),
        (known, number, each([1]), permissions),
        (known, number, undefined, each([0])),
        (known, number, each([3, 19]), st.just("Z0,1,2,3,4,5,6,7,8,9")),
    ),
    "shmget": ((key, each([0, 1, 100, 4096, 5000, 5000, -1, 1 << 62]), making),) * 3,
    "shmctl": (
        (known, each([2, 2, 13, 15]), st.one_of(*[st.just(SEGMENT)] * 4, st.just(BAD))),
        (known, each([0]), each([0])),
        (known, each([1]), permissions),
        (known, each([11, 12]), each([0])),
        (known, undefined, each([0])),
        (known, each([3]), st.just("Z0,1,2,3,4,5,6,7,8,9")),
        (known, each([14]), st.just("Z0,2,3")),
    ),
    "shmat": ((each([-1, 9, 1 << 31]), each([0, 1, 4096]), each([0, 0o10000, 0o40000])),),
    "shmdt": ((each([0, 1, 4096, 4097, -4096]),),),
}

CORE: list[tuple[int, str, list[list[str]]]] = [
    (
        4,
        "msgsnd",
        [
            ["i0"],
            [f"n{kind},{word}" for kind in (1, 2, 3) for word in range(9)],
            [f"i8 i{NO_WAIT}"],
        ],
    ),
    (4, "msgrcv", [["i0"], ["r"], ["i64"], ["i0", "i1", "i2", "i-2", "i-3"], ["i2048", "i10240"]]),
    (1, "msgctl", [["i0"], ["i2"], [QUEUE]]),
    (
        4,
        "semop",
        [
            ["i0"],
            [
                operations([(a, b, NO_WAIT), (c, d, NO_WAIT | UNDO)])
                for a in (0, 1)
                for b in (1, 3, -1, 0)
                for c in (0, 1)
                for d in (2, -2)
            ],
        ],
    ),
    (1, "semctl", [["i0"], ["i0"], ["i13"], ["Z0,1"]]),
    (1, "semctl", [["i0"], ["i0", "i1"], ["i16"], ["i0", "i2", "i32766"]]),
]
"""What most of the time does something, to one queue and one set."""


def dense_calls(seed: int) -> list[str]:
    """Some of them by chance alone."""
    chance = random.Random(seed)
    lines = [f"{NUMBERS['msgget']} i1 i{CREATE}", f"{NUMBERS['semget']} i1 i2 i{CREATE}"]
    for _, name, choices in chance.choices(CORE, [each_[0] for each_ in CORE], k=60):
        lines.append(" ".join([str(NUMBERS[name]), *map(chance.choice, choices)]))
    return lines


wide = st.lists(any_of(CALLS), min_size=8, max_size=60)
sequence = st.one_of(wide, st.integers(0, 1 << 32).map(dense_calls))
sequences = st.lists(sequence, min_size=1, max_size=4)
EXAMPLES = {"process": 100, "kvm": 12}


def apart() -> None:
    """In a namespace where nothing is yet."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_IPC_NAMESPACE):
        raise OSError(ctypes.get_errno(), "no namespace for System V's things")


def natively(program: Path, text: bytes = b"") -> Ran:
    """What Linux makes of it."""
    done = subprocess.run(
        [program], input=text, capture_output=True, preexec_fn=apart, env={}, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_as_the_kernel(make: Maker, backend: Backend) -> None:
    """Any sequence of calls gives the same results, ids and states."""
    if os.geteuid():
        pytest.skip("needs root for a namespace of its own")
    program = program_of(make)
    made = make(program, backend)

    def compare(some_: Sequences) -> None:
        lines: list[Line | str] = [line for each_ in some_ for line in ("= /", *each_)]
        text = "".join(f"{line}\n" for line in lines).encode()
        native, ours = natively(program, text), made.run(stdin=text)
        if native.stdout != ours.stdout or native.status or ours.status:
            pytest.fail(story(list(map(str, lines)), native, ours))

    check_all(compare, sequences, EXAMPLES[backend])


@pytest.mark.parametrize("backend", BACKENDS)
def test_between_threads(make: Maker, backend: Backend) -> None:
    """Who waits is woken by what it waits for, and memory is one memory."""
    program = make.compile((SUPPORT / "programs" / "sysv.c").read_text(encoding="utf-8"), "sysv")
    native, ours = natively(program), make(program, backend).run()
    assert (ours.stdout.decode(), ours.status) == (native.stdout.decode(), 0)
