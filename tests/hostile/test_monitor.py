"""Hostile guests that know the way out: hypercalls, their arguments and their ports misused."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import DEVICE_FD, FRAME_MOST, Backend
from limpet.guests.linux.layout import Layout
from limpet.planning.regions import KVM_RUN_AT, MONITOR_BASE
from tests.hostile.guest import (
    WROTE,
    End,
    Hostile,
    fault,
    stubs,
)
from tests.support.bundles import Maker


@pytest.fixture
def hostile(make: Maker, backend: Backend) -> Hostile:
    """All attacks in one program, on each backend."""
    return Hostile(make, backend)


def test_ports(hostile: Hostile) -> None:
    """No port but the plan's, in either direction and every width."""
    opened = [call.port for call in hostile.plan.hypercalls]
    low, high = (min(opened), max(opened) + 4) if hostile.backend == "kvm" else (0, 0)
    for form, width in enumerate([1, 2, 4] * 4):
        edges = low - width + 1 if low else 0, high
        hostile.ends(End(0, "", "all\nsurvived\n"), "all_ports", form, *edges, 31)


WRONG_USE = End(122, "limpet: the guest used a hypercall port with the wrong width\n")
NO_SUCH = End(122, "limpet: the guest made a hypercall that it does not have, backend kvm\n")
OUTSIDE = End(
    122, "limpet: the guest made a hypercall with an address outside its memory, backend kvm\n"
)


def test_port_misuse(hostile: Hostile) -> None:
    """The plan's own ports take a 32-bit `out` and nothing else."""
    if hostile.backend != "kvm":
        pytest.skip("no ports")
    opened = [call.port for call in hostile.plan.hypercalls]
    for port in opened:
        for form in (0, 1, 3, 4, 5, 6, 7, 9, 10, 11):
            hostile.ends(WRONG_USE, "one_port", form, port, 0)
        hostile.ends(OUTSIDE, "one_port", 8, port, 0)
        hostile.ends(OUTSIDE, "one_port", 2, port, 0)
    bytes_opened = {port + index for port in opened for index in range(4)}
    for port in bytes_opened - set(opened):
        if not {port, port + 1, port + 2, port + 3} <= bytes_opened:
            continue  # the processor's own bitmap refuses it
        hostile.ends(NO_SUCH, "one_port", 2, port, hostile.place.state)


def blocks(place: Layout) -> tuple[int, ...]:
    """Addresses of argument blocks that are none: too low, too high, straddling, wrapping."""
    low, high = place.state, place.state_end
    ends = (0, low - 1, low - 4, high - 4, high, 0xFFFF_FFFC, 0xFFFF_FFFF)
    elsewhere = (place.text, place.constants, place.arena[0], place.stack[0], place.arena[1])
    return *ends, *elsewhere, place.supervisor, place.supervisor + 3 * 4096


def test_blocks_outside(hostile: Hostile) -> None:
    """An argument block lies in the library OS's own data or nowhere."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    for at in blocks(hostile.place):
        for call in hostile.plan.hypercalls:
            hostile.ends(OUTSIDE, "one_port", 2, call.port, at)


FAULT = 2**64 - 14


def test_ranges(hostile: Hostile) -> None:
    """Addresses and lengths that wrap, straddle an end, or name what is not the guest's."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    place, page = hostile.place, 4096
    ports = {call.name: call.port for call in hostile.plan.hypercalls}
    at = place.state_end - page
    ranges = {
        "wraps": (2**64 - 1, 2),
        "wraps_to_itself": (place.state, 2**64 - 1),
        "wraps_far": (2**63, 2**63 + page),
        "too_long": (place.arena[0], (1 << 20) + 1),
        "null": (0, 1),
        "below": (place.image_lo - 1, 2),
        "straddles_end": (place.stack[1] - 4, 8),
        "end": (place.stack[1], 1),
        "hole": (place.arena[1] + page, 8),
        "into_hole": (place.arena[1], 8),
        "supervisor": (place.supervisor, 8),
        "tables": (hostile.plan.supervisor.cr3, 8) if hostile.plan.supervisor else (0, 8),
        "monitor": (MONITOR_BASE, 8),
        "kvm_run": (KVM_RUN_AT, 8),
        "host_stack": (0x7FFF_FFFF_E000, 8),
        "kernel": (0xFFFF_FFFF_8100_0000, 8),
        "vsyscall": (0xFFFF_FFFF_FF60_0000, 8),
        "noncanonical": (1 << 63, 8),
    }
    for name, (address, length) in ranges.items():
        refused = End(0, "", f"1 {address:x} {length:x} {FAULT:x}\nsurvived\n")
        hostile.ends(refused, "block", ports["console_out"], at, 1, address, length, 0)
        refused = End(0, "", f"{address:x} {length:x} {FAULT:x} 0\nsurvived\n")
        ran = hostile.run("block", ports["console_in"], at, address, length, 0, 0, stdin=b"evil")
        assert refused.met(ran), (name, ran)


@pytest.mark.parametrize("fd", [0, 3, 4, 5, 7, 2**32 - 1])
def test_descriptors(hostile: Hostile, fd: int) -> None:
    """console_out writes to standard output and error only."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    place = hostile.place
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "console_out")
    refused = End(0, "", f"{fd:x} {place.state:x} 8 {FAULT:x}\nsurvived\n")
    hostile.ends(refused, "block", port, place.state_end - 4096, fd, place.state, 8, 0)


@pytest.fixture
def with_disk(make: Maker, backend: Backend, tmp_path: Path) -> Iterator[Hostile]:
    """With a disk of one page, which must stay as it was."""
    disk = tmp_path / "disk"
    disk.write_bytes(b"d" * 4096)
    yield Hostile(make, backend, ("block:data",), (f"--block:data={disk}",))
    assert disk.read_bytes() == b"d" * 4096


def test_device_table(with_disk: Hostile) -> None:
    """What the monitor knows of a disk stays as it was, whoever is asked to write there."""
    table, evil = with_disk.place.devices, b"evil"
    at = with_disk.place.state_end - 4096
    with_disk.ends(fault(WROTE, table), "poke", table)
    efault = End(0, "", "-14\nsurvived\n")
    with_disk.ends(efault, "call", NUMBERS["read"], 0, table, 4, stdin=evil)
    if with_disk.backend == "kvm":
        ports = {call.name: call.port for call in with_disk.plan.hypercalls}
        refused = End(0, "", f"{table:x} 4 {FAULT:x} 0\nsurvived\n")
        with_disk.ends(refused, "block", ports["console_in"], at, table, 4, 0, 0, stdin=evil)
        with_disk.ends(efault, "device_block", ports["block_read"], at, 1, 0, table, 512)


def test_beyond_a_disk(with_disk: Hostile) -> None:
    """Offsets and lengths that end behind the disk, wrap, or name a device that is none."""
    place, size = with_disk.place, 4096
    at, memory = place.state_end - 4096, place.arena[0]
    requests = [
        (1, size - 511, memory, 512),
        (1, size, memory, 1),
        (1, 2**64 - 1, memory, 2),
        (1, 0, memory, 2**64 - 1),
        (1, 0, memory, size + 1),
        (0, 0, memory, 512),
        (2, 0, memory, 512),
        (2**63, 0, memory, 512),
    ]
    if with_disk.backend == "kvm":
        ports = {call.name: call.port for call in with_disk.plan.hypercalls}
        refused = End(0, "", "-22\nsurvived\n")
        for request in requests:
            for name in ("block_read", "block_write"):
                with_disk.ends(refused, "device_block", ports[name], at, *request)
        return
    for stub in stubs(with_disk):
        for device, offset, buffer, length in requests:
            words = (DEVICE_FD + device) % 2**64, buffer, length, offset
            for name in ("pread64", "pwrite64"):
                with_disk.ends(End(159), "jump_call", stub, NUMBERS[name], *words)


ENTRY, HEAD = 104, 8
"""Bytes of an entry of the table of devices, and of what stands before the first."""


@pytest.mark.kvm
def test_device_that_the_guest_made_up(make: Maker, tmp_path: Path) -> None:
    """A handle so large that the entry it leads to lies in the guest's own memory."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    hostile = Hostile(make, "kvm", ("block:data",), (f"--block:data={disk}",))
    place = hostile.place
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "block_read")
    forged = place.arena[0] + (place.devices + HEAD - place.arena[0]) % 8
    away = forged + 1024 - place.devices - HEAD
    handle = away // 8 * pow(ENTRY // 8, -1, 1 << 61) % (1 << 61)
    assert (place.devices + HEAD + handle * ENTRY) % 2**64 == forged + 1024
    at, memory = place.state_end - 4096, place.arena[0] + 8192
    refused = End(0, "", "-22\nsurvived\n")
    for high in range(8):
        words = forged, port, at, handle + (high << 61), 0, memory, 512
        hostile.ends(refused, "forged_device", *words)


@pytest.mark.kvm
def test_device_of_another_kind(make: Maker, tmp_path: Path) -> None:
    """A network where a disk is asked for, and a disk where a network is."""
    disk = tmp_path / "disk"
    disk.write_bytes(b"d" * 4096)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hostile = Hostile(make, "kvm", ("block:data", "net:wire"))
    ports = {call.name: call.port for call in hostile.plan.hypercalls}
    at, memory = hostile.place.state_end - 4096, hostile.place.arena[0]
    attached = [f"--block:data={disk}", f"--net:wire=@{theirs.fileno()}"]
    for name, attack, device, length in (
        ("block_read", "device_block", 2, 512),
        ("block_write", "device_block", 2, 512),
        ("net_read", "block", 1, 16),
        ("net_write", "block", 1, 16),
    ):
        between = (0, memory) if attack == "device_block" else (memory,)
        words = *attached, attack, ports[name], at, device, *between, length, 0
        argv = [str(word) for word in (hostile.made().path, *words)]
        done = subprocess.run(argv, pass_fds=[theirs.fileno()], capture_output=True, check=False)
        said = "-22" if attack == "device_block" else f"1 {memory:x} {length:x} {2**64 - 22:x}"
        assert done.stdout.decode() == f"{said}\nsurvived\n", (name, done)
    assert disk.read_bytes() == b"d" * 4096
    ours.close()
    theirs.close()


def test_read_only_targets(hostile: Hostile) -> None:
    """console_in does not write what the guest may not."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    place = hostile.place
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "console_in")
    for target in (place.image_lo, place.trampolines, place.text, place.constants, place.rodata):
        refused = End(0, "", f"{target:x} 4 {FAULT:x} 0\nsurvived\n")
        ran = hostile.run("block", port, place.state_end - 4096, target, 4, 0, 0, stdin=b"evil")
        assert refused.met(ran), (target, ran)


def test_block_in_its_own_buffer(hostile: Hostile) -> None:
    """A block that changes while it is served was copied before: the copy is what counts."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    at = hostile.place.state_end - 4096
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "console_in")
    expected = End(0, "", f"{at:x} 20 20 {0x6161616161616161:x}\nsurvived\n")
    ran = hostile.run("block", port, at, at, 32, 0, 0, stdin=b"a" * 64)
    assert expected.met(ran), ran


FRAME = FRAME_MOST - 1, FRAME_MOST, FRAME_MOST + 1, FRAME_MOST + 3, FRAME_MOST + 4, 2**64 - 1


def test_frames_at_the_limit(make: Maker, backend: Backend) -> None:
    """With the largest MTU: the monitor refuses a frame before its filter would end the guest."""
    if backend != "kvm":
        pytest.skip("in a process the filter is the one who looks")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    hostile = Hostile(make, backend, ("net:wire",))
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "net_write")
    at, frame = hostile.place.state_end - 4096, hostile.place.arena[0]
    words = ["--net-mtu:wire=65521", f"--net:wire=@{theirs.fileno()}", "block", port, at, 1, frame]
    for length in FRAME:
        argv = [str(word) for word in (hostile.made().path, *words, length, 0)]
        done = subprocess.run(argv, pass_fds=[theirs.fileno()], capture_output=True, check=False)
        result = length if length <= FRAME_MOST else 2**64 - 22
        assert done.stdout.decode() == f"1 {frame:x} {length:x} {result:x}\nsurvived\n", done
    ours.close()
    theirs.close()
