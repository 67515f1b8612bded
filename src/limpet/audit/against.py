"""What grew or shrank between two bundles: ``audit --against``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.model import Audit, FilterRule
from limpet.audit.seccomp_decode import EVERYTHING, Allowed, Range
from limpet.audit.text import rule_words, within

_SETS: tuple[tuple[str, Callable[[Audit], Iterable[str]]], ...] = (
    ("backend", lambda a: a.backends),
    ("call of the monitor", lambda a: (name for call in a.calls for name in call.calls)),
    ("ioctl request", lambda a: a.requests),
    ("opened path", lambda a: a.opens),
    ("hypercall", lambda a: (each.name for each in a.hypercalls)),
    ("open port", lambda a: (f"{port:#x}" for port in a.ports)),
    ("device", lambda a: a.devices),
    ("published port", lambda a: a.published),
    ("endpoint", lambda a: a.endpoints),
    ("lacking protection", lambda a: (p.name for p in a.protections if not p.present)),
)


@dataclass(frozen=True)
class Change:
    """``sign`` is + for more that may be asked of the host, - for less, ~ for what is neither."""

    sign: str
    what: str


def changes(new: Audit, old: Audit) -> list[Change]:
    """What the guest and its monitor can do now and could not before, and the reverse."""
    found = list(_rules(new, old))
    for word, values in _SETS:
        mine, theirs = set(values(new)), set(values(old))
        found += [Change("+", f"{word} {each}") for each in sorted(mine - theirs)]
        found += [Change("-", f"{word} {each}") for each in sorted(theirs - mine)]
    return [*found, *_files(new, old), *_sizes(new, old)]


def grew(found: Iterable[Change]) -> bool:
    """Whether more can be asked of the host than before."""
    return any(change.sign == "+" for change in found)


def _rules(new: Audit, old: Audit) -> Iterator[Change]:
    for sign, one, other in (("+", new, old), ("-", old, new)):
        for mine in one.filters:
            theirs = [r for f in other.filters if f.backend == mine.backend for r in f.rules]
            known = [_allowed(each, other.guest_memory) for each in theirs]
            words = {
                rule_words(rule, one.guest_memory): None
                for rule in mine.rules
                if not any(each.covers(_allowed(rule, one.guest_memory)) for each in known)
            }
            yield from (Change(sign, f"{mine.backend} may call {each}") for each in words)


_GUEST: Range = (-1, -1)


def _allowed(rule: FilterRule, guest: Range) -> Allowed:
    """A rule without its place: code moves, and the guest's memory with its size."""
    given = (rule.arguments.get(index, (EVERYTHING,)) for index in range(6))
    arguments = tuple(tuple(_GUEST if within(r, guest) else r for r in each) for each in given)
    return Allowed(NUMBERS.get(rule.call, -1), EVERYTHING, arguments)


def _files(new: Audit, old: Audit) -> Iterator[Change]:
    mine = {each.path: (each.sha256, each.mode) for each in new.files}
    theirs = {each.path: (each.sha256, each.mode) for each in old.files}
    for path in sorted(mine.keys() | theirs.keys()):
        if mine.get(path) != theirs.get(path):
            word = (
                "changed" if path in mine and path in theirs else "new" if path in mine else "gone"
            )
            yield Change("~", f"packed file {path} {word}")


_SIZES: tuple[tuple[str, Callable[[Audit], int]], ...] = (
    ("monitor", lambda a: a.monitor_bytes),
    ("monitor code", lambda a: a.monitor_code),
    ("bundle", lambda a: a.size),
)


def _sizes(new: Audit, old: Audit) -> Iterator[Change]:
    for word, size in _SIZES:
        before, after = size(old), size(new)
        if before != after:
            yield Change("~", f"{word} {before} to {after} bytes ({after - before:+})")
