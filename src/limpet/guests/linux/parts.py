"""The library OS's parts: which system calls each serves, and which hypercalls they lead to.

A part is a folder ``c/guest/parts/NAME`` of C files and one ``part.toml``.  The code is compiled
once; what a guest gets is decided by the generated ``dispatch.c``, which names only the system
calls that the guest can make, so that the linker drops everything else.

A system call leads to hypercalls by itself, or through the operations of an open file: then only
if a file of such a kind can be open.  ``tests/guests/linux/test_reach.py`` holds what is declared
here against what the compiled code reaches.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.sources import GUEST_ROOT

if TYPE_CHECKING:
    from limpet.arch.x86_64.sites import Site


@dataclass(frozen=True)
class Condition:
    """Something about one argument of a system call."""

    argument: int  # 0 to 5
    mask: int
    values: tuple[int, ...]
    other: bool  # it has another value than these

    def possible(self, known: frozenset[int]) -> bool:
        """Whether it can hold for an argument with these values; none are known: yes."""
        return not known or any((each & self.mask in self.values) != self.other for each in known)


@dataclass(frozen=True)
class Reach:
    """What a function of the library OS can come to."""

    hypercalls: tuple[str, ...]  # by itself, not through an operation of a file
    uses: tuple[str, ...]  # operations of files
    makes: tuple[str, ...]  # kinds of file that it can open, or turn a file into


@dataclass(frozen=True)
class Lesser:
    """What serves a system call in a program that uses only a part of it."""

    function: str
    reach: Reach
    unless: tuple[Condition, ...]
    why: str

    def is_too_little_for(self, site: Site) -> bool:
        """Whether all conditions can hold at ``site``, which then needs the whole call."""
        return all(each.possible(site.arguments[each.argument]) for each in self.unless)


@dataclass(frozen=True)
class SystemCall:
    """A Linux system call that the library OS serves."""

    name: str
    function: str  # that serves it, ``sys_`` before it in C
    part: str
    arguments: int
    reach: Reach
    note: str
    lesser: Lesser | None
    limits: str = ""  # behind the reason why it is there, when it is the lesser one

    @property
    def number(self) -> int:
        """Its x86-64 number."""
        return NUMBERS[self.name]

    def least(self, sites: Iterable[Site]) -> SystemCall:
        """The same call with no more than the ``sites`` of a program need."""
        lesser = self.lesser
        own = [each for each in sites if not each.numbers or self.number in each.numbers]
        if not lesser or any(lesser.is_too_little_for(site) for site in own):
            return self
        why = f", {lesser.why}"
        return replace(self, function=lesser.function, reach=lesser.reach, limits=why)


@dataclass(frozen=True)
class FileKind:
    """Files with one ``struct file_ops``, ``NAME_ops`` in C, whose operations make hypercalls."""

    name: str
    at_start: bool  # there before any system call
    operations: Mapping[str, tuple[str, ...]]  # the hypercalls of each, where it makes any


@dataclass(frozen=True)
class Part:
    """A folder of the library OS."""

    name: str
    summary: str
    calls: tuple[SystemCall, ...]
    kinds: tuple[FileKind, ...]


CORE_HYPERCALLS = ("exit", "console_out")
"""In every guest: its end, and the line that says why."""


def _reach(table: Mapping[str, Any]) -> Reach:
    return Reach(*(tuple(table.get(key, ())) for key in ("hypercalls", "uses", "makes")))


def _read_lesser(table: Mapping[str, Any]) -> Lesser:
    unless = tuple(
        Condition(
            each["argument"],
            each.get("mask", (1 << 64) - 1),
            tuple(each.get("values", each.get("other_than", ()))),
            "other_than" in each,
        )
        for each in table["unless"]
    )
    return Lesser(table["function"], _reach(table), unless, table["why"])


def _read_call(name: str, part: str, table: Mapping[str, Any]) -> SystemCall:
    lesser = _read_lesser(table["lesser"]) if "lesser" in table else None
    note = table.get("note", "")
    return SystemCall(name, name, part, table["args"], _reach(table), note, lesser)


def _read_kind(name: str, table: Mapping[str, Any]) -> FileKind:
    operations = {key: tuple(value) for key, value in table.items() if key != "at_start"}
    return FileKind(name, table.get("at_start", False), operations)


def _read_part(path: Path) -> Part:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    name = path.parent.name
    calls = (_read_call(call, name, each) for call, each in table.get("syscalls", {}).items())
    kinds = (_read_kind(kind, each) for kind, each in table.get("files", {}).items())
    return Part(name, table["summary"], tuple(calls), tuple(kinds))


@cache
def parts() -> tuple[Part, ...]:
    """All parts, by name."""
    return tuple(_read_part(path) for path in sorted(GUEST_ROOT.glob("parts/*/part.toml")))


@cache
def file_kinds() -> tuple[FileKind, ...]:
    """Every kind of file whose operations make hypercalls; a device's has its kind's name."""
    return tuple(kind for part in parts() for kind in part.kinds)


@cache
def served() -> Mapping[int, SystemCall]:
    """Every system call that some part serves, by number."""
    return {call.number: call for part in parts() for call in part.calls}


def hypercall_users(
    calls: Sequence[SystemCall], devices: Collection[str]
) -> Mapping[str, tuple[str, ...]]:
    """Each hypercall that ``calls`` can lead to, and the names of those that do.

    Args:
        calls: all that the guest can make.
        devices: the kinds of device that it has.
    """
    known = {kind for call in calls for kind in call.reach.makes} | set(devices)
    open_kinds = [each for each in file_kinds() if each.at_start or each.name in known]
    users: dict[str, list[str]] = {}
    for call in calls:
        through = (kind.operations.get(each, ()) for kind in open_kinds for each in call.reach.uses)
        for name in dict.fromkeys(chain(call.reach.hypercalls, *through)):
            users.setdefault(name, []).append(call.name)
    return {name: tuple(names) for name, names in users.items()}


def guest_sources() -> list[Path]:
    """Every C and assembly file of the library OS, but not the ring-0 stubs."""
    folders = (GUEST_ROOT / name for name in ("core", "x86_64", "parts"))
    files = [each for folder in folders for each in folder.rglob("*.[cS]")]
    return sorted(path for path in files if path.name != "stubs.S")
