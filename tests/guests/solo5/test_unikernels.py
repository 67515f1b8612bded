"""Solo5 unikernels, written here (unikernels/), on their own monitors with real devices."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import ImageError, PlanError
from limpet.guests.solo5.layout import GUEST_BASE
from limpet.running.host import has_protection_keys
from tests.support.solo5 import Bundled, Start, limpet_run, run


def test_hello(start: Start) -> None:
    """The whole command line arrives, and the status comes back."""
    done = start("one", "two  three", "--four")
    assert (done.stdout, done.stderr, done.returncode) == ("hello one two  three --four\n", "", 0)
    assert start("exit7").returncode == 7
    assert start().stdout == "hello \n"


@pytest.mark.parametrize("version", [1, 2])
def test_versions(start: Start, version: int) -> None:
    """ABI 1 is that of Solo5 0.7, ABI 2 that of all later ones."""
    assert start("x", version=version).stdout == "hello x\n"


def test_machine(start: Start) -> None:
    """Clocks, floating point, the TLS base, memory as asked for."""
    assert start("sleep").stdout == "slept\npassed\n"
    assert start("float").stdout == "7484 16\n"
    assert start("tls").stdout == "42\n"
    assert start("memory").stdout == "512\n"
    for size in ("4", "64", "1000", "4096"):
        assert start(f"--mem={size}", "memory").stdout == f"{size}\n"


def test_timeout(start: Start) -> None:
    """--timeout of the plan ends a guest that does not."""
    done = start("bad loop", timeout=300)
    assert done.returncode == 124
    assert done.stderr == "limpet: the guest ran longer than its --timeout\n"


FAULTS = {
    "ud2": ("trap 06 error 00 cr2 00000000\n", 200, -4),
    "null": ("trap 0e error 02 cr2 00000008\n", 200, -11),
    "beyond": ("trap 0e error 02 cr2 20000000\n", 200, -11),
    "divide": ("trap 00 error 00 cr2 00000000\n", 200, -8),
    "rodata": (": the guest wrote read-only memory at 0x", 1, -11),
    "text": (": the guest wrote read-only memory at 0x", 1, -11),
    "data": (": the guest executed data at 0x", 1, -11),
}


@pytest.mark.parametrize("how", FAULTS)
def test_faults(start: Start, target: str, how: str) -> None:
    """Exceptions reach an hvt guest's own handlers; what the pages' rights forbid ends it."""
    said, status, signal = FAULTS[how]
    done = start("bad", how)
    if target == "spt":
        assert (done.stdout, done.returncode) == ("", signal)
    elif said.startswith("trap"):
        assert (done.stdout, done.stderr, done.returncode) == (said, "", status)
    else:
        assert done.stderr.startswith("limpet: host/guest translation fault: rip=0x")
        assert said in done.stderr
        assert (done.stdout, done.returncode) == ("", status)


def test_execute_only(start: Start, target: str) -> None:
    """An hvt guest's code cannot be read, where the processor has protection keys."""
    done = start("bad", "code")
    if target == "hvt" and has_protection_keys():
        assert "the guest read memory that it may not at 0x" in done.stderr
        assert (done.stdout, done.returncode) == ("", 1)
    else:
        assert (done.stdout, done.returncode) == ("nothing happened\n", 0)


def test_strict(unikernel: Bundled, target: str) -> None:
    """--strict holds an hvt guest to ring 3 and to code that cannot be read."""
    done = run(limpet_run("--strict", unikernel(target), "x"))
    if target == "spt" or has_protection_keys():
        assert (done.stdout, done.returncode) == ("hello x\n", 0)
    else:
        assert "missing here: code that cannot be read (no protection keys" in done.stderr
        assert (done.stdout, done.returncode) == ("", 125)
    if target == "hvt":
        done = run(limpet_run("--strict", unikernel("hvt", ring_0=True), "x"))
        assert "missing here: guest in ring 3 (" in done.stderr
        assert (done.stdout, done.returncode) == ("", 125)


def test_execute_only_machine(unikernel: Bundled) -> None:
    """The keys are in the page tables and in CR4, wherever the bundle is run."""
    made = limpet.plan(limpet.load(unikernel("hvt")))
    assert made.supervisor and made.supervisor.execute_only
    entries = struct.unpack(f"<{len(made.supervisor.tables) // 8}Q", made.supervisor.tables)
    keys = {entry >> 59 & 15 for entry in entries if entry & 0xFFFFFFFFFF000 == GUEST_BASE}
    assert keys == {1}
    (cr4,) = struct.unpack_from("<Q", made.blobs.fixed["KVM_SREGS_KEYS"], 8 * 24 + 2 * 16 + 24)
    assert cr4 & 1 << 22
    ring_0 = limpet.plan(limpet.load(unikernel("hvt", ring_0=True)))
    assert ring_0.supervisor and not ring_0.supervisor.execute_only


def test_ring_0(unikernel: Bundled) -> None:
    """A ring-0 instruction that has no place in ring 3 keeps the guest in ring 0, said aloud."""
    made = limpet.plan(limpet.load(unikernel("hvt", ring_0=True)))
    (decision,) = (each for each in made.decisions if each.name == "ring 3")
    assert not decision.included
    assert re.fullmatch(r"ring 0, since rdmsr at 0x[0-9a-f]+ cannot be replaced", decision.why)
    assert any("runs in ring 0: rdmsr" in warning for warning in made.warnings)
    ordinary = limpet.plan(limpet.load(unikernel("hvt")))
    assert not ordinary.warnings


@pytest.mark.kvm
def test_ring_0_runs(bundled: Bundled) -> None:
    """Such a guest runs."""
    path = bundled("hvt", ring_0=True)
    assert run([path, "x"]).stdout == "hello x\n"


@pytest.mark.kvm
def test_console_that_does_not_block(bundled: Bundled) -> None:
    """An hvt guest's output waits for a slow reader of a pipe that is set not to block."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 8000
    shell = 'i=0; while [ $i -lt 40 ]; do "$@" || exit 9; i=$((i+1)); done'
    argv: list[str | Path] = ["sh", "-c", shell, "sh", bundled("hvt"), text]
    with subprocess.Popen(argv, stdout=writer) as guests:
        os.close(writer)
        time.sleep(0.5)  # the pipe is full by then
        with os.fdopen(reader, "rb") as stream:
            assert stream.read() == f"hello {text}\n".encode() * 40
        assert guests.wait(20) == 0


def test_few_calls_are_left(unikernel: Bundled, target: str) -> None:
    """Fewer than Solo5's tenders leave: 18 of solo5-hvt, 9 of solo5-spt, with both devices."""
    made = limpet.plan(limpet.load(unikernel(target, devices=True)))
    (each,) = made.filters.values()
    common = {"read", "write", "pread64", "pwrite64", "clock_gettime", "exit_group"}
    rest = {
        "hvt": {"ioctl", "ppoll", "timer_settime", "rt_sigtimedwait"},
        "spt": {"epoll_pwait", "timerfd_settime"},
    }
    known = common | rest[target] | ({"arch_prctl"} if target == "spt" else set())
    assert set(each.calls) <= known
    assert all(rule.pins for rule in each.rules if rule.call not in ("exit_group",))


NOTES = {
    "target": (b"ABI1Solo5\0\0\0", 12, 3, "a Solo5 unikernel for the target virtio"),
    "no target": (b"ABI1Solo5\0\0\0", 12, 9, "a Solo5 unikernel for the target number 9"),
    "version": (b"ABI1Solo5\0\0\0", 16, 3, "ABI version 3; Limpet knows 1 (Solo5 0.7)"),
    "manifest version": (b"MFT1Solo5\0\0\0", 16, 2, "Solo5 manifest version 2, not 1"),
    "too many": (b"MFT1Solo5\0\0\0", 20, 65, "64 devices in its Solo5 manifest; at most 63"),
    "none": (b"MFT1Solo5\0\0\0", 20, 0, "-1 devices in its Solo5 manifest"),
    "fewer": (b"MFT1Solo5\0\0\0", 20, 2, "not those of 2 entries"),
    "first": (b"MFT1Solo5\0\0\0", 24 + 68, 1, "entry 0 of its Solo5 manifest is damaged"),
    "unknown device": (b"MFT1Solo5\0\0\0", 24 + 104 + 68, 7, "is of the unknown type 7"),
    "attached": (b"MFT1Solo5\0\0\0", 24 + 104 + 96, 1, "entry 1 of its Solo5 manifest is damaged"),
    "bad name": (b"MFT1Solo5\0\0\0", 24 + 104, 0x2F2F, "has the bad name"),
    "note size": (b"MFT1Solo5\0\0\0", -4, 0xFFFFFF, "does not fall within valid size"),
}


@pytest.mark.parametrize("damage", NOTES)
def test_bad_notes(unikernel: Bundled, tmp_path: Path, target: str, damage: str) -> None:
    """Each way a note can be wrong has its own message."""
    where, offset, value, message = NOTES[damage]
    data = bytearray(unikernel(target, devices=True).read_bytes())
    at = data.index(where) + offset
    data[at : at + 4] = value.to_bytes(4, "little")
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=re.escape(message)):
        limpet.load(path)


def test_plan_errors(unikernel: Bundled, target: str, tmp_path: Path) -> None:
    """A unikernel takes neither the other backend nor files."""
    guest = limpet.load(unikernel(target))
    other: Backend = "process" if target == "hvt" else "kvm"
    with pytest.raises(PlanError, match="runs on the backend"):
        limpet.plan(guest, limpet.Options(backends=(other,)))
    (tmp_path / "file").write_text("x")
    with pytest.raises(PlanError, match="neither files nor an environment"):
        limpet.plan(limpet.load(unikernel(target), root=tmp_path))
    with pytest.raises(PlanError, match="of memory; it needs at least"):
        limpet.plan(guest, limpet.Options(memory=1 << 20))


def _tender(target: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", f"from limpet.cli.tender import {target}; {target}()", *words]
    return run(argv)


def test_tender(unikernel: Bundled, target: str, disk: Path) -> None:
    """A Solo5 tender's whole command line works, and its mistakes end with status 1."""
    kernel = unikernel(target)
    assert (
        _tender(target, "--mem=16", "--", kernel, "--solo5:x", "y").stdout == "hello --solo5:x y\n"
    )
    assert _tender(target, kernel, "exit7").returncode == 7
    for words, message in (
        ((), "Missing KERNEL operand"),
        (("--bogus", kernel), "Invalid option: `--bogus'"),
        (("--gdb", "--gdb-port=x", kernel), "Malformed argument to --gdb-port"),
        (("nosuch",), "nosuch: Could not open"),
        ((unikernel("spt" if target == "hvt" else "hvt"),), "Executable is not for the solo5-"),
        ((f"--block:storage={disk}", kernel), "Resource not declared in manifest: 'storage'"),
        (("--mem=x", kernel), "Malformed argument to --mem"),
    ):
        done = _tender(target, *words)
        assert message in done.stderr
        assert done.returncode == 1
    assert _tender(target, "--version").returncode == 0
    assert "usage: limpet-" in _tender(target, "--help").stderr
