"""Seccomp programs: our verdicts on them are the kernel's own, on whatever program."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from limpet.audit import bpf, seccomp_decode
from limpet.audit.bpf import Step
from limpet.audit.seccomp_decode import Allowed
from limpet.errors import LimpetError
from limpet.tools.toolchain import compile_program
from tests.support import SUPPORT

X86_64 = 0xC000003E
ALLOW, LOG, TRACE, NOTIFY, ERRNO = 0x7FFF0000, 0x7FFC0000, 0x7FF00000, 0x7FC00000, 0x50000
DIED, ENOSYS = -(1 << 63), -38
CALLS = (39, 110, 186)  # getpid, getppid and gettid, which take no arguments and are never 0
CASES = 3000
Call = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A program and calls to try behind it."""

    program: list[Step]
    calls: list[Call]


class Kernel:
    """The kernel under this test."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def asked(self, cases: list[Case]) -> tuple[int, list[list[int]]]:
        """The address of all calls, and of each case what installing and each call gave."""
        sent = b"".join(
            struct.pack("<II", len(case.program), len(case.calls))
            + b"".join(struct.pack("<HBBI", *step) for step in case.program)
            + b"".join(struct.pack("<7Q", *call) for call in case.calls)
            for case in cases
        )
        done = subprocess.run([self.program], input=sent, capture_output=True, check=True)
        words = [each for (each,) in struct.iter_unpack("<q", done.stdout)]
        place, found = words.pop(0), []
        for case in cases:
            size = 1 + len(case.calls)
            found.append(words[:size])
            del words[:size]
        assert not words
        return place, found


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """The helper that installs filters in children of its own."""
    program = tmp_path_factory.mktemp("kernel") / "kernel_filter"
    compile_program([SUPPORT / "kernel_filter.c"], program, ("-Wall", "-Wextra"))
    return Kernel(program)


LEGAL = sorted(bpf._KNOWN)
VALUES = (0, 1, 2, 4, 15, 16, 31, 32, 39, 60, 64, 110, 186, X86_64, 1 << 31, 0xFFFFFFFF)
VERDICTS = (
    ALLOW,
    ALLOW,
    ALLOW | 7,
    ERRNO,
    ERRNO | 5,
    ERRNO | 0xFFFF,
    0x30000,
    0x80000000,
    0,
    TRACE,
)
OFFSETS = (0, 0, 0, 4, 8, 12, 16, 20, 24, 60)


def _step(chance: random.Random, behind: int, codes: Sequence[int]) -> Step:
    code = chance.choice(codes)
    jumps = [chance.randrange(behind) if behind > 0 else 0 for _ in range(2)]
    value = chance.choice(VALUES)
    if code == bpf.LOAD or chance.random() < 0.3:
        return Step(bpf.LOAD, 0, 0, chance.choice(OFFSETS))
    if code == bpf.JUMP:
        value = jumps[0]
    elif code in (bpf.RETURN, bpf.RETURN_A):
        value = chance.choice(VERDICTS)
    elif code & 7 in (2, 3) or (code & 0xE0 == 0x60 and code & 7 < 2):
        value = chance.randrange(16)
    elif code in (0x64, 0x74):
        value = chance.randrange(32)
    elif code == 0x34:
        value = value or 3
    yes, no = jumps if code & 7 == 5 and code != bpf.JUMP else (0, 0)
    return Step(code, yes, no, value)


def _mutated(chance: random.Random, program: list[Step]) -> list[Step]:
    at = chance.randrange(len(program))
    code, yes, no, value = program[at]
    change = chance.randrange(5)
    if change == 0:
        code = chance.choice([chance.randrange(256), chance.randrange(1 << 16), code ^ 8])
    elif change == 1:
        yes = chance.choice([len(program) - at - 1, len(program) - at, 255])
    elif change == 2:
        no = chance.choice([len(program) - at - 2, len(program) - at - 1, 255]) & 255
    elif change == 3:
        value = chance.choice([value ^ 1, value + 1 & 0xFFFFFFFF, 16, 32, 64, 0, 0xFFFFFFFF])
    else:
        return program[:at] + program[at + 1 :]
    return [*program[:at], Step(code, yes, no, value), *program[at + 1 :]]


OURS = (bpf.LOAD, 0x15, 0x25, 0x35, 0x2D, 0x3D, bpf.TAX, bpf.CONSTANT, 0x1C, bpf.JUMP)


def _like_ours(chance: random.Random) -> list[Step]:
    """For two calls a test of some words of the data, as the filters of bundles have it."""
    count = chance.randrange(3, 11)
    body = [_step(chance, count - 1 - at, OURS) for at in range(count)]
    first, second = chance.sample(CALLS, 2)
    jumps = [Step(0x15, 2, 0, first), Step(0x15, 1, 0, second), Step(bpf.RETURN, 0, 0, 0x80000000)]
    return [Step(bpf.LOAD, 0, 0, 0), *jumps, *body]


def _case(seed: int) -> Case:
    chance = random.Random(seed)
    count = chance.randrange(1, 13)
    program = [_step(chance, count - 1 - at, LEGAL) for at in range(count - 1)]
    if chance.random() < 0.5:
        program = _like_ours(chance)
    program.append(Step(bpf.RETURN, 0, 0, chance.choice(VERDICTS)))
    if chance.random() < 0.4:
        program = _mutated(chance, program)
    arguments = (0, 1, 16, 39, X86_64, 1 << 32, (1 << 64) - 1)
    calls = [
        (chance.choice(CALLS), *(chance.choice(arguments) for _ in range(6))) for _ in range(3)
    ]
    return Case(program, calls)


def _expected(verdict: int) -> int | None:
    """What a call gives, ``None`` for its own result."""
    action = verdict & 0xFFFF0000
    if action in (ALLOW, LOG):
        return None
    if action == ERRNO:
        return -min(verdict & 0xFFFF, 4095)
    return ENOSYS if action in (TRACE, NOTIFY) else DIED


def _data(call: Call, place: int) -> bytes:
    return struct.pack("<IIQ6Q", call[0], X86_64, place, *call[1:])


def test_verdicts_are_the_kernels(kernel: Kernel) -> None:
    """Random programs, whole and damaged: taken or not, and what becomes of every call."""
    cases = [_case(seed) for seed in range(CASES)]
    place, found = kernel.asked(cases)
    taken = refused = 0
    allowed = decoded = 0
    for seed, (case, results) in enumerate(zip(cases, found, strict=True)):
        why = bpf.refused(case.program)
        assert (results[0] == 0) == (why is None), (seed, case.program, why, results)
        taken, refused = taken + (why is None), refused + (why is not None)
        if why is None:
            boxes = _decoded(case.program)
            let_through = _same(case, boxes, place, results[1:])
            allowed, decoded = allowed + let_through, decoded + (let_through if boxes else 0)
    assert min(taken, refused) > CASES // 8
    assert min(allowed, decoded) > CASES // 8


def _decoded(program: list[Step]) -> tuple[Allowed, ...] | None:
    """What the decoder says is let through, ``None`` for what it does not follow."""
    try:
        whole = b"".join(struct.pack("<HBBI", *step) for step in program)
        return seccomp_decode.decode(whole).boxes
    except LimpetError:
        return None


def _same(case: Case, boxes: tuple[Allowed, ...] | None, place: int, results: Sequence[int]) -> int:
    """How many calls were let through, each as we say; what is decoded has all of them."""
    allowed = 0
    for call, result in zip(case.calls, results, strict=True):
        wanted = _expected(bpf.verdict(case.program, _data(call, place)))
        assert (result > 0) if wanted is None else (result == wanted), (case, call, result)
        if result == DIED:
            break
        if wanted is None:
            allowed += 1
            pairs = zip(call[1:], range(6), strict=True)
            assert boxes is None or any(
                call[0] == box.number
                and box.pointer[0] <= place <= box.pointer[1]
                and all(any(a <= v <= b for a, b in box.arguments[i]) for v, i in pairs)
                for box in boxes
            ), (case, call)
    return allowed


def test_every_code(kernel: Kernel) -> None:
    """Each of the 65536 operation codes alone that could be one, and the others in a sample."""
    codes = [*range(256), *range(256, 1 << 16, 251)]
    cases = [Case([Step(code, 0, 0, 0), Step(bpf.RETURN, 0, 0, ALLOW)], []) for code in codes]
    _, found = kernel.asked(cases)
    ours = [bpf.refused(case.program) is None for case in cases]
    assert ours == [results[0] == 0 for results in found]
    assert 20 < sum(ours) < 64


EXACT = (bpf.LOAD, 0x15, 0x15, 0x25, 0x35, bpf.JUMP, bpf.RETURN)
"""What the decoder follows without guessing."""


def _followed(seed: int) -> list[Step]:
    """A program of comparisons only, for one of two calls as those of bundles are."""
    chance = random.Random(seed)
    count = chance.randrange(4, 16)
    body = [_step(chance, count - 1 - at, EXACT) for at in range(count - 1)]
    for at, step in enumerate(body):
        if step.code == bpf.LOAD and chance.random() < 0.6:
            body[at] = step._replace(value=16)
    first, second = chance.sample(CALLS, 2)
    jumps = [Step(0x15, 2, 0, first), Step(0x15, 1, 0, second), Step(bpf.RETURN, 0, 0, 0x80000000)]
    end = Step(bpf.RETURN, 0, 0, chance.choice(VERDICTS))
    upper = [Step(bpf.LOAD, 0, 0, 20), Step(0x15, 1, 0, 0), Step(bpf.RETURN, 0, 0, 0x30000)]
    lower = Step(bpf.LOAD, 0, 0, 16)
    return [Step(bpf.LOAD, 0, 0, 0), *jumps, *upper, lower, *body, end]


def _weight(verdict: int) -> int:
    """How mild it is; whatever the kernel does not know ends the process."""
    return verdict & 0x7FFF0000 if verdict < 1 << 31 else -1


def test_rules_are_exact() -> None:
    """What is decoded is let through to both of its ends, and nothing else, by the same verdict."""
    shown = refused = 0
    for seed in range(CASES):
        program, chance = _followed(seed), random.Random(~seed)
        decoded = seccomp_decode.decode(b"".join(struct.pack("<HBBI", *step) for step in program))
        for rule in (*decoded.boxes, *decoded.allowed):
            for end in (0, 1):
                ends = [chance.choice(ranges)[end] for ranges in rule.arguments]
                arch = X86_64 if decoded.checks_architecture else chance.randrange(1 << 32)
                data = struct.pack("<IIQ6Q", rule.number, arch, rule.pointer[end], *ends)
                if decoded.checks_architecture or not _tests_architecture(program):
                    assert bpf.lets_through(bpf.verdict(program, data)), (seed, program, rule)
                    shown += 1
        for _ in range(8):
            words = [chance.choice(VALUES) for _ in range(16)]
            words[0] = chance.choice(CALLS)
            verdict = bpf.verdict(program, struct.pack("<16I", *words))
            if not bpf.lets_through(verdict):
                refused += 1
                assert _weight(verdict) <= _weight(decoded.default), (seed, program, words)
            else:
                assert any(_holds(box, words) for box in decoded.boxes), (seed, program, words)
    assert min(shown, refused) > CASES // 8


def test_rules_put_together() -> None:
    """Boxes that are put together to rules stay the same calls: next to every end of each."""
    within = outside = 0
    for seed in range(CASES):
        program, chance = _followed(seed), random.Random(~seed)
        decoded = seccomp_decode.decode(b"".join(struct.pack("<HBBI", *step) for step in program))
        for _ in range(12 if decoded.boxes else 0):
            words = _near(chance, decoded.boxes)
            inside = any(_holds(box, words) for box in decoded.boxes)
            assert inside == any(_holds(rule, words) for rule in decoded.allowed), (seed, words)
            within, outside = within + inside, outside + (not inside)
    assert min(within, outside) > CASES // 40


def _near(chance: random.Random, boxes: Sequence[Allowed]) -> list[int]:
    """The words of a call with each number at the end of some box, or next to it."""
    box = chance.choice(boxes)
    words = [box.number, X86_64]
    for index, own in enumerate(((box.pointer,), *box.arguments)):
        ranges = chance.choice([own, chance.choice(boxes).arguments[max(index - 1, 0)]])
        each = chance.choice(chance.choice(ranges)) + chance.choice((-1, 0, 0, 0, 1, 20))
        words += [each & 0xFFFFFFFF, each >> 32 & 0xFFFFFFFF]
    words[5] = 0
    return words


def _tests_architecture(program: list[Step]) -> bool:
    return any(step.code == bpf.LOAD and step.value == 4 for step in program)


def _holds(box: Allowed, words: Sequence[int]) -> bool:
    numbers = [words[at] | words[at + 1] << 32 for at in range(2, 16, 2)]
    ranges = ((box.pointer,), *box.arguments)
    inside = zip(numbers, ranges, strict=True)
    return box.number == words[0] and all(
        any(low <= number <= high for low, high in each) for number, each in inside
    )


NOTHING = Step(bpf.CONSTANT, 0, 0, 0)
END = Step(bpf.RETURN, 0, 0, ALLOW)


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 65535])
def test_lengths(kernel: Kernel, count: int) -> None:
    """As many instructions as the kernel takes, and one more."""
    program = [*[NOTHING] * (count - 1), END] if count else []
    _, ((result,),) = kernel.asked([Case(program, [])])
    assert (result == 0) == (bpf.refused(program) is None) == (0 < count <= 4096)
