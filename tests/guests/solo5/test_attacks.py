"""Hostile unikernels: each attack by its name, with the exact way in which it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from tests.support import network
from tests.support.solo5 import Bundled, run, with_devices

OUTSIDE = "limpet: the guest made a hypercall with an address outside its memory, backend kvm\n"

CLOSED = "trap 0d error 00 cr2 00000000\n"  # the processor refuses the port

SIZE = 512 << 20

HVT_ATTACKS = {
    "port 0x500": (1280, (), CLOSED),
    "port 0x509": (1289, (), CLOSED),
    "blocks without devices": (1284, (), CLOSED),
    "networks without devices": (1287, (), CLOSED),
    "puts that wraps": (1282, (2**64 - 16, 4096), OUTSIDE),
    "puts over the end": (1282, (SIZE - 16, 17), OUTSIDE),
    "puts beyond the end": (1282, (SIZE, 1), OUTSIDE),
    "puts of page tables": (1282, (0x28000, 8), OUTSIDE),
    "puts of page 0": (1282, (0, 8), OUTSIDE),
    "puts of the monitor": (1282, (0x20_0000_0000, 8), OUTSIDE),
    "puts of it all": (1282, (0x100000, 2**63), OUTSIDE),
    "puts of a length that wraps": (1282, (0x200000, 2**64 - 16), OUTSIDE),
    "block at 0": (1282, (1, 0), OUTSIDE),
    "block over the end": (1282, (1, SIZE - 8), OUTSIDE),
    "block beyond": (1282, (1, 2**32 - 8), OUTSIDE),
    "block in the page tables": (1283, (1, 0x2B000), OUTSIDE),
    "block in what it was told": (1283, (1, 0x10000), OUTSIDE),
    "block in its code": (1283, (1, 0x100000), OUTSIDE),
}


@pytest.mark.kvm
@pytest.mark.parametrize("attack", HVT_ATTACKS)
def test_hvt_attacks(bundled: Bundled, attack: str) -> None:
    """Hypercalls that are none, and addresses that are not the guest's."""
    port, words, line = HVT_ATTACKS[attack]
    argv: list[str | Path] = [bundled("hvt"), " ".join(map(str, ("call", port, *words)))]
    done = run(argv)
    expected = (line, "", 200) if line == CLOSED else ("", line, 1)
    assert (done.stdout, done.stderr, done.returncode) == expected


@pytest.mark.kvm
@pytest.mark.parametrize("shift", [0, 4088, -4])
def test_constants_behind_data(bundled: Bundled, unikernel: Bundled, shift: int) -> None:
    """The monitor stores no answer where the guest itself cannot, wherever that is linked."""
    with unikernel("hvt").open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        at = next(each["st_value"] for each in table.iter_symbols() if each.name == "late")
    done = run([bundled("hvt"), f"call 1281 1 {at + shift}"])
    assert (done.stderr, done.returncode) == (OUTSIDE, 1)


HVT_DEVICE_ATTACKS = {
    "read into its code": (1285, (1, 0, 0x100000, 512), "result 3 survived\n"),
    "read into what it was told": (1285, (1, 0, 0x10000, 512), ""),
    "read into page tables": (1285, (1, 0, 0x2B000, 512), ""),
    "write from the monitor": (1284, (1, 0, 0x20_0000_0000, 512), ""),
    "another handle": (1285, (63, 0, 0x200000, 512), "result 2 survived\n"),
    "a handle that wraps": (1285, (2**64 - 1, 0, 0x200000, 512), "result 2 survived\n"),
    "a network as a disk": (1285, (2, 0, 0x200000, 512), "result 2 survived\n"),
    "a disk as a network": (1286, (1, 0x200000, 64), ""),
    "an offset that wraps": (1285, (1, 2**64 - 512, 0x200000, 1024), "result 2 survived\n"),
    "a length that wraps": (1285, (1, 512, 0x200000, 2**64 - 512), "result 2 survived\n"),
}


@pytest.mark.kvm
@pytest.mark.parametrize("attack", HVT_DEVICE_ATTACKS)
def test_hvt_device_attacks(bundled: Bundled, tap: network.Tap, disk: Path, attack: str) -> None:
    """Devices named wrongly give a result, memory that is not the guest's ends it."""
    port, words, said = HVT_DEVICE_ATTACKS[attack]
    words = (0, *words) if words[0] == 1 else words  # "1" first names a block elsewhere
    bundle = bundled("hvt", devices=True)
    done = run([*with_devices(bundle, disk, tap), " ".join(map(str, ("call", port, *words)))])
    assert disk.read_bytes() == bytes(64 << 10)
    if not said:
        assert (done.stderr, done.returncode) in ((OUTSIDE, 1), ("", 77))
    else:
        assert (done.stderr, done.returncode) == ("", 77)


BAD_INDEX = "limpet: the guest's network ring has an index out of range, backend kvm\n"

RING_ATTACKS = {
    "tail far ahead": ((1025, 0, 1, 2, 0x200000, 64), BAD_INDEX),
    "tail behind": ((0xFFFFFFFF, 0, 1, 2, 0x200000, 64), BAD_INDEX),
    "more answers than there is room": ((2, 1, 2, 2, 0x200000, 64), BAD_INDEX),
    "one answer more than there is room": ((1, 2**32 - 1024, 2, 2, 0x200000, 64), BAD_INDEX),
    "read into the monitor": ((1, 0, 2, 2, 0x7FFF00000000, 64), OUTSIDE),
    "read into its own code": ((1, 0, 2, 2, 0x100000, 64), OUTSIDE),
    "read that wraps": ((1, 0, 2, 2, (1 << 64) - 32, 64), OUTSIDE),
    "write from the monitor": ((1, 0, 1, 2, 0x7FFF00000000, 64), OUTSIDE),
    "write of too much": ((1, 0, 1, 2, 0x200000, 0xFFFFFFFF), "result 0 survived\n"),
    "unknown operation": ((1024, 0, 9, 2, 0, 64), "result 0 survived\n"),
    "another device": ((1, 0, 2, 1, 0x200000, 64), "result 2 survived\n"),
    "no device": ((1, 0, 2, 64, 0x200000, 64), "result 2 survived\n"),
}


@pytest.mark.kvm
@pytest.mark.parametrize("attack", RING_ATTACKS)
def test_ring_attacks(bundled: Bundled, tap: network.Tap, disk: Path, attack: str) -> None:
    """Neither an index nor an entry of the ring is believed."""
    words, said = RING_ATTACKS[attack]
    bundle = bundled("hvt", devices=True)
    done = run([*with_devices(bundle, disk, tap), " ".join(map(str, ("call ring", *words)))])
    refused = said.startswith("limpet:")
    assert (done.stderr if refused else done.stdout) == said
    assert done.returncode == (1 if refused else 77)


SPT_ATTACKS = {
    "open": (2, 0x100000, 0),
    "openat": (257, 0, 0x100000, 0),
    "socket": (41, 2, 1),
    "execve": (59, 0x100000, 0, 0),
    "fork": (57,),
    "kill": (62, 1, 9),
    "ptrace": (101, 16, 1),
    "mmap executable": (9, 0, 4096, 7, 34),
    "mprotect": (10, 0x100000, 4096, 7),
    "write to standard error": (1, 2, 0x100000, 4),
    "write to another descriptor": (1, 17, 0x100000, 4),
    "read standard input": (0, 0, 0x200000, 4),
    "another clock": (228, 4, 0x200000),
    "another epoll set": (281, 5, 0x200000, 1),
    "arch_prctl": (158, 0x1001, 0x200000),
    "x32 write": (0x40000001, 1, 0x100000, 4),
    "rt_sigreturn": (15,),
    "getpid": (39,),
    "seccomp": (317, 1, 0, 0),
}


@pytest.mark.parametrize("attack", SPT_ATTACKS)
def test_spt_attacks(bundled: Bundled, attack: str) -> None:
    """System calls that the filter does not know kill the guest before they do anything."""
    argv: list[str | Path] = [bundled("spt"), " ".join(map(str, ("call", *SPT_ATTACKS[attack])))]
    done = run(argv)
    assert (done.stdout, done.returncode) == ("", -31)


SPT_DEVICE_ATTACKS = {
    "read of two sectors": (17, 17, 0x200000, 1024, 0),
    "read beyond the end": (17, 17, 0x200000, 512, 64 << 10),
    "read far beyond the end": (17, 17, 0x200000, 512, 1 << 32),
    "write that grows the file": (18, 17, 0x200000, 512, 1 << 20),
    "write to the network as a disk": (18, 18, 0x200000, 512, 0),
    "read of the disk as a network": (0, 17, 0x200000, 512),
}


@pytest.mark.parametrize("attack", SPT_DEVICE_ATTACKS)
def test_spt_device_attacks(bundled: Bundled, tap: network.Tap, disk: Path, attack: str) -> None:
    """Sector size and capacity are the filter's, not the guest's, to check."""
    bundle = bundled("spt", devices=True)
    done = run(
        [
            *with_devices(bundle, disk, tap),
            " ".join(map(str, ("call", *SPT_DEVICE_ATTACKS[attack]))),
        ]
    )
    assert (done.stdout, done.returncode) == ("", -31)
    assert disk.read_bytes() == bytes(64 << 10)
