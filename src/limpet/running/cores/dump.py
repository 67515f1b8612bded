"""``--dumpcore=DIR``: a guest that crashed leaves a core file."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.contract.limits import SIGNAL_STATUS, STATUS_REFUSED
from limpet.contract.pages import PAGE, align_up
from limpet.contract.structures import GUEST_INFO
from limpet.errors import LimpetError, RunError
from limpet.formats.bundle.part import Part
from limpet.formats.bundle.read import BundleFile, parse
from limpet.formats.core import Core, Thread, TooLargeError, write
from limpet.guests.inside import Inside
from limpet.running.cores import machine, ptrace, watch
from limpet.running.debugging.memory import Memory
from limpet.running.debugging.process import ProcessMachine
from limpet.running.debugging.rewritten import Rewritten
from limpet.running.debugging.threads import ONLY, Threads
from limpet.running.debugging.virtual import VirtualMachine

MOST = 16 << 30
"""Bytes that a core file takes on the disk at most."""

ABORTED = 255
"""The status with which Solo5's guests abort."""

_GENERAL = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8"),
    *("rax", "rcx", "rdx", "rsi", "rdi", "rip", "rsp", "eflags"),
)
"""struct regs of the library OS."""

_AUXILIARY = {"phdr": 3, "phent": 4, "phnum": 5, "loader": 7, "entry": 9}
_PAGE_SIZE = 6, 4096
_HIGHEST = 1 << 46


@dataclass(frozen=True)
class Known:
    """What there is to know of a bundle.

    ``inside`` tells what is beside its guest, and is asked where that has crashed; ``vectors`` how
    many bytes of vector registers its filter lets KVM be asked for.
    """

    inside: Callable[[BundleFile], Inside]
    vectors: Callable[[BundleFile], int]


def folder(path: Path) -> int:
    """A descriptor of the folder at ``path``, where files can be made.

    Raises:
        RunError: there is none.
    """
    try:
        found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RunError(
            f"--dumpcore={path}: cannot open dir: {error.strerror}", hint="give a folder"
        ) from None
    if not os.access(path, os.W_OK):
        raise RunError(f"--dumpcore={path}: dir not writable", hint="give another folder")
    return found


def run(
    path: Path,
    argv: Sequence[str],
    where: Path,
    name: str,
    known: Known,
    said: Callable[[str], None],
) -> int:
    """Run the bundle at ``path``; where its guest crashes, its core is ``name.PID`` in ``where``.

    Args:
        argv: the name of the bundle, and the words of its command line.
        said: is told in a line what became of a core.

    Returns:
        Its exit status, 128 + N for signal N.

    Raises:
        RunError: it cannot be started, or there is no such folder.
        HostError: this host does not let a process look into its child.
    """
    opened = folder(where)
    bundle = parse(path.read_bytes(), path.name)

    def beside() -> Inside | None:
        try:
            return known.inside(bundle) if auxiliary(bundle) else None
        except LimpetError as error:
            said(f"dumpcore: of one thread only: {error}")
            return None

    def ended(one: watch.Watched, status: int, registers: dict[str, int]) -> None:
        file = f"{name}.{one.pid}"
        try:
            core = _core(one, status, registers, bundle, beside)
            if core is None:
                return
            write(core, opened, file, MOST)
        except struct.error:
            said(f"dumpcore: {where}/{file} cannot be written: the guest's state is not there")
        except OSError as error:
            said(f"dumpcore: {where}/{file} cannot be written: {error.strerror}")
        except TooLargeError:
            said(f"dumpcore: {where}/{file} would be larger than {MOST >> 30} GiB")
        else:
            said(f"dumpcore: dumped guest core to: {where}/{file}")

    try:
        return watch.run(path, argv, ended, vectors=known.vectors(bundle))
    finally:
        os.close(opened)


def _core(
    one: watch.Watched,
    status: int,
    registers: dict[str, int],
    bundle: BundleFile,
    beside: Callable[[], Inside | None],
) -> Core | None:
    """The core of a guest that crashed; ``None``: it has not."""
    killed, code = status & 0x7F, status >> 8 & 0xFF
    own, tables = machine.registers_on_kvm(one.memory) if one.kvm else (registers, 0)
    told = _told(one, registers) if not killed else None
    vectors, number = one.vectors, killed
    if told:
        own, number = {**own, **told}, code - SIGNAL_STATUS
    elif one.fault and killed == one.fault.number and not one.kvm:
        own, vectors = one.fault.registers, one.fault.vectors
    elif not _crashed(one, killed, code, bundle):
        return None
    if not one.kvm and not vectors:
        vectors = ptrace.registers_set(one.pid, ptrace.EXTENDED, ptrace.VECTORS_MOST)
    if one.fault and told and number == one.fault.number and not one.kvm:
        vectors = one.fault.vectors
    first = ONLY if auxiliary(bundle) else one.pid
    maps = machine.mappings(one.maps)
    places = machine.of_tables(one.memory, tables, maps) if one.kvm else machine.of_process(maps)
    return Core(
        name=bundle.record.guest.name,
        pid=one.pid,
        signal=number or 6,
        threads=_threads(one, Thread(first, own, vectors), beside()),
        auxiliary=auxiliary(bundle),
        runs=machine.runs(one.memory, one.pages, maps, places),
    )


def _threads(one: watch.Watched, first: Thread, inside: Inside | None) -> list[Thread]:
    """All of the guest's, ``first`` the one that crashed, with the numbers that a Linux program
    knows them by: with others a debugger does not find what the C library says of a thread."""
    library = inside.library if inside else None
    if not library:
        return [first]
    memory, rewritten = Memory(one.pid, one.memory), Rewritten(library.windows)
    guest = (
        VirtualMachine(one.pid, memory, vectors=0)
        if one.kvm
        else ProcessMachine(one.pid, memory, own_signals=True)
    )
    threads = Threads(guest, library, rewritten)
    current = threads.current()
    others = [each.number for each in threads.all() if each.number != current]
    shown = {**first.registers, "rip": rewritten.shown(first.registers["rip"])}
    found = [Thread(current, shown, first.vectors)]
    for each in others:
        area = threads.saved_vectors(each, first.vectors)
        found.append(Thread(each, threads.registers(each), area or b""))
    return found


def _crashed(one: watch.Watched, killed: int, code: int, bundle: BundleFile) -> bool:
    """Whether it ended as no program ends by itself.

    A unikernel aborts with a status of its own; a monitor says with one that it refuses its guest,
    unless that was the guest's own choice, by the hypercall for it.
    """
    if killed:
        return killed == signal.SIGSYS
    if not auxiliary(bundle):
        return code == ABORTED
    return code == STATUS_REFUSED and one.kvm and not machine.ended_by_hypercall(one.memory)


def _told(one: watch.Watched, registers: dict[str, int]) -> dict[str, int] | None:
    """The program's registers, where the library OS told of a crash."""
    if not 0 < registers["rsi"] < _HIGHEST:
        return None
    try:
        data = os.pread(one.memory, 8 * len(_GENERAL), registers["rsi"])
        return dict(zip(_GENERAL, struct.unpack(f"<{len(_GENERAL)}Q", data), strict=True))
    except (OSError, struct.error):
        return None


def auxiliary(bundle: BundleFile) -> list[tuple[int, int]]:
    """Where a Linux program was loaded, so that a debugger finds its symbols there."""
    try:
        known = next(each for each in bundle.record.parts if "constants" in each.name.split("+"))
    except (LimpetError, StopIteration):
        return []
    part = bundle.part_at(known.address)
    values = _guest_info(bundle, part) if part else {}
    if not values:
        return []
    return [_PAGE_SIZE, *((kind, values[name]) for name, kind in _AUXILIARY.items()), (0, 0)]


def _guest_info(bundle: BundleFile, part: Part) -> dict[str, int]:
    """It begins the piece, or lies right behind the program and says where that ends."""
    first = part.name.startswith("constants")
    names = [each.name for each in GUEST_INFO.fields]
    for at in range(part.offset, part.offset + part.size - GUEST_INFO.size + 1, PAGE):
        values = dict(
            zip(names, struct.unpack_from(GUEST_INFO.format, bundle.data, at), strict=True)
        )
        if first or align_up(values["image_hi"], PAGE) == part.address + at - part.offset:
            return values
    return {}
