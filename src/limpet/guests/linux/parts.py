"""The library OS's parts: which system calls each serves, and which hypercalls they lead to.

A part is a folder ``c/guest/parts/NAME`` of C files and one ``part.toml``.  The code is compiled
once; what a guest gets is decided by the generated ``dispatch.c``, which names only the system
calls that the guest can make, so that the linker drops everything else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.sources import GUEST_ROOT


@dataclass(frozen=True)
class SystemCall:
    """A Linux system call that the library OS serves."""

    name: str
    part: str
    arguments: int
    hypercalls: tuple[str, ...]
    note: str

    @property
    def number(self) -> int:
        """Its x86-64 number."""
        return NUMBERS[self.name]


@dataclass(frozen=True)
class Part:
    """A folder of the library OS."""

    name: str
    summary: str
    calls: tuple[SystemCall, ...]


def _read_part(path: Path) -> Part:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    name = path.parent.name
    calls = tuple(
        SystemCall(
            call, name, entry["args"], tuple(entry.get("hypercalls", ())), entry.get("note", "")
        )
        for call, entry in sorted(table.get("syscalls", {}).items())
    )
    return Part(name, table["summary"], calls)


@cache
def parts() -> tuple[Part, ...]:
    """All parts, by name."""
    return tuple(_read_part(path) for path in sorted(GUEST_ROOT.glob("parts/*/part.toml")))


@cache
def served() -> Mapping[int, SystemCall]:
    """Every system call that some part serves, by number."""
    return {call.number: call for part in parts() for call in part.calls}


def guest_sources() -> list[Path]:
    """Every C and assembly file of the library OS, but not the ring-0 stubs."""
    folders = (GUEST_ROOT / name for name in ("core", "x86_64", "parts"))
    files = [each for folder in folders for each in folder.rglob("*.[cS]")]
    return sorted(path for path in files if path.name != "stubs.S")


_DISPATCH_HEAD = """\
/* Generated: the system calls that this guest can make, and no others. */
#include "libos.h"
#include "linux.h"

long dispatch(long number, long a, long b, long c, long d, long e, long f);

"""


def dispatch_c(calls: Iterable[SystemCall]) -> str:
    """The text of ``dispatch.c`` for one guest."""
    ordered = sorted(calls, key=lambda call: call.number)
    prototypes = "".join(
        f"long sys_{call.name}({', '.join(['long'] * call.arguments) or 'void'});\n"
        for call in ordered
    )
    cases = "".join(
        f"    case {call.number}:\n"
        f"        return sys_{call.name}({', '.join('abcdef'[: call.arguments])});\n"
        for call in ordered
    )
    return (
        _DISPATCH_HEAD
        + prototypes
        + "\nlong dispatch(long number, long a, long b, long c, long d, long e, long f) {\n"
        + "    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;\n"
        + f"    switch (number) {{\n{cases}    default:\n        return -ENOSYS;\n    }}\n}}\n"
    )
