"""What this host offers: KVM, seccomp and the rest, asked of the kernel itself."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.running import kvm

_HWCAP2_FSGSBASE = 2
_AT_HWCAP2 = 26


@dataclass(frozen=True)
class Check:
    """One thing that the host has or lacks, and what to type about it."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    backend: str = ""  # that cannot run without it; empty for both


def _kvm_check() -> Check:
    problem, hint = kvm.problem_and_hint()
    modules = [name for name in ("kvm_intel", "kvm_amd", "kvm_pvm") if _module(name)]
    detail = problem or f"usable ({', '.join(modules) or 'built in'})"
    return Check("KVM", problem is None, detail, hint, "kvm")


def _module(name: str) -> bool:
    return Path("/sys/module", name).exists()


def seccomp_check() -> Check:
    """Whether the kernel has the filters and verdicts that monitors use."""
    try:
        actions = Path("/proc/sys/kernel/seccomp/actions_avail").read_text(encoding="ascii")
    except OSError:
        return Check("seccomp", False, "the kernel has no seccomp filters", "use another kernel")
    missing = {"kill_process", "trap"} - set(actions.split())
    return Check("seccomp", not missing, f"actions: {actions.strip()}", "use Linux 4.14 or newer")


def landlock_version() -> int:
    """The version of Landlock's interface, 0 where there is none."""
    libc = ctypes.CDLL(None)
    return max(0, int(libc.syscall(NUMBERS["landlock_create_ruleset"], None, 0, 1)))


_MOUNTS = """
import ctypes
libc = ctypes.CDLL(None)
copies = lambda: libc.syscall({open_tree}, -100, b"/", 0x8001) >= 0
raise SystemExit(not (copies() or libc.unshare({namespaces}) == 0 and copies()))
"""
"""Copies a mount as a monitor does, where it is or in namespaces of users and mounts
(CLONE_NEWUSER, CLONE_NEWNS, OPEN_TREE_CLONE and AT_RECURSIVE of uapi linux)."""


def makes_mounts() -> bool:
    """Whether a process of this user's can have a mount of its own."""
    code = _MOUNTS.format(namespaces=0x1002_0000, open_tree=NUMBERS["open_tree"])
    return not subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False).returncode


def _kernel_check() -> Check:
    release = os.uname().release
    parts = release.split(".")
    new = (int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()) or 0)) >= (5, 9)
    return Check("kernel", new, f"Linux {release}", "use Linux 5.9 or newer")


def _auxiliary(kind: int) -> int:
    data = Path("/proc/self/auxv").read_bytes()
    for at in range(0, len(data) - 15, 16):
        if int.from_bytes(data[at : at + 8], "little") == kind:
            return int.from_bytes(data[at + 8 : at + 16], "little")
    return 0


def _fsgsbase_check() -> Check:
    ok = bool(_auxiliary(_AT_HWCAP2) & _HWCAP2_FSGSBASE)
    detail = "programs may set FS base themselves" if ok else "FSGSBASE is off"
    return Check(
        "FSGSBASE", ok, detail, "needs a CPU of 2013 or later and no nofsgsbase", "process"
    )


def has_processor_flag(name: str) -> bool:
    """Whether ``/proc/cpuinfo`` lists a flag."""
    text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return name in flags.split()


def has_protection_keys() -> bool:
    """Whether memory that may only be executed cannot be read: the kernel has turned keys on."""
    return has_processor_flag("ospke")


def _mmap_check() -> Check:
    try:
        lowest = int(Path("/proc/sys/vm/mmap_min_addr").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return Check("mmap_min_addr", True, "not told here")
    ok = lowest <= 65536
    return Check("mmap_min_addr", ok, f"{lowest}", "sysctl vm.mmap_min_addr=65536")


def _machine_check() -> Check:
    machine = os.uname().machine
    return Check("processor", machine == "x86_64", machine, "bundles are for x86-64")


def checks() -> list[Check]:
    """Everything that ``limpet doctor`` looks at."""
    return [
        _machine_check(),
        _kernel_check(),
        _kvm_check(),
        seccomp_check(),
        _fsgsbase_check(),
        _mmap_check(),
    ]
