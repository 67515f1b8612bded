"""The processor that a guest in a virtual machine gets: every bit, written out by hand.

Sources: Intel SDM volume 3 sections 2.2.1 (EFER), 2.5 (CR0, CR4), volume 2 CPUID; ``struct
kvm_sregs`` of ``arch/x86/include/uapi/asm/kvm.h``.
"""

from __future__ import annotations

import struct

import limpet
from tests.support.bundles import Maker

ASKS = """
int main(void) {
    unsigned a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c & 1;
}
"""

V2 = {
    0x0: (7, None, None, None),
    0x1: (0x600, 0x800, 0x0098_2201, 0x0788_8111),  # SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT; to SSE2
    0x7: (0, 0x201, 0, 0),  # FSGSBASE ERMS
    0xD: (0, 0, 0, 0),  # no extended state: said, since kvm_pvm asks the host where it is not
    0x8000_0000: (0x8000_0008, 0, 0, 0),
    0x8000_0001: (0, 0, 1, 0x2010_0000),  # LAHF; NX LM
    0x8000_0008: (36 | 48 << 8, 0, 0, 0),
}
"""By leaf: EAX, EBX, ECX, EDX; a leaf that is not here, such as a hypervisor's, is not there."""
PAE, OSFXSR, OSXMMEXCPT, FSGSBASE = 1 << 5, 1 << 9, 1 << 10, 1 << 16


def test_processor(make: Maker) -> None:
    """KVM is told of an x86-64-v2, and of nothing that the host has beyond it."""
    plan = limpet.plan(limpet.load(make.compile(ASKS, "asks")), limpet.Options(backends=("kvm",)))
    table = plan.blobs.fixed["KVM_CPUID"]
    (count,) = struct.unpack_from("<I", table)
    assert len(table) == 8 + 40 * count
    found = {}
    for at in range(8, len(table), 40):
        leaf, _, _, *registers = struct.unpack_from("<7I", table, at)
        found[leaf] = tuple(registers)
    assert found.keys() == V2.keys()
    for leaf, wanted in V2.items():
        for have, want in zip(found[leaf], wanted, strict=True):
            assert want is None or have == want, (hex(leaf), found[leaf])


def test_gates(make: Maker) -> None:
    """INT reaches the gates of 3 and 4: of all others the processor itself makes exceptions."""
    plan = limpet.plan(limpet.load(make.compile(ASKS, "asks")), limpet.Options(backends=("kvm",)))
    assert plan.supervisor
    table = plan.supervisor.descriptors[plan.supervisor.IDT_AT :][: 32 * 16]
    access = {vector: table[16 * vector + 5] for vector in range(32)}
    assert {vector for vector, each in access.items() if each >> 5 & 3 == 3} == {3, 4}
    assert {each & 0x9F for each in access.values()} == {0x8E}  # present, and an interrupt gate


def test_registers(make: Maker) -> None:
    """Ring 3, no-execute on, SYSCALL off, read-only pages for ring 0 too, and nothing more."""
    plan = limpet.plan(limpet.load(make.compile(ASKS, "asks")), limpet.Options(backends=("kvm",)))
    sregs = plan.blobs.fixed["KVM_SREGS"]
    cr0, _, _, cr4, _, efer = struct.unpack_from("<6Q", sregs, 8 * 24 + 2 * 16)
    assert cr0 == 1 << 31 | 1 << 18 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1  # PG AM WP NE ET MP PE
    assert cr4 == PAE | OSFXSR | OSXMMEXCPT | FSGSBASE
    assert efer == 1 << 11 | 1 << 10 | 1 << 8  # NXE LMA LME
    (selector,) = struct.unpack_from("<H", sregs, 12)
    assert selector & 3 == 3
