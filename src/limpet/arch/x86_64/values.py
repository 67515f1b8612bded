"""What a register or a place in memory can hold: a few numbers, or all from one to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from limpet.arch.x86_64.decode import MASK


class Span(NamedTuple):
    """Every number from ``low`` to ``high``."""

    low: int
    high: int


Values = frozenset[int] | Span
"""Unsigned numbers of 64 bits; a set is never empty."""

ANYTHING = Span(0, MASK)
MOST = 64
"""In a set that comes from what code has compared; as many targets has a jump table."""
_MOST_JOINED = 8
_STEPS = (0xFF, 0xFFFF, 0xFFFF_FFFF, MASK)
"""How far the end of a span goes when it grows."""


def just(value: int) -> Values:
    """One number."""
    return frozenset({value & MASK})


def mask(size: int) -> int:
    """The largest number of ``size`` bytes."""
    return (1 << 8 * size) - 1


def ends(values: Values) -> Span:
    """From the least to the greatest."""
    return values if isinstance(values, Span) else Span(min(values), max(values))


def single(values: Values) -> int | None:
    """The number when it is certain."""
    low, high = ends(values)
    return low if low == high else None


def listed(values: Values) -> frozenset[int]:
    """The numbers when they are few, else nothing."""
    if isinstance(values, Span):
        return frozenset(range(values.low, values.high + 1) if _few(values) else ())
    return values


def _few(span: Span) -> bool:
    return span.high - span.low < MOST


def cut(values: Values, size: int) -> Values:
    """The lower ``size`` bytes."""
    most = mask(size)
    if isinstance(values, Span):
        return values if values.high <= most else Span(0, most)
    return frozenset(value & most for value in values)


def joined(known: Values, other: Values) -> Values:
    """What holds both; grows in few steps, so that loops come to an end."""
    if not isinstance(known, Span) and not isinstance(other, Span):
        both = known | other
        doubled = 2 * len(known) <= len(both) <= MOST  # a table's index, and no counter
        if len(both) <= max(_MOST_JOINED, len(known)) or doubled:
            return both
    mine, theirs = ends(known), ends(other)
    low = mine.low if theirs.low >= mine.low else 0
    high = mine.high
    if theirs.high > high:
        high = next(step for step in _STEPS if theirs.high <= step)
    return Span(low, high)


def computed(compute: Callable[[int, int], int], left: Values, right: Values, size: int) -> Values:
    """Of few numbers each result; else anything of that size."""
    few = not isinstance(left, Span) and not isinstance(right, Span)
    if few and len(left) * len(right) <= MOST:
        return frozenset(compute(a, b) & mask(size) for a in left for b in right)
    return Span(0, mask(size))


def added(left: Values, right: Values, size: int = 8) -> Values:
    """The sum; where it may wrap, anything."""
    few = computed(lambda a, b: a + b, left, right, size)
    if not isinstance(few, Span):
        return few
    one, other = sorted((ends(left), ends(right)), key=lambda each: each.high)
    less = other.low - mask(size) - 1
    if other.low == other.high and one.low + less >= 0:  # a negative constant
        return Span(one.low + less, one.high + less)
    both = Span(one.low + other.low, one.high + other.high)
    return both if both.high <= mask(size) else few


def subtracted(left: Values, right: Values, size: int) -> Values:
    """The difference; where it may wrap, anything."""
    few = computed(lambda a, b: a - b, left, right, size)
    one, other = ends(left), ends(right)
    if isinstance(few, Span) and one.low >= other.high:
        return Span(one.low - other.high, one.high - other.low)
    return few


def multiplied(left: Values, by: int, size: int = 8) -> Values:
    """A constant's multiple; where it may wrap, anything."""
    few = computed(lambda a, b: a * b, left, just(by), size)
    low, high = ends(left)
    return Span(low * by, high * by) if isinstance(few, Span) and high * by <= mask(size) else few


def masked(left: Values, right: Values, size: int) -> Values:
    """Bitwise and."""
    few = computed(lambda a, b: a & b, left, right, size)
    return Span(0, min(ends(left).high, ends(right).high)) if isinstance(few, Span) else few


def shifted(left: Values, by: int, size: int) -> Values:
    """Shifted right by a constant."""
    low, high = ends(left)
    few = computed(lambda a, b: a >> b, left, just(by), size)
    return Span(low >> by, high >> by) if isinstance(few, Span) else few


_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "e": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "a": lambda a, b: a > b,
    "ae": lambda a, b: a >= b,
    "b": lambda a, b: a < b,
    "be": lambda a, b: a <= b,
}


def narrowed(values: Values, condition: str, than: int) -> Values | None:
    """Those for which an unsigned comparison holds, ``None`` where there are none."""
    if not isinstance(values, Span):
        return frozenset(v for v in values if _HOLDS[condition](v, than)) or None
    low, high = values
    limits = {
        "e": (than, than),
        "ne": (low + (low == than), high - (high == than)),
        "a": (than + 1, high),
        "ae": (than, high),
        "b": (low, than - 1),
        "be": (low, than),
    }
    first, last = limits[condition]
    kept = Span(max(low, first), min(high, last))
    if kept.low > kept.high:
        return None
    return listed(kept) or kept
