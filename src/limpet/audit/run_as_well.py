"""What a guest can run that is no code: constants beside it, or more.

What can be run say the page tables of a virtual machine, and a process's segments.  What of an
object is code say its own headers, which lie in memory with it; which constants may have the rights
of the code beside them, the plan's rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from limpet.audit.inside import Inside
from limpet.audit.objects import Object
from limpet.contract.pages import PAGE
from limpet.errors import BundleError
from limpet.formats import elf
from limpet.formats.image import Access
from limpet.planning.large_code import Run, run_as_well
from limpet.planning.regions import MONITOR_BASE

LINKED = frozenset({"libos_text", "shim", "gates"})
"""Parts with code that is in no file: the library OS, and what traps of a unikernel."""

_MOST_FOUND = 4096


@dataclass(frozen=True)
class Beside:
    """Constants of an object that can be run."""

    name: str
    low: int
    high: int

    @property
    def words(self) -> str:
        """In a line."""
        count = (self.high - self.low) // PAGE
        return f"{count} pages of constants of {self.name} at {self.low:#x} can be run"


def beside_code(inside: Inside) -> tuple[Beside, ...]:
    """The constants that can be run as the plan's rule has them; with --strict these are none.

    Raises:
        BundleError: they are too many to be true.
    """
    if inside.record.options.get("strict"):
        return ()
    found, run = list[Beside](), _run(inside)
    for each in inside.objects:
        for low, high in run_as_well(each.rights):
            found += [Beside(each.name, *part) for part in _both((low, high), run)]
            if len(found) > _MOST_FOUND:
                raise BundleError(
                    f"{inside.bundle.name}: more than {_MOST_FOUND} pieces of constants can be run",
                    hint="do not run the bundle",
                )
    return tuple(found)


def no_code(inside: Inside) -> Iterator[str]:
    """What else can be run and is no code, in words.

    Raises:
        BundleError: as :func:`beside_code`.
    """
    code = [run for each in inside.objects for run in _code(each)]
    code += [(each.low, each.high) for each in beside_code(inside)]
    known = [*_without(sorted(code), inside.packed), *_linked(inside)]
    for low, high in _without(_run(inside), known):
        yield f"{(high - low) // PAGE} pages at {low:#x} can be run, and are no code"


def check_code(inside: Inside) -> None:
    """Nothing else can be run but code."""
    for each in no_code(inside):
        inside.found("page tables" if inside.machine else "segments", each)


def _run(inside: Inside) -> list[Run]:
    """What the guest can run, ascending: on each backend that the bundle is for."""
    pages = inside.machine.pages if inside.machine else ()
    found = [(each.address, each.end) for each in pages if each.user and each.executable]
    parts = (each for each in inside.bundle.parts if each.address < MONITOR_BASE)
    found += [(each.address, each.end) for each in parts if each.flags & elf.PF_X]
    return list(_joined(sorted(found)))


def _code(each: Object) -> Iterator[Run]:
    for low, high, access in each.rights:
        if Access.EXECUTE in access and Access.WRITE not in access:
            yield low, high


def _linked(inside: Inside) -> Iterator[Run]:
    """What such parts have beside objects and packed files."""
    others = [*inside.packed, *(each.span for each in inside.objects)]
    for part in inside.bundle.parts:
        if LINKED & set(part.name.split("+")):
            yield from _without([(part.address, part.end)], others)


def _both(one: Run, others: Sequence[Run]) -> Iterator[Run]:
    """What is in ``one`` and in ``others``, which ascend."""
    low, high = one
    for start, end in others[bisect_right(others, low, key=lambda each: each[1]) :]:
        if start >= high:
            break
        yield max(low, start), min(high, end)


def _without(some: Iterable[Run], others: Iterable[Run]) -> Iterator[Run]:
    """What of ``some``, which ascend, is in none of the ``others``."""
    known = deque(_joined(sorted(others)))
    for low, high in some:
        at = low
        while known and known[0][1] <= at:
            known.popleft()
        while known and known[0][0] < high:
            start, end = known[0]
            if at < start:
                yield at, start
            at = min(max(at, end), high)
            if end > high:
                break
            known.popleft()
        if at < high:
            yield at, high


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Those that touch as one."""
    low = high = 0
    for start, end in runs:
        if start > high:
            if low < high:
                yield low, high
            low, high = start, end
        high = max(high, end)
    if low < high:
        yield low, high
