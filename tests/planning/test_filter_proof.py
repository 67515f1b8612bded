"""The filter says exactly what the plan's rules say: shown for all system calls, not sampled.

:func:`filter_rules.prove` follows every path through the program; the concrete runs below hold the
same interpreter's plain half against it.
"""

from __future__ import annotations

import ctypes
import struct
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet import contract
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.formats.manifest import Device
from limpet.planning.monitor import filter_values
from limpet.planning.seccomp import Filter
from limpet.sources import MONITOR_INCLUDES
from limpet.tools.toolchain import zig
from tests.support import SUPPORT, bpf, filter_rules, unikernels
from tests.support.bundles import Maker
from tests.support.filter_rules import X86_64, Disk, Outside
from tests.support.sources import HELLO

I386, X86_64_LITTLE, ARM64 = 0x40000003, 0x8000003E, 0xC00000B7
DEVICES_C = SUPPORT / "programs" / "devices.c"

DISKS = {
    "small": Disk(64 << 10),
    "one sector": Disk(32768, 32768),
    "below 4 GiB": Disk((4 << 30) - 512),
    "4 GiB": Disk(4 << 30, 4096),
    "above": Disk((4 << 30) + 512),
    "odd": Disk((5 << 40) + (700 << 20) + 1536),
}


@dataclass(frozen=True)
class Proved:
    """A filter as it is installed, and what it has to say."""

    plain: bytes
    program: bpf.Program
    policy: filter_rules.Policy


LINUX: dict[str, dict[str, object]] = {
    "plain": {},
    "trapped": {"rewrite": False},
    "timeout": {"timeout": 1000},
    "max output": {"max_output": 1 << 20},
    "everything": {"timeout": 1, "max_output": 1, "memory": 1 << 32, "cpu": "v3"},
    "disk": {"devices": ("block:one",)},
    "network": {"devices": ("net:wire",), "timeout": 1000},
    "devices": {"devices": ("block:one", "net:wire", "block:two", "net:other")},
    "63 devices": {"devices": tuple(f"{('block', 'net')[i % 2]}:d{i}" for i in range(63))},
}
SOLO5: dict[str, tuple[str, ...]] = {
    "none": (),
    "disk": ("block",),
    "network": ("net",),
    "both": ("block", "net"),
    "several": ("net", "block", "block", "net", "block"),
    "63 devices": ("block", "net") * 31 + ("block",),
}

Completed = Callable[[Filter, bytes, dict[int, Disk]], bytes]


@pytest.fixture(scope="session")
def completed(tmp_path_factory: pytest.TempPathFactory) -> Completed:
    """What the monitor's own C makes of a program at the start."""
    folder = tmp_path_factory.mktemp("filter")
    (folder / "contract.h").write_text(contract.c_header())

    def complete(each: Filter, program: bytes, disks: dict[int, Disk]) -> bytes:
        if not each.slots:
            return program
        text = folder / f"filter{len(list(folder.iterdir()))}.c"
        text.write_text(completing_c(each, len(program) // 8, disks))
        output = text.with_suffix(".so")
        argv: list[str | Path] = [
            zig(),
            "cc",
            "-shared",
            "-fPIC",
            "-O1",
            f"-I{folder}",
            *MONITOR_INCLUDES,
        ]
        subprocess.run([*argv, "-o", output, text], check=True)
        loaded = ctypes.CDLL(str(output))
        loaded.complete.restype = ctypes.c_void_p
        return ctypes.string_at(loaded.complete(program), len(program))

    return complete


def completing_c(each: Filter, length: int, disks: dict[int, Disk]) -> str:
    """disk_bounds.c, with the table of devices that a start has found."""
    values = filter_values("process", each, 0)
    values = values.replace("FILTER_PROCESS_AT 0x0UL", "FILTER_PROCESS_AT made")
    found = "".join(
        f"    MANIFEST->entries[{handle}].capacity = {disk.capacity}UL;\n"
        f"    MANIFEST->entries[{handle}].block_size = {disk.sector};\n"
        for handle, disk in disks.items()
    )
    return f"""\
#include "contract.h"
void *memcpy(void *, const void *, size_t);
static const void *program_at;
static u64 made[4096], table[4096];
#define MANIFEST ((struct manifest *)table)
#define FILTER_PROCESS (u64)program_at
#define FILTER_PROCESS_LENGTH {length}
{values}
#include "features/disk_bounds/disk_bounds.c"
#define EXPORT __attribute__((visibility("default")))
EXPORT void *complete(const void *given);
EXPORT void *complete(const void *given) {{
{found}    program_at = given;
    fill_filter_process();
    return made;
}}
"""


def labels_of(each: Filter) -> dict[str, int]:
    """Stubs next to each other and at both ends of a page, as a linker might place them."""
    found = {rule.label: rule.origin for rule in each.rules if rule.label}
    places = [2, 3, 4, 16, 4095, 4096, *range(5000, 9000, 7)]
    return {name: origin + at for (name, origin), at in zip(found.items(), places, strict=False)}


def proved(each: Filter, disks: dict[int, Disk], completed: Completed) -> Proved:
    """The program and the rules for it."""
    labels = labels_of(each)
    plain = completed(each, each.assemble(labels), disks)
    return Proved(plain, bpf.decode(plain), filter_rules.policy(each, labels, disks))


@pytest.fixture(scope="session")
def linux(make: Maker, completed: Completed) -> Callable[[str, str], Proved]:
    """The filter of a program for one backend of its plan."""
    hello = limpet.load(make.compile(HELLO, "hello"))
    devices = limpet.load(make.compile(DEVICES_C.read_text(encoding="utf-8"), "devices"))

    def get(backends: str, name: str) -> Proved:
        used, _, other = backends.partition("+")
        both = tuple(sorted(each for each in (used, other) if each))
        guest = devices if "devices" in LINUX[name] else hello
        plan = limpet.plan(guest, replace(limpet.Options(backends=both), **LINUX[name]))  # type: ignore[arg-type]
        blocks = [
            handle
            for handle, word in enumerate(plan.options.devices, 1)
            if word.startswith("block:")
        ]
        return proved(plan.filters[used], disks_of(blocks), completed)  # type: ignore[index]

    return get


@pytest.fixture(scope="session")
def solo5(tmp_path_factory: pytest.TempPathFactory, completed: Completed) -> Callable[..., Proved]:
    """The filter of a unikernel with devices of these kinds."""
    folder = tmp_path_factory.mktemp("unikernels")
    guests = {
        target: limpet.load(unikernels.build(folder, target, devices=True))
        for target in ("hvt", "spt")
    }

    def get(target: str, name: str, timeout: int = 0) -> Proved:
        guest = guests[target]
        devices = tuple(
            Device(f"d{handle}", "net" if kind == "net" else "block", handle)
            for handle, kind in enumerate(SOLO5[name], 1)
        )
        image = replace(guest.image, devices=devices)
        plan = limpet.plan(replace(guest, image=image), limpet.Options(timeout=timeout))
        blocks = [device.handle for device in devices if device.kind == "block"]
        (each,) = plan.filters.values()
        return proved(each, disks_of(blocks), completed)

    return get


def disks_of(handles: list[int]) -> dict[int, Disk]:
    """A disk of another size for each handle."""
    every = list(DISKS.values())
    return {handle: every[i % len(every)] for i, handle in enumerate(handles)}


def check(found: Proved) -> None:
    """The proof, and the concrete runs that say the same."""
    filter_rules.prove(found.program, found.policy)
    every_number(found)
    every_boundary(found)


def agree(found: Proved, number: int, arch: int, pointer: int, arguments: list[int]) -> None:
    """Program and rules have one verdict."""
    ran = bpf.run(found.program, bpf.words(number, arch, pointer, arguments))
    said = found.policy.verdict(number, arch, pointer, arguments)
    assert ran == said, (number, hex(arch), hex(pointer), [hex(each) for each in arguments])


def pointers_of(found: Proved) -> list[int]:
    """Each allowed instruction pointer, and those around it."""
    ends = {end for rule in found.policy.rules for span in rule.pointer for end in span}
    steps = (0, 1, -1, 2, -2, 4096, -4096, 1 << 32, -(1 << 32), 1 << 63)
    return sorted({(end + step) % 2**64 for end in ends for step in steps} | {0, 2**64 - 1})


def every_number(found: Proved) -> None:
    """All numbers below 2**16, those of x32, and the edges of the word, on each entry path."""
    allowed = sorted({rule.pointer[0] for rule in found.policy.rules})[:2]
    for number in (*range(1 << 16), 2**31 - 1, 2**31, 2**32 - 1):
        for pointer, _ in allowed:
            data = bpf.words(number, X86_64, pointer, [0] * 6)
            calls = found.policy.verdict(number, X86_64, pointer, [0] * 6)
            assert bpf.run(found.program, data) == calls, (number, hex(pointer))
            data[bpf.NUMBER] = number | 0x40000000
            assert bpf.run(found.program, data) != bpf.ALLOW, (number, hex(pointer))
    for number in NUMBERS.values():
        for pointer in pointers_of(found):
            for arch in (X86_64, I386, X86_64_LITTLE, ARM64, 0, 2**32 - 1):
                agree(found, number, arch, pointer, [0] * 6)


def every_boundary(found: Proved) -> None:
    """Every end of what each rule asks of each argument."""
    for rule in found.policy.rules[:24] + found.policy.rules[-24:]:
        pointer = rule.pointer[0][0]
        for arguments in filter_rules.boundaries(rule):
            agree(found, rule.number, X86_64, pointer, arguments)
        arguments = [rule.arguments[i][0][0] if i in rule.arguments else 0 for i in range(6)]
        for near in pointers_of(found):
            agree(found, rule.number, X86_64, near, arguments)
        agree(found, rule.number | 0x40000000, X86_64, pointer, arguments)
        agree(found, rule.number, I386, pointer, arguments)


LARGE = ("63 devices", "devices", "several")


def _cases(names: Iterable[str]) -> list[Any]:
    """Large filters take seconds each."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow) if name in LARGE else name for name in names]


@pytest.mark.parametrize("name", _cases(LINUX))
@pytest.mark.parametrize("backends", ["kvm", "process", "kvm+process", "process+kvm"])
def test_linux(linux: Callable[[str, str], Proved], backends: str, name: str) -> None:
    """Programs: every option that changes the filter, on each backend, alone and with the other."""
    check(linux(backends, name))


@pytest.mark.parametrize("name", _cases(SOLO5))
@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_solo5(solo5: Callable[..., Proved], target: str, name: str) -> None:
    """Unikernels with no, one and several devices, the disks of every size."""
    check(solo5(target, name))


def test_solo5_timeout(solo5: Callable[..., Proved]) -> None:
    """The alarm's handler adds two stubs."""
    check(solo5("hvt", "both", 500))
    check(solo5("spt", "both", 500))


CALLS = {
    "hvt": {"ioctl", "clock_gettime", "write", "ppoll", "exit_group"},
    "spt": {"arch_prctl", "epoll_pwait", "timerfd_settime", "clock_gettime", "write", "exit_group"},
}
DEVICE_CALLS = {
    "block": {"pread64", "pwrite64"},
    "net": {"read", "write"},
}


@pytest.mark.parametrize("name", _cases(SOLO5))
@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_rules_of_solo5(solo5: Callable[..., Proved], target: str, name: str) -> None:
    """The rules themselves: these calls, and each device's on its own descriptor."""
    found = solo5(target, name)
    names = {number: call for call, number in NUMBERS.items()}
    devices = set()
    others = set()
    for rule in found.policy.rules:
        for low, high in rule.arguments.get(0, ((0, 0),)):
            assert low == high or names[rule.number] in ("ppoll", "exit_group")
            if contract.DEVICE_FD <= low <= contract.DEVICE_FD + 63:
                devices.add((names[rule.number], low - contract.DEVICE_FD))
            else:
                others.add(names[rule.number])
    wanted = {
        (call, handle) for handle, kind in enumerate(SOLO5[name], 1) for call in DEVICE_CALLS[kind]
    }
    assert devices == wanted
    assert others == CALLS[target]


BAD = {
    "a number of bytes": b"\6\0\0\0",
    "no return": struct.pack("<HBBI", 0x20, 0, 0, 0),
    "an opcode": struct.pack("<HBBIHBBI", 0x30, 0, 0, 0, 6, 0, 0, 0),
    "a store": struct.pack("<HBBIHBBI", 0x02, 0, 0, 0, 6, 0, 0, 0),
    "a load outside": struct.pack("<HBBIHBBI", 0x20, 0, 0, 64, 6, 0, 0, 0),
    "a load across": struct.pack("<HBBIHBBI", 0x20, 0, 0, 2, 6, 0, 0, 0),
    "a jump outside": struct.pack("<HBBIHBBI", 0x15, 0, 1, 0, 6, 0, 0, 0),
    "a jump back": struct.pack("<HBBIHBBI", 0x05, 0, 0, 2**32 - 1, 6, 0, 0, 0),
    "a verdict": struct.pack("<HBBI", 6, 0, 0, 0x7FFC0000),
}


@pytest.mark.parametrize("what", BAD)
def test_strict(what: str) -> None:
    """The interpreter takes no program that it does not know whole."""
    with pytest.raises(bpf.BadProgram):
        bpf.decode(BAD[what])


CHANGES = ((4, 1), (7, 0x80), (2, 1), (3, 1))
"""Bits of an instruction: of its constant, and of both targets."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "which", [("process", "devices"), ("kvm", "devices"), ("spt", "several"), ("hvt", "several")]
)
def test_changes_are_seen(
    linux: Callable[[str, str], Proved], solo5: Callable[..., Proved], which: tuple[str, str]
) -> None:
    """One bit of a constant, a jump or a verdict changed: no proof, but where no call differs."""
    found = (solo5 if which[0] in ("hvt", "spt") else linux)(*which)
    survivors = []
    changes = [(at, *bit) for at in range(len(found.program)) for bit in CHANGES]
    for at, byte, bit in changes:
        changed = bytearray(found.plain)
        changed[8 * at + byte] ^= bit
        try:
            program = bpf.decode(bytes(changed))
            filter_rules.prove(program, found.policy)
            survivors.append(replace(found, program=program))
        except (bpf.BadProgram, Outside):
            continue
    assert len(survivors) < len(changes) // 7
    for each in survivors[::12]:
        every_boundary(each)
