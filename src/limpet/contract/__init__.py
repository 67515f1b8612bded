"""The contract between guest and monitor: every hypercall and shared structure, declared once.

A hypercall is a folder ``c/hypercalls/NAME`` with a ``hypercall.toml`` (number, argument block, the
host system calls behind it and why) beside the C that serves it on each backend.  The structures
that pass at start are declared below.  From these come the C header both sides compile, the
monitor's dispatch, the guest's gates, the seccomp filter, ``docs/hypercalls.md`` and
:meth:`Struct.pack`; no number of the interface stands anywhere else.
"""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from limpet.sources import C_ROOT

Backend = Literal["kvm", "process"]
BACKENDS: tuple[Backend, ...] = ("kvm", "process")

BACKEND_NUMBERS: dict[Backend, int] = {"kvm": 1, "process": 2}
"""How ``boot_info.backend`` names the backend that was started."""

PORT_BASE = 0x500
"""I/O port of hypercall 0; hypercall N is the 32-bit port ``PORT_BASE + 4 * N``.  Any range would
do that no in-kernel KVM device answers; without an irqchip there is none."""

PORT_SPACING = {"limpet": 4, "hvt": 1}
"""Ports from one hypercall to the next, by the ABI that ``hypercall.toml`` names."""

DEVICE_FD = 16
"""Descriptor of device 0 in the monitor; device N has ``DEVICE_FD + N``."""

FRAME_MOST = 64 << 10
"""The most bytes of an Ethernet frame."""

MAX_TRANSFER = 1 << 20
"""The most bytes one console hypercall moves."""

_FORMATS = {
    "u8": "B",
    "u16": "H",
    "u32": "I",
    "s32": "i",
    "u64": "Q",
    "s64": "q",
    "guest_addr": "Q",
    "char": "s",
}


@dataclass(frozen=True)
class Field:
    """A member of a shared structure: ``count`` values of ``type``, an integer or a struct."""

    name: str
    type: str
    doc: str
    count: int = 1
    origin: str = "monitor"  # who writes it: "guest", "monitor" or "plan"


@dataclass(frozen=True)
class Struct:
    """A structure with the layout of the x86-64 C ABI, padding spelled out as members."""

    name: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def format(self) -> str:
        """The :mod:`struct` format, little-endian and without implicit padding."""
        return "<" + "".join(_format(field) for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes."""
        return struct.calcsize(self.format)

    def pack(self, values: Mapping[str, int]) -> bytes:
        """Bytes of a structure of scalars; members not named are zero."""
        unknown = values.keys() - {field.name for field in self.fields}
        assert not unknown, f"{self.name} has no member {unknown}"
        return struct.pack(self.format, *(values.get(field.name, 0) for field in self.fields))

    def c_text(self) -> str:
        """The C declaration and an assertion that both sides count the same bytes."""
        members = "".join(
            f"    {_c_type(field.type)} {field.name}"
            f"{f'[{field.count}]' if field.count > 1 else ''}; /* {field.doc} */\n"
            for field in self.fields
        )
        return (
            f"/* {self.doc} */\nstruct {self.name} {{\n{members}}};\n"
            f'_Static_assert(sizeof(struct {self.name}) == {self.size}, "{self.name}");\n'
        )


def _c_type(name: str) -> str:
    return name if name in _FORMATS else f"struct {name}"


def _format(field: Field) -> str:
    if field.type in _FORMATS:
        return f"{field.count}{_FORMATS[field.type]}" if field.count > 1 else _FORMATS[field.type]
    inner = next(struct for struct in SHARED if struct.name == field.type)
    return f"{inner.size * field.count}s"


def _plan(name: str, doc: str) -> Field:
    return Field(name, "u64", doc, origin="plan")


STDIO_INFO = Struct(
    "stdio_info",
    "What the monitor saw of one standard descriptor at start.",
    (
        Field("mode", "u32", "st_mode, 0 when the descriptor is closed"),
        Field("rows", "u16", "of the terminal"),
        Field("columns", "u16", "of the terminal"),
        Field("is_tty", "u32", "1 for a terminal"),
        Field("termios", "u8", "struct termios as TCGETS gives it", count=60),
    ),
)

BOOT_INFO = Struct(
    "boot_info",
    "Written once by the monitor before the guest starts.",
    (
        Field("backend", "u64", "1 kvm, 2 process"),
        Field("argc", "u64", "how many arguments"),
        Field("envc", "u64", "how many environment strings"),
        Field("strings", "u64", "where both lie, each ended by a zero byte"),
        Field("strings_length", "u64", "bytes"),
        Field("realtime", "u64", "the host's real-time clock at start, nanoseconds since 1970"),
        Field("tsc_khz", "u64", "rate of the TSC, 0 when the host did not say"),
        Field("random", "u8", "fresh random bytes", count=16),
        Field("stdio", "stdio_info", "standard input, output, error", count=3),
    ),
)

GUEST_INFO = Struct(
    "guest_info",
    "Written by the plan: constants of this one guest, in a read-only page.",
    (
        _plan("entry", "the program's entry point"),
        _plan("phdr", "its program headers in memory, 0 when they are not mapped"),
        _plan("phnum", "how many"),
        _plan("phent", "size of one"),
        _plan("image_lo", "lowest address of the program"),
        _plan("image_hi", "end of its highest page"),
        _plan("text_lo", "the library OS's own code"),
        _plan("text_hi", "its end"),
        _plan("arena_lo", "memory for brk, mmap and the library OS"),
        _plan("arena_hi", "its end"),
        _plan("stack_lo", "lowest address of the stack; below it lies an unmapped hole"),
        _plan("stack_hi", "its end"),
        _plan("devices", "struct manifest: the table of devices, 0 when there are none"),
        _plan("tree", "the packed file tree"),
        _plan("tree_size", "bytes, 0 when there is none"),
        _plan("symbols", "table of symbol_entry, sorted by address"),
        _plan("symbols_count", "how many"),
        _plan("environment", "baked environment strings, each ended by a zero byte"),
        _plan("environment_count", "how many"),
        _plan("name", "path of the program in the guest, a C string"),
        _plan("vector_state", "bytes that XSAVE or FXSAVE stores on kvm; a process asks CPUID"),
    ),
)

SYMBOL_ENTRY = Struct(
    "symbol_entry",
    "One function, for the line that reports a crash.",
    (
        _plan("address", "first byte"),
        _plan("name", "address of a C string"),
    ),
)

TRAP_FRAME = Struct(
    "trap_frame",
    "What a processor exception left; written by the ring-0 stubs (kvm).",
    (
        Field("vector", "u64", "exception number"),
        Field("error", "u64", "its error code, or 0"),
        Field("address", "u64", "CR2"),
        Field("rip", "u64", "where it happened"),
        Field("rflags", "u64", "flags there"),
        Field("rsp", "u64", "stack pointer there"),
    ),
)

MFT_ENTRY = Struct(
    "mft_entry",
    "A device of a Solo5 manifest (Solo5's include/mft_abi.h).",
    (
        Field("name", "char", "with a zero byte at its end", count=68),
        Field("type", "u32", "1 block, 2 net"),
        Field("capacity", "u64", "bytes of a block device; of a network the MAC, then the MTU"),
        Field("block_size", "u16", "bytes of a sector"),
        Field("read_only", "u16", "1 when it cannot be written (Limpet's own)"),
        Field("pad", "u16", "zero", count=2),
        Field("handle", "u64", "the host's descriptor"),
        Field("attached", "u8", "1 once it is"),
        Field("tail", "u8", "zero", count=7),
    ),
)

HVT_BOOT_INFO = Struct(
    "hvt_boot_info",
    "What an hvt guest is told at start (Solo5's include/hvt_abi.h).",
    (
        Field("mem_size", "u64", "bytes of memory, from address 0 on"),
        Field("kernel_end", "u64", "end of the program"),
        Field("cpu_cycle_freq", "u64", "ticks of the TSC in a second"),
        Field("cmdline", "u64", "address of a C string"),
        Field("mft", "u64", "address of the manifest"),
        Field("host_features", "u32", "bit 0: there is a network ring"),
        Field("guest_features", "u32", "zero"),
        Field("net_ring", "u64", "address of the network ring, or 0"),
    ),
)

SPT_BOOT_INFO = Struct(
    "spt_boot_info",
    "What an spt guest is told at start (Solo5's include/spt_abi.h).",
    (
        Field("mem_size", "u64", "bytes of memory, from address 0 on"),
        Field("kernel_end", "u64", "end of the program"),
        Field("cmdline", "u64", "address of a C string"),
        Field("mft", "u64", "address of the manifest"),
        Field("epollfd", "s32", "set of what to wait for"),
        Field("timerfd", "s32", "timer in that set"),
    ),
)

SHARED: tuple[Struct, ...] = (
    STDIO_INFO,
    BOOT_INFO,
    GUEST_INFO,
    SYMBOL_ENTRY,
    TRAP_FRAME,
    MFT_ENTRY,
    HVT_BOOT_INFO,
    SPT_BOOT_INFO,
)


@dataclass(frozen=True)
class Pin:
    """What the filter demands of one argument of a host system call."""

    index: int
    values: tuple[int, ...] = ()  # one of these
    max: int | None = None  # at most this
    guest: bool = False  # an address in guest memory (kvm; a process has nothing else)
    range: tuple[int, int] | None = None  # an address in [low, high)
    devices: str = ""  # a descriptor of the manifest's devices of this kind
    slot: tuple[str, int] | None = None  # what only the start knows of the device with this handle
    own: bool = False  # an address in the monitor's stack (kvm)
    capacity: bool = False  # with the argument before it, bytes within the device
    more: str = ""  # ``max``, and one more for each device of this kind


@dataclass(frozen=True)
class HostCall:
    """A system call that a monitor makes to serve a hypercall, and why."""

    call: str
    why: str
    pins: tuple[Pin, ...] = ()


@dataclass(frozen=True)
class Hypercall:
    """One operation that a guest asks of its monitor."""

    name: str
    number: int
    summary: str
    block: Struct | None
    host: tuple[HostCall, ...]
    port: int  # the I/O port that carries it on kvm
    device: str  # the kind of device that it is for, if any


def _host_call(table: dict[str, Any]) -> HostCall:
    pins = tuple(
        Pin(
            index=argument["index"],
            values=tuple(argument.get("values", ())),
            max=argument.get("max"),
            guest=argument.get("guest", False),
            devices=argument.get("devices", ""),
            own=argument.get("own", False),
            capacity=argument.get("capacity", False),
            more=argument.get("more", ""),
        )
        for argument in table.get("arguments", ())
    )
    return HostCall(table["call"], table["why"], pins)


def _read_hypercall(path: Path) -> tuple[str, Hypercall]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    abi = table.get("abi", "limpet")
    fields = tuple(
        Field(f["name"], f["type"], f["doc"], f.get("count", 1), f["from"])
        for f in table.get("field", ())
    )
    number, summary = table["number"], table["summary"]
    block = Struct(table["struct"], summary, fields) if fields else None
    host = tuple(_host_call(call) for call in table.get("host", ()))
    kinds = {pin.devices for call in host for pin in call.pins if pin.devices}
    device = table.get("device", "".join(kinds))
    port = PORT_BASE + PORT_SPACING[abi] * number
    return abi, Hypercall(path.parent.name, number, summary, block, host, port, device)


@cache
def _read_all() -> tuple[tuple[str, Hypercall], ...]:
    found = [_read_hypercall(path) for path in C_ROOT.glob("hypercalls/*/hypercall.toml")]
    return tuple(sorted(found, key=lambda each: each[1].number))


def _of(abi: str) -> tuple[Hypercall, ...]:
    return tuple(call for known, call in _read_all() if known == abi)


@cache
def hypercalls() -> tuple[Hypercall, ...]:
    """All hypercalls of the library OS, by number."""
    return _of("limpet")


@cache
def hvt_hypercalls() -> tuple[Hypercall, ...]:
    """Those of Solo5's hvt ABI, by number; the ports are Solo5's."""
    return _of("hvt")


_HEADER = """\
/* Generated by limpet.contract: what guest and monitor agree on.  Do not edit. */
#ifndef LIMPET_CONTRACT_H
#define LIMPET_CONTRACT_H

#pragma GCC visibility push(hidden) /* no global offset table */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int s32;
typedef long s64;
typedef unsigned long size_t;
#define bool _Bool
#define true 1
#define false 0
#define NULL ((void *)0)

/* An address that a guest gave does not compile as a pointer in a monitor. */
#ifdef LIMPET_MONITOR
typedef struct guest_addr {
    u64 at;
} guest_addr;
#else
typedef u64 guest_addr;
#endif

"""


_DEVICES = f"""\
/* The table of devices; entry 0 is none. */
struct manifest {{
    u32 version, count;
    struct mft_entry entries[];
}};
enum device_type {{ DEVICE_BLOCK = 1, DEVICE_NET = 2 }};
#define DEVICE_FD {DEVICE_FD}
#define FRAME_MOST {FRAME_MOST}UL

"""


def c_header() -> str:
    """The text of ``contract.h``, which every C file of both sides includes."""
    parts = [_HEADER]
    parts += [struct.c_text() + "\n" for struct in SHARED]
    parts.append(_DEVICES)
    every = (*hypercalls(), *hvt_hypercalls())
    parts += [call.block.c_text() + "\n" for call in every if call.block]
    parts += [f"#define PORT_{call.name.upper()} {call.port:#x}\n" for call in every]
    parts += [
        f"void hypercall_{call.name}(struct {call.block.name} *block);\n"
        for call in hypercalls()
        if call.block
    ]
    parts += [f"#define BACKEND_{name.upper()} {BACKEND_NUMBERS[name]}\n" for name in BACKENDS]
    parts.append(f"#define MAX_TRANSFER {MAX_TRANSFER}UL\n\n#endif\n")
    return "".join(parts)


def markdown() -> str:
    """The text of ``docs/hypercalls.md``."""
    parts = [
        "# Hypercalls\n\nGenerated from `c/hypercalls/*/hypercall.toml`; "
        "`python -m limpet.contract` prints it.\n\n"
        "On kvm hypercall N is a 32-bit `out` to port "
        f"{PORT_BASE:#x} + 4 N with the address of its argument block, which must lie in the\n"
        "library OS's own data. In a process the library OS makes the host system calls itself, "
        "from stubs that\nthe filter knows by address.\n\n"
        "A Solo5 guest for hvt makes Solo5's hypercalls, `hvt_…` below, at Solo5's ports.\n"
    ]
    for call in (*hypercalls(), *hvt_hypercalls()):
        parts.append(f"\n## {call.number}. {call.name} (port {call.port:#x})\n\n{call.summary}\n\n")
        if call.block:
            parts.append("| member | type | written by | meaning |\n|---|---|---|---|\n")
            for each in call.block.fields:
                kind = each.type + (f"[{each.count}]" if each.count > 1 else "")
                parts.append(f"| {each.name} | {kind} | {each.origin} | {each.doc} |\n")
            parts.append("\n")
        own = "; ".join(f"`{host.call}` ({host.why})" for host in call.host)
        parts.append(f"Host system calls: {own or 'none of its own'}.\n")
    return "".join(parts)


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
