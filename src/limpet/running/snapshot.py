"""``snapshot``: run a guest until it stops, and make a bundle that goes on from there.

The guest's process is traced only for its end, where the kernel stops it with its memory still
there (ptrace(2), ``PTRACE_O_TRACEEXIT``).  What that memory holds is the guest's: nothing in it is
trusted for more than a guest is trusted when it runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeVar

from limpet.building.bundle import Bundle, build
from limpet.contract.limits import SIGNAL_STATUS
from limpet.errors import PlanError, RunError
from limpet.formats.image import Access
from limpet.formats.manifest import declared
from limpet.formats.memory import Memory
from limpet.formats.ports import anywhere
from limpet.guests import registry
from limpet.planning.options import Options
from limpet.planning.plan import Plan
from limpet.running.heeding import heeding
from limpet.running.learned import Learned, Looks, can_wait, with_idle
from limpet.running.pages import present
from limpet.running.sealed import hidden, loaded_objects, sealed
from limpet.tools.ends import check_told

MOMENT = "snapshot_moment"
"""The library OS's symbol whose first word says that it has stopped, and why (parts/snapshot)."""

MARKER = "/dev/limpet/snapshot"
"""What a guest writes to when it is at its moment; the file is there while a snapshot is taken."""

Why = Literal["input", "marker", "time"]
_WHY: Final[dict[int, Why]] = {1: "input", 2: "marker", 3: "time"}
"""By the number that the guest has for it: ``enum moment``."""

_CONT, _DETACH, _SETOPTIONS, _GETEVENTMSG = 7, 17, 0x4200, 0x4201
_SYSCALL, _SYSGOOD, _TRACEFORK, _TRACEEXIT, _EXITKILL = 24, 0x1, 0x2, 0x40, 0x100000
_EVENT_FORK, _EVENT_EXIT, _CALL = 1, 6, 0x80

_LEARNING = 10.0
"""Seconds after which a start from which hot pages are learned is ended."""


@dataclass(frozen=True)
class Snapshot:
    """A bundle whose guest goes on, what it had written when it stopped, and why it did.

    ``why`` is ``"input"`` where it waited for its standard input, ``"marker"`` where it wrote to
    :data:`MARKER`, and ``"time"`` where its time had come (``after`` of the options).
    """

    bundle: Bundle
    stdout: bytes
    stderr: bytes
    why: Why


@dataclass(frozen=True)
class Ended:
    """A guest that ended before it stopped, or was ended since it was ``late``; what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes
    late: bool = False


def snapshot(plan: Plan, arguments: Sequence[str] = (), *, name: str = "") -> Snapshot:
    """Run the guest of ``plan`` until it stops, and make the bundle that goes on from there.

    Args:
        plan: of a Linux program; of both backends the one that this host offers is run, and its
            bundle goes on on either.
        arguments: what the guest finds behind its own name.
        name: what it finds as its own name; by default the program's.

    Raises:
        RunError: it cannot be started, or ends before it stops.
        PlanError: what it had in memory does not fit.
        ToolchainError: the pinned toolchain is missing or broken.
    """
    found = attempt(plan, arguments, name=name)
    if isinstance(found, Snapshot):
        return found
    words = found.stderr or found.stdout  # PHP's errors are there
    said = "; ".join(words.decode(errors="replace").split("\n")).strip("; ")
    raise RunError(
        f"{plan.image.name}: it ended with status {found.status} before it waited for its standard "
        f"input or wrote to {MARKER}{': ' if said else ''}{said[-400:]}",
        hint="give it arguments with which it does",
    )


def attempt(
    plan: Plan,
    arguments: Sequence[str] = (),
    *,
    name: str = "",
    rehearsed: Sequence[str] = (),
    seconds: float = threading.TIMEOUT_MAX,
) -> Snapshot | Ended:
    """The same where it is no error that it ends before.

    Args:
        rehearsed: what a start from there may have behind its own name, for what is learned.
        seconds: after which it is ended where it has not stopped.

    Raises:
        RunError: it cannot be started.
        PlanError: what it had in memory does not fit.
        ToolchainError: the pinned toolchain is missing or broken.
    """
    options = replace(plan.options, snapshot=True)
    taking = _taking(options)
    taking = replace(taking, words=()) if rehearsed else taking
    unlimited = replace(taking, timeout=0, max_output=0, words=())
    first = build(plan if plan.options == unlimited else registry.plan(plan.guest, unlimited))
    began, words = time.monotonic(), [name or plan.image.name, *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        found = _run(first, words, out, err, _at_moment, seconds)
        written = _whole(out), _whole(err)
    if isinstance(found, int):
        return Ended(found, *written, late=time.monotonic() - began >= seconds)
    plan = first.plan  # whose guest has what is known of it already
    guest = plan.guest
    del first
    learning = build(registry.plan(replace(guest, memory=found.memory), taking))
    _check_room(plan, learning.plan)
    learned = _learned(learning, [name or plan.image.name, *rehearsed])
    memory = replace(found.memory, hot=learned.hot)
    if taking == options and not memory.hot:
        return Snapshot(learning, *written, found.why)
    idle = with_idle(memory, learning.plan, learned.idle)
    goes_on = registry.plan(replace(guest, memory=idle), options)
    if not can_wait(idle, goes_on):
        goes_on = registry.plan(replace(guest, memory=memory), options)
    del learning
    made = build(goes_on)
    _check_room(plan, made.plan)
    return Snapshot(made, *written, found.why)


def _check_room(first: Plan, made: Plan) -> None:
    """What stands beside the guest is where it was, and what the guest has of it in memory.

    Raises:
        PlanError: it took another room than before.
    """
    own = {each.name: each.address for each in first.regions if each.content is None}
    now = {each.name: each.address for each in made.regions}
    if any(now.get(name) != address for name, address in own.items()):
        raise PlanError(
            f"{first.image.name}: what stands beside it in a snapshot takes another room than in "
            "the start that it was taken of",
            hint="take it with --serve all: then both are as large as they can be",
        )


def _taking(options: Options) -> Options:
    """For starts by which only memory is learned: the host's own ports are for others."""
    return replace(options, publish=tuple(map(anywhere, options.publish)))


def _learned(bundle: Bundle, argv: Sequence[str]) -> Learned:
    """What a start shows that has nothing to read, until it ends or is late."""
    looks = Looks(rehearsed=len(argv) > 1)
    steps = "process" in bundle.plan.options.backends

    def look(process: _Process, bundle: Bundle) -> bool | None:
        return looks.look(process.pagemap, bundle)

    with open(os.devnull, "r+b", buffering=0) as nowhere:
        _run(bundle, argv, nowhere, nowhere, look, _LEARNING, steps=steps)
    return looks.learned()


@dataclass(frozen=True)
class _Stopped:
    """A guest that has stopped: its memory, and why it did."""

    memory: Memory
    why: Why


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


Seen = TypeVar("Seen")


@dataclass(frozen=True)
class _Process:
    """What the kernel shows of a process: proc(5)."""

    memory: BinaryIO
    pagemap: BinaryIO
    maps: BinaryIO


_Look = Callable[[_Process, Bundle], Seen | None]
"""What an end shows of the process and its bundle."""


def _run(
    bundle: Bundle,
    argv: Sequence[str],
    out: BinaryIO,
    err: BinaryIO,
    look: _Look[Seen],
    seconds: float = threading.TIMEOUT_MAX,
    *,
    steps: bool = False,
) -> Seen | int:
    """What the end of a start shows, or its status where that is nothing.

    Args:
        steps: its calls of the host may show it before.
    """
    with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
        path = Path(folder) / "bundle"
        bundle.write(path)
        reports = bundle.plan.options.asks("report")
        words = [f"--report={path.with_name('report')}"] if reports else []
        command = _command(path, [argv[0], *words, *_folders(bundle, path), *argv[1:]])
        check_told(RunError, argv[0])
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        # Not by its method, which asks first how it is, and would take a stop that is ours to see.
        late = threading.Timer(seconds, os.kill, (process.pid, signal.SIGKILL))
        try:
            late.start()
            with heeding():
                return _at_end(process.pid, bundle, look, beside=reports, steps=steps)
        finally:
            late.cancel()
            process.kill()
            process.wait()


def _folders(bundle: Bundle, beside: Path) -> list[str]:
    """The words that attach an empty folder in the place of each of the host's.

    The guest may look into none before its moment (parts/volumes).
    """
    empty = beside.with_name("empty")
    empty.mkdir(0o755)
    found = [f"--volume:{each.name}={empty}" for each in declared(bundle.plan.options.devices)]
    return [*found, "--"] if found else []


_TRACED = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.prctl(1, 9)  # PR_SET_PDEATHSIG, until it is traced
libc.ptrace(0, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[2:])
"""
"""Asks to be traced and becomes the bundle.  A process of its own: this one may have threads."""


def _command(path: Path, argv: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", _TRACED, str(path), *argv]


def _at_end(
    pid: int, bundle: Bundle, look: _Look[Seen], *, beside: bool, steps: bool
) -> Seen | int:
    """What it shows of a process that is traced, or of its child, if it stands ``beside`` that."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):  # as it becomes the bundle
        return os.waitstatus_to_exitcode(status)
    followed = _TRACEFORK if beside else 0
    if ptrace(_SETOPTIONS, pid, None, _SYSGOOD | _TRACEEXIT | _EXITKILL | followed):
        raise RunError(
            f"this host lets no process be traced: {os.strerror(ctypes.get_errno())}",
            hint="allow ptrace (kernel.yama.ptrace_scope) where snapshots are taken",
        )
    if beside:
        guest = _child_of(pid, ptrace)
        if guest is None:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        pid = guest
    # Before the monitor forbids it: what is open stays open.
    at = f"/proc/{pid}"
    with (
        open(f"{at}/mem", "rb", 0) as memory,
        open(f"{at}/pagemap", "rb", 0) as pagemap,
        open(f"{at}/maps", "rb", 0) as maps,
    ):
        seen, passed = _Process(memory, pagemap, maps), 0
        while True:
            ptrace(_SYSCALL if steps else _CONT, pid, None, passed)
            _, status = os.waitpid(pid, 0)
            if not os.WIFSTOPPED(status):
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else SIGNAL_STATUS - code
            calls = os.WSTOPSIG(status) == signal.SIGTRAP | _CALL
            found = look(seen, bundle) if status >> 16 == _EVENT_EXIT or calls else None
            if found is not None:
                ptrace(_DETACH, pid, None, 0)  # it is ending: no signal would let it go on
                return found
            passed = 0 if status >> 16 or calls else os.WSTOPSIG(status)
            passed = 0 if passed == signal.SIGTRAP else passed


def _child_of(pid: int, ptrace: Callable[..., int]) -> int | None:
    """The first child of a process that is traced, stopped; the process is left to itself."""
    child, event = ctypes.c_ulong(), 0
    while event not in {_EVENT_FORK, _EVENT_EXIT}:
        ptrace(_CONT, pid, None, 0)
        event = os.waitpid(pid, 0)[1] >> 16
    if event == _EVENT_FORK:
        ptrace(_GETEVENTMSG, pid, None, ctypes.addressof(child))
        os.waitpid(child.value, 0)
    ptrace(_DETACH, pid, None, 0)
    return child.value or None


def _at_moment(process: _Process, bundle: Bundle) -> _Stopped | None:
    why = _why(process.memory, bundle)
    if not why:
        return None
    memory = _read(process.memory, process.pagemap, bundle)
    loaded = loaded_objects(process.maps, bundle)
    kept = sealed(process.memory, process.maps, bundle, loaded)
    away = hidden(process.memory, bundle, loaded, kept)
    return _Stopped(replace(memory, loaded=loaded, sealed=kept, hidden=away), why)


def _why(memory: BinaryIO, bundle: Bundle) -> Why | None:
    """Why the guest has stopped; nothing for one that only ends."""
    memory.seek(bundle.symbols[MOMENT])
    return _WHY.get(int.from_bytes(memory.read(8), "little"))


def _read(memory: BinaryIO, map_: BinaryIO, bundle: Bundle) -> Memory:
    pages = []
    for region in sorted(bundle.plan.regions, key=lambda region: region.address):
        if Access.WRITE in region.access:
            pages += list(present(memory, map_, region))
    return Memory.of_pages(pages)
