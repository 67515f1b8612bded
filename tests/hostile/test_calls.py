"""Hostile guests and the host itself: system calls, other processes, time, output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.planning.regions import MONITOR_BASE, MONITOR_SIZE
from tests.hostile.guest import (
    INVALID,
    JUMPED,
    READ,
    SURVIVED,
    TRAPPED,
    End,
    Hostile,
    crash,
    fault,
    forbidden,
    stubs,
)
from tests.support.bundles import Maker

URETPROBE, UPROBE = 335, 336


@pytest.fixture
def hostile(make: Maker, backend: Backend) -> Hostile:
    """All attacks in one program, on each backend."""
    return Hostile(make, backend)


def alive(process: subprocess.Popen[bytes]) -> bool:
    """Neither ended nor traced."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return process.poll() is None and "TracerPid:\t0\n" in status


def test_system_calls_stay_inside(hostile: Hostile, tmp_path: Path) -> None:
    """Every number by a SYSCALL of the guest's own: the library OS answers, the host sees none."""
    served = {NUMBERS[call.name] for call in hostile.plan.calls}
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


@pytest.mark.parametrize("name", ["fork", "vfork", "clone", "clone3", "execve", "seccomp"])
def test_what_a_unikernel_has_not(hostile: Hostile, name: str) -> None:
    """No processes: by any path of the guest's own."""
    hostile.ends(End(0, "", "-38\nsurvived\n"), "call", NUMBERS[name])


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


def test_time_when_nobody_reads(hostile: Hostile) -> None:
    """Where a flood leaves no room for the line of the timeout, a second alarm ends it."""
    reading, writing = os.pipe()
    command = [str(hostile.made(timeout=150).path), "flood", "2"]
    with subprocess.Popen(command, stderr=writing) as running:
        os.close(writing)
        try:
            assert running.wait(10) == -signal.SIGALRM
        finally:
            running.kill()
            os.close(reading)


def test_time_when_alarms_are_blocked(hostile: Hostile) -> None:
    """The signal mask of whoever starts a bundle is no way around --timeout."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    try:
        ran = hostile.made(timeout=150).run("spin", "0", timeout=20)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert TIME_IS_UP.met(ran), ran


def test_own_library_os(hostile: Hostile) -> None:
    """A guest that overwrites its own library OS harms itself: it ends, and the monitor refuses
    nothing, as nothing was asked of it."""
    place = hostile.place
    made = hostile.made(timeout=150)
    itself = {1, 124, 125, 139} if hostile.backend == "kvm" else {1, 124, 125, 139, 159}
    for word in (0, 1, 2**64 - 1, place.state, place.text, place.supervisor, 1 << 63):
        for number in ("write", "rt_sigreturn", "exit"):
            words = map(str, (word, place.state, place.state_end, NUMBERS[number]))
            ran = made.run("scribble", *words, timeout=20)
            assert ran.status in itself, (word, number, ran)


def test_into_the_library_os(hostile: Hostile) -> None:
    """A jump to an entry of the library OS serves whatever the registers hold, and no more."""
    entries: dict[str, End | tuple[End, ...]] = {
        "syscall_entry": fault(JUMPED, 0),  # where RCX says
        "syscall_entry_flags": fault(JUMPED, 0),
        "syscall_entry_r11": (fault(JUMPED, 0), TRAPPED),  # by the flags in R11
        "trap_entry_kvm": crash(136, "SIGFPE", "faulted"),  # vector 0
        "trap_entry_process": fault(READ, 0xE0),  # of a frame at 0
    }
    for name, end in entries.items():
        hostile.ends(end, "run", hostile.place.entry(name))
    again = str(hostile.place.entry("guest_start"))
    ran = hostile.made(timeout=150).run("run", again, timeout=20)
    assert TIME_IS_UP.met(ran), ran  # it starts, and does the same


@pytest.mark.parametrize(("stream", "end"), [(1, TOO_MUCH), (2, TOO_MUCH_ERROR)])
def test_flood(hostile: Hostile, stream: int, end: End) -> None:
    """Not one byte more than --max-output, on either stream."""
    ran = hostile.made(max_output=5000).run("flood", str(stream), timeout=20)
    assert end.met(ran), ran


def test_flood_of_both(hostile: Hostile) -> None:
    """Both streams count together."""
    ran = hostile.made(max_output=5000).run("flood", "3", timeout=20)
    assert (ran.status, len(ran.stdout) + ran.stderr.count(0)) == (123, 5000), ran


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
