"""Monitors that an enemy has changed: reading alone finds each of these tricks and names it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import BACKENDS, Backend
from tests.support.audited import EVERY, small
from tests.support.bundle_edit import Edited
from tests.support.bundles import Maker

SYSCALL = "0f05"
WRITE_AS_EXECVE = "b801000000"  # mov eax, 1; what follows makes it 59
TRICKS: dict[str, tuple[str, str]] = {
    "int 0x80": ("b80b000000 cd80", "int is no instruction of a monitor's"),
    "sysenter": ("0f34", "sysenter is no instruction"),
    "push and ret": ("b800000001 50 c3", "ret goes to where no call was"),
    "return address overwritten": (
        "e80c000000 b801000000 83e0ff eb09 9090 48c7042400000001 c3",
        "it writes over a return address",
    ),
    "cmpxchg": (f"{WRITE_AS_EXECVE} b93b000000 0fb1d9 {SYSCALL}", "cmpxchg is no instruction"),
    "xlatb": (f"{WRITE_AS_EXECVE} d7 {SYSCALL}", "xlatb is no instruction"),
    "stosb": (f"6a01 4889e7 b83b000000 aa 58 {SYSCALL}", "stosb is no instruction"),
    "rep stosb": (
        f"6a01 4889e7 b83b000000 b901000000 f3aa 58 {SYSCALL}",
        "has a number that cannot be told from the code",
    ),
    "rep stosq": (  # of two words, the second is what is read again
        f"6a01 6a01 4889e7 b83b000000 b902000000 f348ab 58 58 {SYSCALL}",
        "has a number that cannot be told from the code",
    ),
    "bsf": (
        f"{WRITE_AS_EXECVE} 0fbcc1 {SYSCALL}",
        "has a number that cannot be told from the code",
    ),
    "child that is not waited for": (
        f"b838000000 bf00050210 31f6 {SYSCALL}",
        "makes clone with argument 1 0x10020500",
    ),
    "low byte": (f"{WRITE_AS_EXECVE} b03b {SYSCALL}", "makes execve"),
    "movups": (f"6a01 0f110424 58 {SYSCALL}", "movups is no instruction"),
    "locked": ("f04801242490", "lock add is no instruction"),
    "another segment": ("6448890424", "mov is no instruction"),
    "16-bit branch": ("66e90000", "jmp is no instruction"),
    "direction flag": ("fd", "std is no instruction"),
    "computed call": ("b800100001 ffd0", "call is no instruction"),
    "jump through memory": ("ff2424", "jmp is no instruction"),
    "unknown pointer": (
        # push 1; rax = rsp by a way that is not followed; mov dword [rax], 59; pop rax
        f"b801000000 50 4889e0 b901000000 48f7e1 c7003b000000 58 {SYSCALL}",
        "has a number that cannot be told from the code",
    ),
    "the kernel writes": (
        # push 1; getrandom(rsp, 8, 0); pop rax
        f"b801000000 50 b83e010000 4889e7 be08000000 31d2 {SYSCALL} 58 {SYSCALL}",
        "has a number that cannot be told from the code",
    ),
    "TIOCSTI": (f"b810000000 31ff be12540000 {SYSCALL}", "makes the ioctl request 0x5412"),
    "mprotect to run": (
        f"b80a000000 bf00000001 be00100000 ba07000000 {SYSCALL}",
        "makes mprotect with argument 3 0x7",
    ),
    "mmap to run": (
        f"b809000000 bf00000009 be00100000 ba07000000 41ba22401000 {SYSCALL}",
        "makes mmap with argument 3 0x7",
    ),
    "mmap over the monitor": (
        f"b809000000 bf00000009 be00100000 ba03000000 41ba32000000 {SYSCALL}",
        "makes mmap with argument 4 0x32",
    ),
    "monitor unmapped": (
        f"b80b000000 48bf0010000020000000 be00100000 {SYSCALL}",
        "unmaps monitor",
    ),
    "a path that changes": (
        f"b801010000 48c7c79cffffff be00000301 ba02000800 {SYSCALL}",
        "which can be changed before",
    ),
    "a path from elsewhere": (
        f"b801010000 48c7c79cffffff 488b3424 ba02000800 {SYSCALL}",
        "opens a path that is not in the file",
    ),
    "execve": (f"b83b000000 {SYSCALL}", "makes execve, which no monitor does"),
}


def injected(path: Path, code: bytes) -> Edited:
    """``code`` before the first thing that a monitor does, in the space behind its last byte."""
    edited = Edited(path)
    monitor, entry = edited.bundle.monitor, edited.bundle.entry
    first = edited.bundle.memory(entry, 7)  # mov rdi, rsp; and rsp, -16
    assert first == bytes.fromhex("4889e74883e4f0")
    used = len(edited.bundle.content(monitor).rstrip(b"\0"))
    cave = monitor.address + used + 16
    edited.poke(entry, b"\xe9" + struct.pack("<i", cave - entry - 5))
    back = cave + len(code) + len(first) + 5
    edited.poke(cave, code + first + b"\xe9" + struct.pack("<i", entry + 7 - back))
    return edited


def unlike_the_record(found: list[str]) -> list[str]:
    """Findings, but for the digest, which an enemy writes anew."""
    return [each for each in found if "its bytes are not those of the record" not in each]


@EVERY
def test_harmless_code(make: Maker, backend: Backend) -> None:
    """What monitors are made of is not found fault with: the tricks below are what is found."""
    edited = injected(small(make, backend), bytes.fromhex("4889c0 50 b801000000 58"))
    assert unlike_the_record(edited.findings()) == []


@EVERY
@pytest.mark.parametrize("trick", TRICKS)
def test_trick(make: Maker, backend: Backend, trick: str) -> None:
    """Each is named, however well the record is made to agree."""
    code, expected = TRICKS[trick]
    found = unlike_the_record(injected(small(make, backend), bytes.fromhex(code)).findings())
    assert any(expected in each for each in found), found


def near(edited: Edited, number: int, old: str, new: str) -> None:
    """Change code shortly before or behind the system call ``number``."""
    address = next(call.address for call in edited.code.calls if call.numbers == {number})
    code = edited.bundle.memory(address - 24, 48)
    at = code.rindex(bytes.fromhex(old))
    assert len(bytes.fromhex(old)) == len(bytes.fromhex(new))
    edited.poke(address - 24 + at, bytes.fromhex(new))


@EVERY
def test_filter_with_flags(make: Maker, backend: Backend) -> None:
    """Flags that the kernel does not know, so that no filter stands."""
    edited = Edited(small(make, backend))
    near(
        edited,
        NUMBERS["seccomp"],
        "31f60f05" if backend == "kvm" else "31f64c89d2",
        UNKNOWN[backend],
    )
    found = edited.findings()
    assert any("installs a filter with flags" in each for each in found)
    assert "filter: no seccomp program is installed" in found


UNKNOWN = {"kvm": "89c60f05", "process": "89c64c89d2"}  # mov esi, eax


@EVERY
def test_filter_without_a_look_at_the_result(make: Maker, backend: Backend) -> None:
    """The guest is entered whatever the kernel said of the filter."""
    edited = Edited(small(make, backend))
    tested = {"kvm": ("4885c00f85", "4885c00f88"), "process": ("85c075", "85c078")}
    near(edited, NUMBERS["seccomp"], *tested[backend])  # js instead of jne
    word = "run" if backend == "kvm" else "entered"
    assert any(f"the guest is {word} at" in each for each in edited.findings())


@EVERY
@pytest.mark.parametrize("extra", [1, 5000])
def test_filter_too_long(make: Maker, backend: Backend, extra: int) -> None:
    """More instructions than there are, the last of them no return: the kernel refuses."""
    edited = Edited(small(make, backend))
    each = edited.audit().filters[0]
    description = struct.pack("<QQ", each.instructions, each.address)
    at = edited.bundle.content(edited.bundle.monitor).index(description)
    longer = struct.pack("<H", each.instructions + extra)
    edited.poke(edited.bundle.monitor.address + at, longer)
    assert any("the kernel refuses a seccomp program" in each for each in edited.findings())


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b == "kvm"])
def test_second_memory_slot(make: Maker, backend: Backend) -> None:
    """Memory of the host's given to the machine by one more request."""
    code = f"b810000000 bf04000000 be46ae2040 4889e2 {SYSCALL}"
    found = injected(small(make, backend), bytes.fromhex(code)).findings()
    assert "machine: it is given memory 2 times, and not once" in found
