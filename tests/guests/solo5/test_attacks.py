"""Hostile unikernels: each attack by its name, with the exact way in which it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import limpet
from limpet.contract.limits import FRAMES_ROOM
from limpet.contract.structures import FRAMES
from limpet.guests.solo5.layout import Solo5Layout
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


CHANGED = "limpet: the guest changed the frames that it is to send, backend kvm\n"
SENT = FRAMES.size - 2 * FRAMES_ROOM
AHEAD = SENT + FRAMES_ROOM
_FIELDS = {each.name: 4 * at for at, each in enumerate(FRAMES.fields)}

FRAMES_ATTACKS: Mapping[str, tuple[Mapping[str | int, int], str]] = {
    "more than there is room": ({"gathered": FRAMES_ROOM + 1}, CHANGED),
    "as much as there is": ({"gathered": 2**32 - 1}, CHANGED),
    "less than a head": ({"gathered": 4}, CHANGED),
    "no network": ({"gathered": 16, SENT: 0, SENT + 4: 8}, CHANGED),
    "a disk": ({"gathered": 16, SENT: 1, SENT + 4: 8}, CHANGED),
    "no device": ({"gathered": 16, SENT: 2**32 - 1, SENT + 4: 8}, CHANGED),
    "longer than all": ({"gathered": 16, SENT: 2, SENT + 4: 9}, CHANGED),
    "longer than a frame": ({"gathered": FRAMES_ROOM, SENT: 2, SENT + 4: 1519}, CHANGED),
    "longer than memory": ({"gathered": FRAMES_ROOM, SENT: 2, SENT + 4: 2**32 - 1}, CHANGED),
    "one that the host refuses": ({"gathered": 16, SENT: 2, SENT + 4: 8}, ""),
    "frames of no device": ({"moved": 99}, ""),
    "frames of a disk": ({"moved": 1}, ""),
    "brought for no device": ({"handle": 63, "brought": 2**32 - 1}, ""),
    "a time that is not set": ({"open": 2**32 - 1}, ""),
}


READ_ATTACKS = {
    "one that is there": (8, 5, "taken"),
    "a head behind the end": (FRAMES_ROOM - 4, 8, "nothing"),
    "places behind all": (2**32 - 8, 8, "nothing"),
    "longer than the rest": (8, FRAMES_ROOM - 15, "nothing"),
    "longer than memory": (8, 2**32 - 1, "nothing"),
}


@pytest.fixture(scope="module")
def frames_at(unikernel: Bundled) -> int:
    """Where the guest with devices has the frames that it moves."""
    layout = limpet.plan(limpet.load(unikernel("hvt", devices=True))).layout
    assert isinstance(layout, Solo5Layout)
    return layout.frames


def _poked(changes: Mapping[str | int, int], frames_at: int) -> str:
    places = {
        frames_at + (key if isinstance(key, int) else _FIELDS[key]): changes[key] for key in changes
    }
    return "call poke " + " ".join(f"{place} {value}" for place, value in places.items())


@pytest.mark.kvm
@pytest.mark.parametrize("attack", FRAMES_ATTACKS)
def test_frames_attacks(
    bundled: Bundled, tap: network.Tap, disk: Path, frames_at: int, attack: str
) -> None:
    """No number of what the shim and its monitor share is believed."""
    changes, said = FRAMES_ATTACKS[attack]
    words = _poked(changes, frames_at)
    done = run([*with_devices(bundled("hvt", devices=True), disk, tap), words])
    assert (done.stderr, done.returncode) == (said, 1 if said else 77)


@pytest.mark.kvm
@pytest.mark.parametrize("attack", READ_ATTACKS)
def test_frames_ahead(
    bundled: Bundled, tap: network.Tap, disk: Path, frames_at: int, attack: str
) -> None:
    """A read gives nothing from behind the frames that were brought."""
    taken, size, said = READ_ATTACKS[attack]
    place = AHEAD + taken if taken < FRAMES_ROOM else AHEAD
    fields: Mapping[str | int, int] = {"handle": 2, "brought": 2**32 - 1, "taken": taken}
    changes = {**fields, place: 2, place + 4: size}
    done = run([*with_devices(bundled("hvt", devices=True), disk, tap), _poked(changes, frames_at)])
    assert (done.stdout, done.returncode) == (f"{said} survived\n", 77)


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
