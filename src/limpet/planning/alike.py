"""What rules for one call have in common, so that a filter asks for it once.

A rule is the pins of its arguments here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from limpet.contract import Pin
from limpet.contract.pages import PAGE

Pins = tuple[Pin, ...]
_MASK = 0xFFFFFFFF


def tops(rules: Sequence[Pins]) -> dict[int, int]:
    """The upper halves that all of ``rules`` ask of the same arguments: asked once for all."""
    if len({pins[:1] for pins in rules}) < 2:
        return {}
    asked = [{pin.index: _top(pin) for pin in pins} for pins in rules]
    return {
        index: top
        for index, top in asked[0].items()
        if top is not None and all(each.get(index) == top for each in asked)
    }


def _top(pin: Pin) -> int | None:
    """The one upper half that the argument can have, if there is one."""
    if pin.values or pin.max is not None:
        return next(iter(pin.values), 0) >> 32
    if pin.range and pin.range[0] >> 32 == (pin.range[1] - 1) >> 32:
        return pin.range[0] >> 32
    return None


def common(rules: Sequence[Pins]) -> Pins:
    """The pins with which all of ``rules`` begin."""
    first = min(rules, key=len)
    for index, pin in enumerate(first):
        if any(pins[index] != pin for pins in rules):
            return first[:index]
    return first


def product(rest: Sequence[Pins]) -> list[list[Pin]]:
    """For each argument the pins of which any goes with any of the others', where ``rest`` are all
    of these combinations; else none."""
    if len(rest) < 2 or len({tuple(pin.index for pin in pins) for pins in rest}) > 1:
        return []
    choices = [list(dict.fromkeys(column)) for column in zip(*rest, strict=True)]
    return choices if len(set(rest)) == prod(map(len, choices)) else []


def runs(rest: Sequence[Pins]) -> list[tuple[int, int]]:
    """The ranges [low, high) of one argument that are all that differs, ascending; else none.

    None of them reaches from one 4 GiB into the next, and all lie in the same.
    """
    found = sorted(pin.range for pins in rest for pin in pins if pin.range is not None)
    one = {(len(pins), pins[0].index if pins else 0) for pins in rest}
    tops = {end >> 32 for low, high in found for end in (low, high - 1)}
    apart = all(lower[1] <= upper[0] for lower, upper in pairwise(found))
    fits = len(found) == len(rest) and len(one) == len(tops) == 1 and max(one)[0] == 1
    return found if fits and apart else []


def pairs(rest: Sequence[Pins]) -> list[tuple[int, int]]:
    """Pairs of values of an argument and the one behind it that are all that differs; else none.

    All are whole pages below 4 GiB, and no two begin alike.
    """
    found = [tuple(pin.values[0] for pin in pins if len(pin.values) == 1) for pins in rest]
    places = {tuple(pin.index for pin in pins) for pins in rest}
    (first,) = places if len(places) == 1 else [()]
    fits = len(first) == 2 and first[0] + 1 == first[1]
    small = all(len(pair) == 2 and max(pair) <= _MASK for pair in found)
    apart = len({pair[:1] for pair in found}) == len(found)
    whole = not any(value % PAGE for pair in found for value in pair)
    return [(pair[0], pair[1]) for pair in found] if fits and small and apart and whole else []
