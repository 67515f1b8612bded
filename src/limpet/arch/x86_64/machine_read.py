"""The virtual machine of a kvm bundle, read back from its bytes: what ``machine`` made.

Starts from the structures that the monitor's code hands to KVM, and follows them as the processor
would: control registers to page tables, the task register to the I/O bitmap, the IDT to its gates.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from limpet.arch.x86_64.machine import TSS_SIZE
from limpet.arch.x86_64.paging import LARGE as LARGE_BIT
from limpet.arch.x86_64.paging import NO_EXECUTE, PAGE, PRESENT, USER, WRITABLE
from limpet.errors import BundleError
from limpet.formats.bundle.read import BundleFile

_ADDRESS = 0x000F_FFFF_FFFF_F000
_MOST_TABLES, _MOST_RUNS = 2048, 8192
_SREGS_SIZE = 312
SMEP, SMAP, UMIP, PKE = 1 << 20, 1 << 21, 1 << 11, 1 << 22
SCE, NXE, WP = 1, 1 << 11, 1 << 16


@dataclass(frozen=True)
class Pages:
    """A run of guest pages with the same rights."""

    address: int
    size: int
    physical: int
    writable: bool
    executable: bool
    user: bool

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.size

    @property
    def rights(self) -> str:
        """Such as ``r-x``."""
        return "r" + ("w" if self.writable else "-") + ("x" if self.executable else "-")


@dataclass(frozen=True)
class Gate:
    """An entry of the IDT: an exception's handler, and the ring that may ask for it."""

    vector: int
    address: int
    ring: int


@dataclass(frozen=True)
class Machine:
    """What the vCPU starts with."""

    ring: int
    cr0: int
    cr4: int
    efer: int
    pages: tuple[Pages, ...]
    tables: tuple[int, ...]  # pages that hold page tables
    descriptors: tuple[tuple[int, int], ...]  # where GDT, IDT and TSS lie: address, size
    gates: tuple[Gate, ...]
    stack: int  # of ring 0
    ports: tuple[int, ...]

    @property
    def own_pages(self) -> frozenset[int]:
        """Pages that the processor itself uses; the guest must not reach one."""
        own = set(self.tables) | {gate.address // PAGE * PAGE for gate in self.gates}
        for address, size in self.descriptors:
            own |= set(range(address // PAGE * PAGE, address + size, PAGE))
        own.add((self.stack - 1) // PAGE * PAGE)
        return frozenset(own)


def read_machine(bundle: BundleFile, sregs: int) -> Machine:
    """The machine that ``struct kvm_sregs`` at ``sregs`` describes.

    Raises:
        BundleError: the structures lead nowhere.
    """
    raw = bundle.memory(sregs, _SREGS_SIZE)
    task, task_limit = struct.unpack_from("<QI", raw, 6 * 24)
    gdt, gdt_limit = struct.unpack_from("<QH", raw, 192)
    idt, idt_limit = struct.unpack_from("<QH", raw, 208)
    cr0, _, cr3, cr4, _, efer, _ = struct.unpack_from("<7Q", raw, 224)
    pages, tables = _walk(bundle, cr3 & _ADDRESS)
    limit = min(task_limit, TSS_SIZE + 8192)
    tss = bundle.memory(task, limit + 1)
    return Machine(
        raw[16],
        cr0,
        cr4,
        efer,
        pages,
        tables,
        ((gdt, gdt_limit + 1), (idt, idt_limit + 1), (task, limit + 1)),
        tuple(_gates(bundle.memory(idt, min(idt_limit + 1, 4096)))),
        struct.unpack_from("<Q", tss.ljust(TSS_SIZE, b"\0"), 4)[0],
        tuple(_ports(tss)),
    )


def _ports(tss: bytes) -> Iterator[int]:
    """Ports whose bit is clear in the I/O bitmap; beyond the segment's limit none is open."""
    if len(tss) < TSS_SIZE:
        return
    (base,) = struct.unpack_from("<H", tss, 102)
    bitmap = tss[base : base + 8192]
    for index, byte in enumerate(bitmap[:-1]):  # the processor reads two bytes at a time
        for bit in range(8) if byte != 0xFF else ():
            if not byte >> bit & 1:
                yield 8 * index + bit


def _gates(table: bytes) -> Iterator[Gate]:
    for vector in range(len(table) // 16):
        low, high = struct.unpack_from("<QQ", table, 16 * vector)
        if low >> 47 & 1:
            address = (low & 0xFFFF) | (low >> 48 & 0xFFFF) << 16 | (high & 0xFFFFFFFF) << 32
            yield Gate(vector, address, low >> 45 & 3)


@dataclass
class _Walk:
    bundle: BundleFile
    visits: int
    tables: set[int]

    def entries(self, table: int) -> tuple[int, ...]:
        self.visits += 1
        if self.visits > _MOST_TABLES:
            raise BundleError(
                f"{self.bundle.name}: its page tables have no end", hint="do not run the bundle"
            )
        self.tables.add(table)
        entries: tuple[int, ...] = struct.unpack("<512Q", self.bundle.memory(table, PAGE))
        return entries

    def leaves(self, table: int, level: int, base: int, rights: int) -> Iterator[Pages]:
        """Every mapping below ``table``; ``rights`` are what the levels above let through."""
        for index, entry in enumerate(self.entries(table)):
            if not entry & PRESENT:
                continue
            size = PAGE << 9 * level
            address = base + index * size
            mine = rights & entry & (WRITABLE | USER) | (rights | entry) & NO_EXECUTE
            if level and not entry & LARGE_BIT:
                yield from self.leaves(entry & _ADDRESS, level - 1, address, mine)
                continue
            physical = entry & _ADDRESS & -size
            writable, user = bool(mine & WRITABLE), bool(mine & USER)
            yield Pages(address, size, physical, writable, not mine & NO_EXECUTE, user)


def _walk(bundle: BundleFile, root: int) -> tuple[tuple[Pages, ...], tuple[int, ...]]:
    walk = _Walk(bundle, 0, set())
    runs: list[Pages] = []
    for each in walk.leaves(root, 3, 0, WRITABLE | USER):
        last = runs[-1] if runs else None
        if last and _continues(last, each):
            runs[-1] = replace(last, size=last.size + each.size)
        else:
            runs.append(each)
        if len(runs) > _MOST_RUNS:
            raise BundleError(
                f"{bundle.name}: its page tables map more than {_MOST_RUNS} pieces of memory",
                hint="do not run the bundle",
            )
    return tuple(runs), tuple(sorted(walk.tables))


def _continues(last: Pages, each: Pages) -> bool:
    rights = last.writable, last.executable, last.user
    return (
        last.end == each.address
        and last.physical + last.size == each.physical
        and rights == (each.writable, each.executable, each.user)
    )
