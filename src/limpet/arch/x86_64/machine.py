"""The virtual machine that a kvm guest starts in: page tables, descriptors, registers.

Everything is computed here and stored in the bundle; the monitor only hands it to KVM.  Sources:
Intel SDM volume 3 chapters 3 to 7 (descriptors, paging, TSS), AMD APM volume 2, and
``include/uapi/asm/kvm.h`` for the structures.  All addresses are guest-physical, which equal
guest-virtual ones.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from limpet.arch.x86_64 import arranging
from limpet.arch.x86_64.arranging import Arranging
from limpet.arch.x86_64.paging import PAGE, Mapping, Tables, page_tables
from limpet.contract import PORT_BASE

KERNEL_CODE, KERNEL_DATA, USER_DATA, USER_CODE, TASK = 0x08, 0x10, 0x1B, 0x23, 0x28

GIGABYTE = 1 << 30

VECTORS = 32
STUB_SPACING = 16

TSS_SIZE = 104


def _descriptor(access: int, flags: int) -> int:
    return 0xFFFF | access << 40 | 0xF << 48 | flags << 52


def global_descriptors(tss: int, tss_limit: int) -> bytes:
    """GDT: null, ring-0 code and data, ring-3 data and code, and the TSS (two slots).

    The TSS is marked busy (type 11), which VT-x demands of a loaded task register.
    """
    low = (
        (tss_limit & 0xFFFF)
        | (tss & 0xFFFFFF) << 16
        | 0x8B << 40
        | (tss_limit >> 16) << 48
        | (tss >> 24 & 0xFF) << 56
    )
    return struct.pack(
        "<7Q",
        0,
        _descriptor(0x9B, 0xA),
        _descriptor(0x93, 0xC),
        _descriptor(0xF3, 0xC),
        _descriptor(0xFB, 0xA),
        low,
        tss >> 32,
    )


BREAKPOINT = 3


def interrupt_descriptors(stubs: int, breakpoint_: int) -> bytes:
    """IDT: one interrupt gate to ring 0 for each exception; INT3 and INTO from ring 3 too.

    ``breakpoint_`` is where INT3 leads.
    """
    table = b""
    for vector in range(VECTORS):
        address = breakpoint_ if vector == BREAKPOINT else stubs + vector * STUB_SPACING
        access = 0xEE if vector in (3, 4) else 0x8E
        low = (address & 0xFFFF) | KERNEL_CODE << 16 | access << 40
        table += struct.pack("<2Q", low | (address >> 16 & 0xFFFF) << 48, address >> 32)
    return table


def task_state(stack: int, ports: Sequence[int]) -> bytes:
    """A 64-bit TSS whose I/O bitmap opens exactly four bytes at each of ``ports``."""
    top = max((*ports, PORT_BASE)) + 4
    bitmap = bytearray(b"\xff" * (top // 8 + 2))  # one byte of ones beyond, as the SDM demands
    for port in ports:
        for each in range(port, port + 4):
            bitmap[each // 8] &= ~(1 << each % 8)
    head = bytearray(TSS_SIZE)
    struct.pack_into("<Q", head, 4, stack)
    struct.pack_into("<H", head, 102, TSS_SIZE)
    return bytes(head + bitmap)


@dataclass(frozen=True)
class Supervisor:
    """The pages that only the processor itself uses, laid out from ``base``.

    Page 0 holds GDT, TSS and IDT, page 1 the fault stubs, page 2 their stack, the rest page
    tables; behind them there is room for more where ring 0 arranges the guest's memory.
    """

    base: int
    descriptors: bytes
    gdt_limit: int
    tss_limit: int
    tables: bytes
    user: bool  # whether the guest runs in ring 3
    execute_only: bool  # whether it has code that it may not read
    arranging: Arranging | None = None
    gigabytes: int = 0  # whose page directories are in a row, from address 0 on

    GDT_AT, IDT_AT, TSS_AT = 0, 0x100, 0x400

    @property
    def stubs(self) -> int:
        """Address of the fault stubs."""
        return self.base + PAGE

    @property
    def cr3(self) -> int:
        """Address of the root page table."""
        return self.base + 3 * PAGE

    @property
    def directories(self) -> int:
        """Address of the first page directory, behind the two tables above it."""
        return self.cr3 + 2 * PAGE

    @property
    def size(self) -> int:
        """Bytes."""
        return 3 * PAGE + len(self.tables)

    @property
    def room(self) -> tuple[int, int]:
        """Addresses of the room for more tables, [low, high)."""
        low = self.base + self.size
        return low, low + (self.arranging.room if self.arranging else 0)

    def without(self, low: int, high: int) -> Supervisor:
        """Less the small pages of [low, high): KVM cannot go on at a page that nothing backs."""
        if low == high:
            return self
        pages = [list(page) for page in struct.iter_unpack("<512Q", self.tables)]
        tables = Tables(self.cr3, pages)
        for address in range(low, high, PAGE):
            table, index = tables.leaf(address, large=False)
            tables.pages[table][index] = 0
        return replace(self, tables=tables.pack())

    def content(self, stubs: bytes, arrange: bytes = b"") -> bytes:
        """All the pages, with the assembled ``stubs`` and the code that arranges memory."""
        code, stack = stubs, b""
        if self.arranging:
            low, high = self.room
            arrange = arrange or bytes(arranging.CODE_SIZE)
            row = self.directories, self.gigabytes * GIGABYTE
            own = self.arranging.code(arrange, self.cr3, row, self.base + 2 * PAGE, high)
            code, stack = stubs.ljust(arranging.GATE_AT, b"\0") + own, low.to_bytes(8, "little")
        assert len(code) <= PAGE, "the code of ring 0 is a page"
        pages = (self.descriptors, code, stack)
        return b"".join(each.ljust(PAGE, b"\0") for each in pages) + self.tables


def supervisor(
    base: int,
    mappings: Sequence[Mapping],
    ports: Sequence[int],
    gigabytes: int = 0,
    arranged: Arranging | None = None,
) -> Supervisor:
    """Lay out the supervisor pages at ``base`` for a guest with ``mappings``."""
    tss = task_state(base + 3 * PAGE, ports)
    gdt = global_descriptors(base + Supervisor.TSS_AT, len(tss) - 1)
    stubs = base + PAGE
    int3 = stubs + (arranging.GATE_AT if arranged else BREAKPOINT * STUB_SPACING)
    idt = interrupt_descriptors(stubs, int3)
    page = bytearray(PAGE)
    page[: len(gdt)] = gdt
    page[Supervisor.IDT_AT : Supervisor.IDT_AT + len(idt)] = idt
    page[Supervisor.TSS_AT : Supervisor.TSS_AT + len(tss)] = tss
    own = (
        Mapping(base, PAGE, writable=False, executable=False, user=False),
        Mapping(base + PAGE, PAGE, writable=False, executable=True, user=False),
        Mapping(base + 2 * PAGE, PAGE, writable=True, executable=False, user=False),
    )
    mappings = (*mappings, *own)
    if arranged:
        gigabytes = min(-(-arranged.arena[1] // GIGABYTE), 512)
    tables = page_tables(base + 3 * PAGE, mappings, gigabytes)
    if arranged:
        room = arranged.room
        tables = _reachable(base + 3 * PAGE, mappings, gigabytes, len(tables), room)
    user = any(mapping.user for mapping in mappings)
    execute_only = any(mapping.execute_only for mapping in mappings)
    limits = len(gdt) - 1, len(tss) - 1
    own_bytes = bytes(page)
    return Supervisor(base, own_bytes, *limits, tables, user, execute_only, arranged, gigabytes)


def _reachable(
    base: int, mappings: Sequence[Mapping], gigabytes: int, size: int, room: int
) -> bytes:
    """Page tables that ring 0 can write: they map themselves, and ``room`` bytes behind them.

    Args:
        size: bytes that they take at least.
    """
    while True:
        own = Mapping(base, size + room, writable=True, executable=False, user=False)
        tables = page_tables(base, (*mappings, own), gigabytes)
        if len(tables) == size:
            return tables
        size = len(tables)


def _segment(
    base: int, limit: int, selector: int, kind: int, dpl: int, *, code: bool, system: bool = False
) -> bytes:
    data = not code and not system
    return struct.pack(
        "<QIHBBBBBBBBBB",
        base,
        limit,
        selector,
        kind,
        1,
        dpl,
        1 if data else 0,
        0 if system else 1,
        1 if code else 0,
        0 if system else 1,
        0,
        0,
        0,
    )


_UNUSABLE = struct.pack("<QIHBBBBBBBBBB", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)

LOCAL_APIC = 0xFEE00000
"""Guest-physical address of the local APIC (Intel SDM volume 3, section 12.4.1)."""

CR0 = 0x80050033  # PG AM WP NE ET MP PE
CR4 = 0x10620  # FSGSBASE OSXMMEXCPT OSFXSR PAE
CR4_OSXSAVE = 1 << 18
CR4_PKE = 1 << 22
EFER = 0xD00  # NXE LMA LME; SCE stays off: SYSCALL is an invalid opcode


def special_registers(pages: Supervisor, level: CpuLevel, *, keys: bool = False) -> bytes:
    """``struct kvm_sregs``: 64-bit mode in ring 3 (or 0, for what needs it), no interrupt ever.

    ``keys`` turns protection keys on, which not every host has.
    """
    flat = (0, 0xFFFFFFFF)
    ring = 3 if pages.user else 0
    code_selector, data_selector = (USER_CODE, USER_DATA) if ring else (KERNEL_CODE, KERNEL_DATA)
    data = _segment(*flat, data_selector, 3, ring, code=False)
    segments = _segment(*flat, code_selector, 11, ring, code=True) + data * 5
    task = _segment(
        pages.base + Supervisor.TSS_AT, pages.tss_limit, TASK, 11, 0, code=False, system=True
    )
    tables = struct.pack("<QH6x", pages.base + Supervisor.GDT_AT, pages.gdt_limit)
    tables += struct.pack("<QH6x", pages.base + Supervisor.IDT_AT, VECTORS * 16 - 1)
    control = struct.pack(
        "<7Q",
        CR0,
        0,
        pages.cr3,
        CR4 | (CR4_OSXSAVE if level.xcr0 else 0) | (CR4_PKE if keys else 0),
        0,
        EFER,
        LOCAL_APIC | 0x900,
    )
    return segments + task + _UNUSABLE + tables + control + bytes(32)


def model_specific_registers(syscall_entry: int) -> bytes:
    """``struct kvm_msrs`` with LSTAR.

    With EFER.SCE off SYSCALL is an invalid opcode and LSTAR is never read, except under kvm_pvm,
    which delivers it to LSTAR in ring 3 whatever EFER says.
    """
    return struct.pack("<IIIIQ", 1, 0, 0xC0000082, 0, syscall_entry)


@dataclass(frozen=True)
class CpuLevel:
    """A stated processor level: the CPUID leaves that the guest sees, on every host."""

    name: str
    leaves: tuple[tuple[int, int, int, int, int, int], ...]  # leaf, subleaf, eax, ebx, ecx, edx
    xcr0: int

    def cpuid(self, asked: bool = True, *, keys: bool = False) -> bytes:
        """``struct kvm_cpuid2``; of a guest that never asks only what KVM itself looks at."""
        only = None if asked or self.xcr0 else (7,)  # CR4.FSGSBASE and .PKE need leaf 7
        leaves = [each for each in self.leaves if only is None or each[0] in only]
        out = struct.pack("<II", len(leaves), 0)
        for leaf, subleaf, *registers in leaves:
            significant = 1 if leaf in (4, 7, 0xD) else 0
            if leaf == 7 and keys:
                registers[2] |= _PKU
            out += struct.pack("<7I12x", leaf, subleaf, significant, *registers)
        return out

    @property
    def vector_state(self) -> int:
        """Bytes of XSAVE's area, or of FXSAVE's where there is no XSAVE."""
        return 832 if self.xcr0 else 512

    def xcrs(self) -> bytes:
        """``struct kvm_xcrs`` with XCR0."""
        return struct.pack("<IIIIQ", 1, 0, 0, 0, self.xcr0).ljust(392, b"\0")


def _bits(*positions: int) -> int:
    return sum(1 << position for position in positions)


def _text(text: str) -> tuple[int, int, int]:
    first, second, third = struct.unpack("<3I", text.encode().ljust(12, b"\0"))
    return first, second, third


_VENDOR = _text("LimpetLimpet")
_PHYSICAL_BITS, _VIRTUAL_BITS = 36, 48

_V2_1C = _bits(0, 9, 13, 19, 20, 23)  # SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT
_V2_1D = _bits(0, 4, 8, 15, 19, 23, 24, 25, 26)  # FPU TSC CX8 CMOV CLFSH MMX FXSR SSE SSE2
_V3_1C = _bits(12, 22, 26, 27, 28, 29)  # FMA MOVBE XSAVE OSXSAVE AVX F16C
_V2_7B = _bits(0, 9)  # FSGSBASE ERMS
_PKU = _bits(3)
_V3_7B = _bits(3, 5, 8)  # BMI1 AVX2 BMI2


def _level(name: str, extra_1c: int, extra_7b: int, extra_8c: int, xcr0: int) -> CpuLevel:
    leaves = [
        (0x0, 0, 0xD if xcr0 else 7, _VENDOR[0], _VENDOR[2], _VENDOR[1]),
        (0x1, 0, 0x00000600, 0x00000800, _V2_1C | extra_1c, _V2_1D),
        (0x7, 0, 0, _V2_7B | extra_7b, 0, 0),
        (0x80000000, 0, 0x80000008, 0, 0, 0),
        (0x80000001, 0, 0, 0, _bits(0) | extra_8c, _bits(20, 29)),  # LAHF; NX LM
        (0x80000008, 0, _PHYSICAL_BITS | _VIRTUAL_BITS << 8, 0, 0, 0),
    ]
    if not xcr0:
        leaves.append((0xD, 0, 0, 0, 0, 0))  # else kvm_pvm asks the host for its own: 45 us
    else:
        leaves.insert(3, (0xD, 0, xcr0, 832, 832, 0))
        leaves.insert(4, (0xD, 1, 0, 832, 0, 0))
        leaves.insert(5, (0xD, 2, 256, 576, 0, 0))
    return CpuLevel(name, tuple(leaves), xcr0)


CPU_LEVELS = {
    "v2": _level("x86-64-v2", 0, 0, 0, 0),
    "v3": _level("x86-64-v3", _V3_1C, _V3_7B, _bits(5), 7),  # ABM (LZCNT)
}
"""Named after the x86-64 psABI's micro-architecture levels."""
