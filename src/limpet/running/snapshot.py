"""``snapshot``: run a guest until it stops, and make a bundle that goes on from there.

The guest's process is traced only for its end, where the kernel stops it with its memory still
there (ptrace(2), ``PTRACE_O_TRACEEXIT``).  What that memory holds is the guest's: nothing in it is
trusted for more than a guest is trusted when it runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, Literal

from limpet.building.bundle import Bundle, build
from limpet.contract.limits import SIGNAL_STATUS
from limpet.contract.pages import PAGE
from limpet.errors import RunError
from limpet.formats.image import Access
from limpet.formats.memory import Memory
from limpet.guests import registry
from limpet.planning.plan import Plan
from limpet.planning.regions import Region

MOMENT = "snapshot_moment"
"""The library OS's symbol whose first word says that it has stopped, and why (parts/snapshot)."""

MARKER = "/dev/limpet/snapshot"
"""What a guest writes to when it is at its moment; the file is there while a snapshot is taken."""

Why = Literal["input", "marker"]
_WHY: Final[dict[int, Why]] = {1: "input", 2: "marker"}
"""By the number that the guest has for it: ``enum moment``."""

_CONT, _SETOPTIONS = 7, 0x4200
_TRACEEXIT, _EXITKILL = 0x40, 0x100000
_EVENT_EXIT: Final = 6
_SWAPPED_OR_PRESENT = 3 << 62
_PIECE = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """A bundle whose guest goes on, what it had written when it stopped, and why it did.

    ``why`` is ``"input"`` where it waited for its standard input and ``"marker"`` where it wrote
    to :data:`MARKER`.
    """

    bundle: Bundle
    stdout: bytes
    stderr: bytes
    why: Why


def snapshot(plan: Plan, arguments: Sequence[str] = (), *, name: str = "") -> Snapshot:
    """Run the guest of ``plan`` until it stops, and make the bundle that goes on from there.

    Args:
        plan: of a Linux program, for one backend.
        arguments: what the guest finds behind its own name.
        name: what it finds as its own name; by default the program's.

    Raises:
        RunError: it cannot be started, or ends before it stops.
        PlanError: what it had in memory does not fit.
        ToolchainError: the pinned toolchain is missing or broken.
    """
    options = replace(plan.options, snapshot=True)
    first = build(registry.plan(plan.guest, replace(options, timeout=0, max_output=0)))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        found = _stopped(first, [name or plan.image.name, *arguments], out, err)
        written = _whole(out), _whole(err)
    if isinstance(found, int):
        said = "; ".join(written[1].decode(errors="replace").splitlines())
        raise RunError(
            f"{plan.image.name}: it ended with status {found} before it waited for its standard "
            f"input or wrote to {MARKER}{': ' if said else ''}{said:.400}",
            hint="give it arguments with which it does",
        )
    made = build(registry.plan(replace(plan.guest, memory=found.memory), options))
    return Snapshot(made, *written, found.why)


@dataclass(frozen=True)
class _Stopped:
    """A guest that has stopped: its memory, and why it did."""

    memory: Memory
    why: Why


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _stopped(bundle: Bundle, argv: Sequence[str], out: BinaryIO, err: BinaryIO) -> _Stopped | int:
    """A guest that has stopped, or the status of one that only ended."""
    with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
        path = Path(folder) / "bundle"
        bundle.write(path)
        process = _start(path, argv, out, err)
        try:
            return _memory_at_end(process.pid, bundle)
        finally:
            process.kill()
            process.wait()


_TRACED = """
import ctypes, os, sys
ctypes.CDLL(None).ptrace(0, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[2:])
"""
"""Asks to be traced and becomes the bundle.  A process of its own: this one may have threads."""


def _start(
    path: Path, argv: Sequence[str], out: BinaryIO, err: BinaryIO
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", "-c", _TRACED, str(path), *argv]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)


def _memory_at_end(pid: int, bundle: Bundle) -> _Stopped | int:
    """A guest that has stopped, or the status of one that only ended."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):  # as it becomes the bundle
        return os.waitstatus_to_exitcode(status)
    if ptrace(_SETOPTIONS, pid, None, _TRACEEXIT | _EXITKILL):
        raise RunError(
            f"this host lets no process be traced: {os.strerror(ctypes.get_errno())}",
            hint="allow ptrace (kernel.yama.ptrace_scope) where snapshots are taken",
        )
    # Before the monitor forbids it: what is open stays open.
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as map_:
        passed = 0
        while True:
            ptrace(_CONT, pid, None, passed)
            _, status = os.waitpid(pid, 0)
            if not os.WIFSTOPPED(status):
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else SIGNAL_STATUS - code
            why = _why(memory, bundle) if status >> 16 == _EVENT_EXIT else None
            if why:
                found = _read(memory, map_, bundle)
                ptrace(_CONT, pid, None, 0)  # it is ending: no signal would let it go on
                return _Stopped(found, why)
            passed = 0 if status >> 16 else os.WSTOPSIG(status)
            passed = 0 if passed == signal.SIGTRAP else passed


def _why(memory: BinaryIO, bundle: Bundle) -> Why | None:
    """Why the guest has stopped; nothing for one that only ends."""
    memory.seek(bundle.symbols[MOMENT])
    return _WHY.get(int.from_bytes(memory.read(8), "little"))


def _read(memory: BinaryIO, map_: BinaryIO, bundle: Bundle) -> Memory:
    pages = []
    for region in sorted(bundle.plan.regions, key=lambda region: region.address):
        if Access.WRITE in region.access:
            pages += list(_present(memory, map_, region))
    return Memory.of_pages(pages)


def _present(memory: BinaryIO, map_: BinaryIO, region: Region) -> Iterator[tuple[int, bytes]]:
    """What of ``region`` is there; of what the file has, all."""
    for low in range(region.address, region.end, _PIECE):
        count = (min(low + _PIECE, region.end) - low) // PAGE
        map_.seek(low // PAGE * 8)
        entries = struct.unpack(f"<{count}Q", map_.read(8 * count))
        for index, entry in enumerate(entries):
            if entry & _SWAPPED_OR_PRESENT or not region.at_start:
                memory.seek(low + index * PAGE)
                yield low + index * PAGE, memory.read(PAGE)
