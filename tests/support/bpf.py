"""Classic BPF as the kernel runs it on a system call: decoded strictly, run, and solved.

Shares nothing with ``limpet.seccomp``, which writes such programs, or ``limpet.audit``, which
reads them.  Source: Linux ``Documentation/networking/filter.rst`` and ``kernel/seccomp.c``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

ALLOW, KILL_PROCESS, TRAP = 0x7FFF0000, 0x80000000, 0x00030000
WORD = 0xFFFFFFFF
NUMBER, ARCH, POINTER, ARGUMENTS = 0, 1, 2, 4
"""Words of ``struct seccomp_data``; the 64-bit ones have their lower half first."""

_LOAD, _CONSTANT, _TAX, _SUBTRACT, _JUMP, _RETURN = 0x20, 0x00, 0x07, 0x1C, 0x05, 0x06
_SHIFT, _OR = 0x74, 0x4C
_KNOWN = (_LOAD, _CONSTANT, _TAX, _SUBTRACT, _SHIFT, _OR, _JUMP, _RETURN)
_TESTS = {
    0x45: ("&", False),
    0x15: ("==", False),
    0x25: (">", False),
    0x35: (">=", False),
    0x1D: ("==", True),
    0x2D: (">", True),
    0x3D: (">=", True),
}


class BadProgram(Exception):
    """Not a program that the filters of Limpet may consist of."""


@dataclass(frozen=True)
class Instruction:
    """One of them, ``yes`` and ``no`` as places in the program."""

    code: int
    yes: int
    no: int
    value: int


Program = tuple[Instruction, ...]


def decode(text: bytes) -> Program:
    """Every instruction known, every jump forward and inside, no way past the end."""
    if len(text) % 8 or not 8 <= len(text) <= 8 * 4096:
        raise BadProgram(f"{len(text)} bytes")
    program = tuple(
        _instruction(len(text) // 8, at, *struct.unpack_from("<HBBI", text, 8 * at))
        for at in range(len(text) // 8)
    )
    if program[-1].code != _RETURN:
        raise BadProgram("the last instruction does not return")
    return program


def _instruction(size: int, at: int, code: int, yes: int, no: int, value: int) -> Instruction:
    if code in _TESTS:
        if _TESTS[code][1] and value:
            raise BadProgram(f"{at}: a constant beside X")
        targets = at + 1 + yes, at + 1 + no
    else:
        if yes or no:
            raise BadProgram(f"{at}: targets of no jump")
        targets = (at + 1 + value if code == _JUMP else at,) * 2
    if code == _LOAD and (value % 4 or value > 60):
        raise BadProgram(f"{at}: load from {value}")
    if code == _RETURN and value not in (ALLOW, KILL_PROCESS, TRAP):
        raise BadProgram(f"{at}: verdict {value:#x}")
    if code in (_TAX, _SUBTRACT, _OR) and value:
        raise BadProgram(f"{at}: a constant where none is")
    if code == _SHIFT and value > 31:
        raise BadProgram(f"{at}: shifts by {value}")
    if code not in (*_KNOWN, *_TESTS):
        raise BadProgram(f"{at}: opcode {code:#x}")
    if max(targets) >= size:
        raise BadProgram(f"{at}: jumps out of the program")
    return Instruction(code, *targets, value)


def words(number: int, arch: int, pointer: int, arguments: Sequence[int]) -> list[int]:
    """``struct seccomp_data`` of a system call."""
    return list(struct.unpack("<16I", struct.pack("<IIQ6Q", number, arch, pointer, *arguments)))


def run(program: Program, data: Sequence[int]) -> int:
    """The verdict on one system call."""
    at = a = x = 0
    while True:
        step = program[at]
        at += 1
        if step.code == _LOAD:
            a = data[step.value // 4]
        elif step.code in _TESTS:
            test, with_x = _TESTS[step.code]
            b = x if with_x else step.value
            holds = {"==": a == b, ">": a > b, ">=": a >= b, "&": a & b != 0}[test]
            at = step.yes if holds else step.no
        elif step.code == _RETURN:
            return step.value
        elif step.code == _JUMP:
            at = step.yes
        elif step.code == _CONSTANT:
            a = step.value
        elif step.code == _TAX:
            x = a
        elif step.code == _SHIFT:
            a >>= step.value
        elif step.code == _OR:
            a |= x
        else:
            a = (a - x) & WORD


Spans = tuple[tuple[int, int], ...]
"""Numbers, as disjoint ascending spans with both ends."""


@dataclass(frozen=True)
class Term:
    """``constant``, a word of the data without its last bits, that with the bits of another in
    their place, or ``constant`` less a word, modulo 2**32."""

    constant: int = 0
    word: int | None = None
    less: bool = False
    shift: int = 0
    other: tuple[int, int] | None = None  # a word, and by how much that is shifted

    @property
    def plain(self) -> bool:
        """A word as it is."""
        return self.word is not None and not (self.less or self.shift or self.other)


@dataclass(frozen=True)
class Above:
    """Whether the word ``left`` is greater than ``constant`` less the word ``right``."""

    left: int
    constant: int
    right: int
    holds: bool


@dataclass(frozen=True)
class Together:
    """The whole pages ``word``, and how many ``other`` are, are not ``constant``."""

    word: int
    other: int
    constant: int


@dataclass(frozen=True)
class Path:
    """One way through a program: what is asked of each word on it, and the verdict."""

    spans: tuple[Spans, ...] = (((0, WORD),),) * 16
    relations: tuple[Above, ...] = ()
    pages: tuple[tuple[int, bool], ...] = ()  # a word, and whether it is whole pages
    apart: tuple[Together, ...] = ()
    verdict: int = 0


@dataclass(frozen=True)
class _State:
    at: int = 0
    a: Term = field(default_factory=Term)
    x: Term = field(default_factory=Term)
    path: Path = field(default_factory=Path)


def paths(program: Program) -> Iterator[Path]:
    """Every way through ``program`` that some system call takes; together they are all calls."""
    states = [_State()]
    while states:
        state = states.pop()
        step = program[state.at]
        on = replace(state, at=state.at + 1)
        if step.code == _RETURN:
            yield replace(state.path, verdict=step.value)
        elif step.code == _JUMP:
            states.append(replace(state, at=step.yes))
        elif step.code == _LOAD:
            states.append(replace(on, a=Term(word=step.value // 4)))
        elif step.code == _CONSTANT:
            states.append(replace(on, a=Term(step.value)))
        elif step.code == _TAX:
            states.append(replace(on, x=state.a))
        elif step.code == _SUBTRACT:
            if state.a.word is not None or state.x.word is None or state.x.less:
                raise BadProgram(f"{state.at}: only a word from a constant can be subtracted")
            states.append(replace(on, a=Term(state.a.constant, state.x.word, True)))
        elif step.code == _SHIFT:
            if not state.a.plain:
                raise BadProgram(f"{state.at}: only a word can be shifted")
            states.append(replace(on, a=replace(state.a, shift=step.value)))
        elif step.code == _OR:
            states.append(replace(on, a=_together(state)))
        else:
            states += _branches(state, step)


PAGES = 12
"""Bits of a page."""


def _together(state: _State) -> Term:
    """Whole pages, and in the bits that are left the number of others."""
    a, x = state.a, state.x
    whole = {(a.word, True), (x.word, True)} <= set(state.path.pages)
    if not a.plain or x.word is None or x.less or x.other or x.shift != PAGES or not whole:
        raise BadProgram(f"{state.at}: words that are put together otherwise")
    if a.word == x.word or state.path.spans[x.word][-1][1] >> 2 * PAGES:
        raise BadProgram(f"{state.at}: too many pages")
    return replace(a, other=(x.word, PAGES))


def _branches(state: _State, step: Instruction) -> Iterator[_State]:
    test, with_x = _TESTS[step.code]
    a, b = state.a, state.x if with_x else Term(step.value)
    if a.other or test == "&" or (a.shift and not with_x):
        yield from _shifted(state, step, test)
        return
    for holds, target in ((True, step.yes), (False, step.no)):
        if b.less and not a.less and a.word is not None and b.word is not None and test == ">":
            relation = Above(a.word, b.constant, b.word, holds)
            path = replace(state.path, relations=(*state.path.relations, relation))
        elif b.word is None and a.word is not None and not a.less:
            path = _narrowed(state.path, a.word, _spans(test, b.constant), holds)
        elif a.word is None and b.word is not None and not b.less:
            swapped = {"==": "==", ">": "<", ">=": "<="}[test]
            path = _narrowed(state.path, b.word, _spans(swapped, a.constant), holds)
        else:
            raise BadProgram(f"{state.at}: a comparison that is not followed")
        if all(path.spans):
            yield replace(state, at=target, path=path)


def _shifted(state: _State, step: Instruction, test: str) -> Iterator[_State]:
    """Of a word without its last bits, of those bits, or of two that were put together."""
    a, path, value = state.a, state.path, step.value
    assert a.word is not None
    if test == "&" and a.plain and value == (1 << PAGES) - 1:
        sides = [replace(path, pages=(*path.pages, (a.word, holds))) for holds in (False, True)]
    elif test == "==" and a.other:
        low = value & ((1 << PAGES) - 1)
        both = _narrowed(path, a.word, ((value - low,) * 2,), True)
        both = _narrowed(both, a.other[0], ((low << PAGES,) * 2,), True)
        apart = (*path.apart, Together(a.word, a.other[0], value))
        sides = [both, replace(path, apart=apart)]
    elif test == "==" and a.shift and not a.less:
        low, high = value << a.shift, (value + 1 << a.shift) - 1
        span = ((low, high),) if high <= WORD else ()
        sides = [_narrowed(path, a.word, span, holds) for holds in (True, False)]
    else:
        raise BadProgram(f"{state.at}: a comparison that is not followed")
    for target, each in zip((step.yes, step.no), sides, strict=True):
        if all(each.spans):
            yield replace(state, at=target, path=each)


def _spans(test: str, value: int) -> Spans:
    """The words that compare so with ``value``."""
    ends = {
        "==": (value, value),
        ">": (value + 1, WORD),
        ">=": (value, WORD),
        "<": (0, value - 1),
        "<=": (0, value),
    }
    low, high = ends[test]
    return ((low, high),) if low <= high else ()


def _narrowed(path: Path, word: int, spans: Spans, holds: bool) -> Path:
    if not holds:
        low, high = spans[0] if spans else (WORD + 1, WORD)
        spans = tuple(span for span in ((0, low - 1), (high + 1, WORD)) if span[0] <= span[1])
    every = list(path.spans)
    every[word] = common(every[word], spans)
    return replace(path, spans=tuple(every))


def common(one: Spans, other: Spans) -> Spans:
    """What is in both."""
    both = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return tuple(sorted(span for span in both if span[0] <= span[1]))


def _inside(span: tuple[int, int], spans: Spans) -> bool:
    return any(low <= span[0] and span[1] <= high for low, high in spans)


def all_within(high: Spans, low: Spans, allowed: Spans) -> bool:
    """Whether every 64-bit value with such halves is in ``allowed``."""
    for first, last in high:
        if first == last:
            whole = [(first << 32 | a, first << 32 | b) for a, b in low]
        else:
            whole = [(first << 32 | low[0][0], last << 32 | low[-1][1])]
        if not all(_inside(span, allowed) for span in whole):
            return False
    return True


def none_within(high: Spans, low: Spans, allowed: Spans) -> bool:
    """Whether no 64-bit value with such halves is in ``allowed``."""
    return not any(_meets(span, low, first, last) for span in high for first, last in allowed)


def _meets(high: tuple[int, int], low: Spans, first: int, last: int) -> bool:
    top, bottom = max(high[0], first >> 32), min(high[1], last >> 32)
    for half in {top, top + 1, bottom}:  # one between the ends stands for all of these
        if top <= half <= bottom:
            start = first & WORD if half == first >> 32 else 0
            end = last & WORD if half == last >> 32 else WORD
            if common(low, ((start, end),)):
                return True
    return False
