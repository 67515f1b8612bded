"""Classic BPF programs of seccomp, decoded back into rules: which call, with which arguments, from
where.

Every way through the program is followed with what its comparisons have said about each word of
``struct seccomp_data``.  A way that ends in an allowance is a *box*: a range for every word.  Boxes
are put together again to rules for people.  Programs are hostile: jumps only go forward and what is
followed is bounded.  Sources: Linux ``include/uapi/linux/{seccomp,filter}.h``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from limpet.audit import bpf
from limpet.audit.bpf import CONSTANT, JUMP, LOAD, RETURN, TAX
from limpet.errors import BundleError

_MOST_BOXES, _MOST_STEPS = 4096, 200_000
_JEQ, _JGT, _JGE, _SUBTRACT_X, _JGT_X, _JGE_X = 0x15, 0x25, 0x35, 0x1C, 0x2D, 0x3D
_SHIFT, _OR_X, _JSET = 0x74, 0x4C, 0x45
_FULL = (0, 0xFFFFFFFF)
_NUMBER, _ARCH, _POINTER, _ARGUMENTS = 0, 4, 8, 16
X86_64 = 0xC000003E

Range = tuple[int, int]
"""From the first to the last value, both included."""

EVERYTHING: Range = (0, (1 << 64) - 1)


@dataclass(frozen=True)
class Allowed:
    """System calls that a filter lets through: what is not limited is :data:`EVERYTHING`."""

    number: int
    pointer: Range
    arguments: tuple[tuple[Range, ...], ...]

    def covers(self, other: Allowed) -> bool:
        """Whether everything that ``other`` lets through passes here too."""
        inside = self.pointer[0] <= other.pointer[0] and other.pointer[1] <= self.pointer[1]
        return (
            self.number == other.number
            and inside
            and all(map(_within, other.arguments, self.arguments))
        )


@dataclass(frozen=True)
class Decoded:
    """A whole program in words."""

    allowed: tuple[Allowed, ...]
    default: int
    instructions: int
    boxes: tuple[Allowed, ...]  # the same as ``allowed``, not put together
    checks_architecture: bool


def _within(inner: Sequence[Range], outer: Sequence[Range]) -> bool:
    return all(any(o[0] <= i[0] and i[1] <= o[1] for o in outer) for i in inner)


def decode(program: bytes) -> Decoded:
    """The rules of a program.

    Raises:
        BundleError: the kernel would not take it, or it is of another kind than Limpet's.
    """
    count, why = len(program) // 8, bpf.refused(bpf.steps(program))
    if why:
        raise BundleError(
            f"the kernel refuses a seccomp program: {why}", hint="do not run the bundle"
        )
    boxes, others = [], set()
    for words, result in _ways(program):
        if bpf.lets_through(result):
            boxes.append(words)
        else:
            others.add(result)
        if len(boxes) > _MOST_BOXES:
            raise _undecodable("it is too involved")
    architecture = all(words.get(_ARCH) == (X86_64, X86_64) for words in boxes)
    single = [_allowed(words) for words in boxes]
    return Decoded(tuple(_merged(single)), _weakest(others), count, tuple(single), architecture)


def _weakest(results: set[int]) -> int:
    """The mildest thing that happens to a call which is not allowed, by the kernel's order."""
    return max(results, key=lambda value: value & 0x7FFF0000 if value < 1 << 31 else -1, default=0)


def _undecodable(what: str) -> BundleError:
    return BundleError(f"a seccomp program cannot be decoded: {what}", hint="do not run the bundle")


def _below(known: Range, value: int) -> Range | None:
    return (known[0], min(known[1], value)) if known[0] <= value else None


def _above(known: Range, value: int) -> Range | None:
    return (max(known[0], value), known[1]) if known[1] >= value else None


def _equal(known: Range, value: int) -> tuple[list[Range], list[Range]]:
    inside = [(value, value)] if known[0] <= value <= known[1] else []
    beside = [_below(known, value - 1), _above(known, value + 1)]
    return inside, [each for each in beside if each]


def _greater(known: Range, value: int) -> tuple[list[Range], list[Range]]:
    return [e for e in [_above(known, value + 1)] if e], [e for e in [_below(known, value)] if e]


def _at_least(known: Range, value: int) -> tuple[list[Range], list[Range]]:
    return [e for e in [_above(known, value)] if e], [e for e in [_below(known, value - 1)] if e]


_SPLITS = {_JEQ: _equal, _JGT: _greater, _JGE: _at_least}
"""Of a range: the parts for which a comparison holds, and for which it does not."""


class _Value(NamedTuple):
    """What a register has: a word of the data, shifted, with the bits of another; or none of it."""

    word: int = -1
    shift: int = 0
    beside: tuple[int, int] | None = None  # a word, and by how much that is shifted


_UNKNOWN = _Value()


class _Way(NamedTuple):
    """As far as one way through a program has come; ``free`` has what low bits of words are 0."""

    at: int = 0
    a: _Value = _UNKNOWN
    x: _Value = _UNKNOWN
    words: Mapping[int, Range] = MappingProxyType({})
    free: Mapping[int, int] = MappingProxyType({})


def _ways(program: bytes) -> Iterator[tuple[Mapping[int, Range], int]]:
    """Every way through the program with what is known of each word at its end."""
    pending = [_Way()]
    steps, taken = bpf.steps(program), 0
    while pending:
        way = pending.pop()
        taken += 1
        if taken > _MOST_STEPS:
            raise _undecodable("it is too involved")
        step = steps[way.at]
        on = way._replace(at=way.at + 1)
        if step.code == RETURN:
            yield way.words, step.value
        elif step.code == JUMP:
            pending.append(way._replace(at=on.at + step.value))
        elif step.code == TAX:
            pending.append(on._replace(x=way.a))
        elif step.code in _COMPUTES:
            pending.append(on._replace(a=_computed(step, way)))
        elif step.code in _BRANCHES:
            pending += _branches(step, on)
        else:
            raise _undecodable(f"instruction {way.at} has code {step.code:#x}")


_COMPUTES = frozenset({LOAD, CONSTANT, _SUBTRACT_X, _SHIFT, _OR_X})
_BRANCHES = frozenset({*_SPLITS, _JGT_X, _JGE_X, _JSET})


def _computed(step: bpf.Step, way: _Way) -> _Value:
    """What is followed of what an instruction makes of the registers."""
    a, x = way.a, way.x
    if step.code == LOAD:
        return _Value(step.value)
    if step.code == _SHIFT and a.word >= 0 and a.beside is None and a.shift + step.value < 32:
        return _Value(a.word, a.shift + step.value)
    if step.code == _OR_X and a.word >= 0 and x.word >= 0 and not (a.shift or a.beside or x.beside):
        return _Value(a.word, 0, (x.word, x.shift))
    return _UNKNOWN


def _branches(step: bpf.Step, on: _Way) -> Iterator[_Way]:
    """Both ways of a comparison that there are; where nothing is followed, both as they come."""
    code, yes, no, value = step
    holds, fails = on._replace(at=on.at + yes), on._replace(at=on.at + no)
    plain = on.a.word >= 0 and on.a.beside is None
    if code == _JSET and plain and not on.a.shift and value & (value + 1) == 0:
        yield from (holds, fails._replace(free={**on.free, on.a.word: value}))
    elif code in _SPLITS and plain:
        parts = _SPLITS[code](_shifted(on), value)
        for side, way in zip(parts, (holds, fails), strict=True):
            yield from (_narrowed(way, each) for each in side)
    elif code == _JEQ and on.a.beside and _is_apart(on):
        yield from (*_both(holds, value), fails)
    else:
        yield from (holds, fails)


def _shifted(way: _Way) -> Range:
    low, high = way.words.get(way.a.word, _FULL)
    return low >> way.a.shift, high >> way.a.shift


def _narrowed(way: _Way, part: Range) -> _Way:
    """The word lies where it is in ``part`` once it is shifted."""
    word, shift = way.a.word, way.a.shift
    low, high = way.words.get(word, _FULL)
    part = max(low, part[0] << shift), min(high, (part[1] << shift) + (1 << shift) - 1)
    return way._replace(words={**way.words, word: part})


def _is_apart(way: _Way) -> bool:
    """Whether of two words that were put together each bit is known to be one's own."""
    assert way.a.beside
    word, (other, shift) = way.a.word, way.a.beside
    bits = (1 << shift) - 1
    small = way.words.get(other, _FULL)[1] >> shift <= bits
    return word != other and small and way.free.get(word) == way.free.get(other) == bits


def _both(way: _Way, value: int) -> Iterator[_Way]:
    """Together they are ``value``."""
    assert way.a.beside
    word, (other, shift) = way.a.word, way.a.beside
    low = value & ((1 << shift) - 1)
    words = dict(way.words)
    for each, known in ((word, value - low), (other, low << shift)):
        first, last = words.get(each, _FULL)
        if not first <= known <= last:
            return
        words[each] = known, known
    yield way._replace(words=words)


def _allowed(words: Mapping[int, Range]) -> Allowed:
    number = words.get(_NUMBER, _FULL)
    if number[0] != number[1]:
        raise _undecodable(f"it lets through the calls {number[0]} to {number[1]}")
    pointer = _word_pair(words, _POINTER)
    arguments = tuple((_word_pair(words, _ARGUMENTS + 8 * index),) for index in range(6))
    return Allowed(number[0], pointer, arguments)


def _word_pair(words: Mapping[int, Range], offset: int) -> Range:
    """Two words as one number; where they make no single range, the smallest around them."""
    low, high = words.get(offset, _FULL), words.get(offset + 4, _FULL)
    return high[0] << 32 | low[0], high[1] << 32 | low[1]


def _merged(boxes: list[Allowed]) -> list[Allowed]:
    """The same with as few rules as differ in one argument only."""
    rules: list[Allowed] = sorted(set(boxes), key=lambda each: (each.number, each.pointer))
    changed = True
    while changed and len(rules) <= 256:
        changed = False
        for i in range(len(rules)):
            for j in range(len(rules) - 1, i, -1):
                both = _union(rules[i], rules[j])
                if both:
                    rules[i] = both
                    del rules[j]
                    changed = True
    return rules


def _union(one: Allowed, other: Allowed) -> Allowed | None:
    if (one.number, one.pointer) != (other.number, other.pointer):
        return None
    differing = [i for i in range(6) if one.arguments[i] != other.arguments[i]]
    if not differing:
        return one
    if len(differing) > 1:
        return one if one.covers(other) else other if other.covers(one) else None
    index = differing[0]
    arguments = list(one.arguments)
    arguments[index] = joined(one.arguments[index] + other.arguments[index])
    return replace(one, arguments=tuple(arguments))


def joined(given: Sequence[Range]) -> tuple[Range, ...]:
    """Ranges that touch, as one."""
    out: list[Range] = []
    for low, high in sorted(given):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)
