"""Hostile guests that know the way out: hypercalls, stubs and system calls put to other use."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Maker
from hostile_guest import INVALID, SURVIVED, WROTE, End, Hostile, fault, forbidden

from limpet.contract import DEVICE_FD, Backend
from limpet.layout import KVM_RUN_AT, MONITOR_BASE, MONITOR_SIZE, Layout
from limpet.syscalls import NUMBERS


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


WRONG_USE = End(122, "limpet: the guest used a hypercall port in a way that is none\n")
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
    for port in set(range(min(opened), max(opened) + 1)) - set(opened):
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
URETPROBE, UPROBE = 335, 336


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


def alive(process: subprocess.Popen[bytes]) -> bool:
    """Neither ended nor traced."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return process.poll() is None and "TracerPid:\t0\n" in status


def test_system_calls_stay_inside(hostile: Hostile, tmp_path: Path) -> None:
    """Every number by a SYSCALL of the guest's own: the library OS answers, the host sees none."""
    served = {call.number for call in hostile.plan.calls}
    for bits in (0, 1 << 30):
        done = subprocess.run(
            [str(hostile.made().path), "all_calls", str(bits)],
            cwd=tmp_path,
            input=b"",
            capture_output=True,
            start_new_session=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stdout[-9:]) == (0, b"survived\n")
        assert {int(each) for each in done.stderr.split()} <= (set() if bits else served)
    assert list(tmp_path.iterdir()) == []


def test_calls_past_the_filter(hostile: Hostile) -> None:
    """Two numbers that newer hosts exempt from seccomp do nothing to a process without probes."""
    enosys, enxio = (End(0, "", f"{got}\nsurvived\n") for got in (-38, -6))
    kvm = hostile.backend == "kvm"
    hostile.ends(enosys if kvm else (enosys, INVALID), "call", URETPROBE)
    hostile.ends(enosys if kvm else (enosys, enxio, INVALID), "call", UPROBE)


def test_pointers_of_calls(hostile: Hostile) -> None:
    """Addresses that are not the guest's are EFAULT, whichever argument of whichever call."""
    addresses = [each for each in forbidden(hostile.plan).values() if each] + [1 << 63]
    hostile.ends(SURVIVED, "all_pointers", *addresses)
    refused = End(0, "", "-14 -14\n" * len(addresses) + "survived\n")
    hostile.ends(refused, "transfers", 8, *addresses, stdin=b"evil")
    place = hostile.place
    code = (place.image_lo, place.trampolines, place.text, place.constants, place.rodata)
    refused = End(0, "", "-14\nsurvived\n")
    for at in (*code, MONITOR_BASE, hostile.plan.monitor_text):
        hostile.ends(refused, "call", NUMBERS["read"], 0, at, 4, stdin=b"evil")


def test_vector_over_itself(hostile: Hostile) -> None:
    """A vector that changes while it is served leads nowhere that it could not name before."""
    hostile.ends(End(0, "", "32\nsurvived\n"), "vector_over_itself", stdin=b"a" * 64)


def test_vdso(hostile: Hostile) -> None:
    """No vDSO is named to the guest; test_what_the_host_sees shows that none is mapped."""
    hostile.ends(End(0, "", "0\nsurvived\n"), "auxiliary", 33)


@pytest.mark.parametrize("name", ["kill", "tkill", "tgkill", "ptrace", "pidfd_open", "prctl"])
def test_other_processes(hostile: Hostile, name: str) -> None:
    """A sibling on the host feels nothing of what the guest sends to its number."""
    esrch, enosys = -3, -38
    with subprocess.Popen(["/bin/sleep", "60"]) as sibling:
        pid, number = sibling.pid, NUMBERS[name]
        arguments = {
            "kill": (pid, 9),
            "tkill": (pid, 9),
            "tgkill": (pid, pid, 9),
            "ptrace": (16, pid),
        }.get(name, (pid, 0))
        got = esrch if name in {"kill", "tkill", "tgkill"} else enosys
        if name == "prctl":
            arguments, got = (22, 2, 0), -22  # PR_SET_SECCOMP
        hostile.ends(End(0, "", f"{got}\nsurvived\n"), "call", number, *arguments)
        assert alive(sibling)
        sibling.kill()


@pytest.mark.parametrize(
    "name", ["fork", "vfork", "clone", "clone3", "execve", "socket", "seccomp"]
)
def test_what_a_unikernel_has_not(hostile: Hostile, name: str) -> None:
    """No processes, no sockets: by any path of the guest's own."""
    hostile.ends(End(0, "", "-38\nsurvived\n"), "call", NUMBERS[name])


def test_descriptors_of_the_parent(hostile: Hostile, tmp_path: Path) -> None:
    """What the parent leaves open is closed before the guest runs."""
    kept = tmp_path / "kept"
    with kept.open("wb") as file:
        fd = file.fileno()
        command = [str(hostile.made().path), "call", str(NUMBERS["write"]), str(fd)]
        place = str(hostile.place.constants)
        done = subprocess.run(
            [*command, place, "8"], pass_fds=[fd], capture_output=True, check=False
        )
    assert (done.stdout, done.returncode) == (b"-9\nsurvived\n", 0)
    assert kept.read_bytes() == b""


def test_what_the_host_sees(hostile: Hostile) -> None:
    """Descriptors, rights and mappings of a bundle while its guest runs."""
    guest = [str(hostile.made().path), "ready"]
    with subprocess.Popen(guest, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdin and running.stdout.readline() == b"ready\n"
        proc = Path(f"/proc/{running.pid}")
        opened = {int(each.name) for each in (proc / "fd").iterdir()}
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
        lows = [line.split()[0] for line in (proc / "maps").read_text().splitlines()]
        writable = re.search(r"^\S+ .w.x ", (proc / "maps").read_text(), re.MULTILINE)
        running.stdin.close()
        assert running.wait(10) == 0
    assert opened == ({0, 1, 2, 5} if hostile.backend == "kvm" else {0, 1, 2})
    assert (status["NoNewPrivs"], status["Seccomp"], writable) == ("1", "2", None)
    if hostile.backend == "process":
        ends = [int(low.split("-")[1], 16) for low in lows]
        assert all(end <= MONITOR_BASE + MONITOR_SIZE or end > 1 << 63 for end in ends)


TIME_IS_UP = End(124, "limpet: the guest ran longer than its --timeout\n")
TOO_MUCH = End(123, "limpet: the guest wrote more than its --max-output\n", "\0{5000}")
TOO_MUCH_ERROR = End(123, "\0{5000}limpet: the guest wrote more than its --max-output\n")


@pytest.mark.parametrize(
    ("attack", "number"),
    [("spin", 0), ("spin", 1 << 63), ("sleep_on", 0), ("fault_loop", 0), ("call_loop", 0)],
)
def test_time(hostile: Hostile, attack: str, number: int) -> None:
    """No loop, signal mask or stack pointer keeps --timeout from ending the guest."""
    made = hostile.made(timeout=150)
    ran = made.run(attack, str(number), timeout=20)
    assert TIME_IS_UP.met(ran), ran


def test_time_on_the_signal_stack(hostile: Hostile) -> None:
    """A stack pointer that leaves no room for the alarm's frame: the host ends the process."""
    ran = hostile.made(timeout=150).run("spin", str(hostile.place.signal_stack + 512), timeout=20)
    assert (TIME_IS_UP if hostile.backend == "kvm" else End(139)).met(ran), ran


@pytest.mark.parametrize(("stream", "end"), [(1, TOO_MUCH), (2, TOO_MUCH_ERROR)])
def test_flood(hostile: Hostile, stream: int, end: End) -> None:
    """Not one byte more than --max-output, on either stream."""
    ran = hostile.made(max_output=5000).run("flood", str(stream), timeout=20)
    assert end.met(ran), ran


def test_flood_of_both(hostile: Hostile) -> None:
    """Both streams count together."""
    ran = hostile.made(max_output=5000).run("flood", "3", timeout=20)
    assert (ran.status, len(ran.stdout) + ran.stderr.count(0)) == (123, 5000), ran


def stubs(hostile: Hostile) -> list[int]:
    """Where the host system calls of a process are, as the guest finds them."""
    found = hostile.run("find_calls", hostile.place.text).stdout
    return [int(line, 16) for line in found.split()[:-1]]


def test_stubs_put_to_other_use(hostile: Hostile) -> None:
    """A jump onto a stub's SYSCALL with anything but its pinned call ends the process."""
    if hostile.backend != "process":
        pytest.skip("no stubs")
    found = stubs(hostile)
    place = hostile.place
    labelled = [rule for rule in hostile.plan.filters["process"].rules if rule.label]
    assert len(found) == len(labelled)
    killed = End(159)
    pipe, one = place.stack[0], 1 << 32
    harmful: list[tuple[int, ...]] = [
        *((NUMBERS[name],) for name in ("fork", "execve", "socket", "ptrace", "mmap", "mprotect")),
        *((NUMBERS[name],) for name in ("rt_sigreturn", "open", "dup", "prctl", "seccomp")),
        (NUMBERS["kill"], 0, 0),
        (NUMBERS["exit"], 0),
        (NUMBERS["exit_group"] | 1 << 30, 0),
        (NUMBERS["write"] | 1 << 30, 1, place.constants, 8),
        (NUMBERS["write"], 0, place.constants, 8),
        (NUMBERS["write"], 3, place.constants, 8),
        (NUMBERS["write"], one | 1, place.constants, 8),
        (NUMBERS["write"], 1, place.constants, (1 << 20) + 1),
        (NUMBERS["write"], 1, place.constants, one | 1),
        (NUMBERS["read"], 1, pipe, 1),
        (NUMBERS["read"], 3, pipe, 1),
        (NUMBERS["read"], 0, pipe, (1 << 20) + 1),
        (NUMBERS["getrandom"], pipe, 47, 0),
        (NUMBERS["getrandom"], pipe, 48, 1),
        (NUMBERS["ppoll"], pipe, 2, pipe),
        (NUMBERS["ppoll"], pipe, 1, pipe, pipe),
        (NUMBERS["clock_gettime"], 2, pipe),
        (NUMBERS["clock_gettime"], 2**64 - 1, pipe),
        (2**64 - 1,),
    ]
    for at in found:
        for numbers in harmful:
            hostile.ends(killed, "jump_call", at, *numbers)


def test_stub_with_every_number(hostile: Hostile) -> None:
    """From a stub's SYSCALL every number ends the process but the stub's own."""
    if hostile.backend != "process":
        pytest.skip("no stubs")
    own = {rule.call for rule in hostile.plan.filters["process"].rules if rule.label}
    at = stubs(hostile)[0]
    for number in set(range(512)) - {NUMBERS[name] for name in own} - {URETPROBE, UPROBE}:
        hostile.ends(End(159), "jump_call", at, number)
