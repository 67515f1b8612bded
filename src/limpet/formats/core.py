"""The writer of core files: ELF files of a machine at its end, as gdb opens them.

Layouts are those of Linux on x86-64 (``uapi/linux/elfcore.h``, ``asm/elf.h``, ``asm/user_64.h``).
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_HEADER, _PROGRAM_HEADER = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_CORE, _X86_64, _LOAD, _NOTE = 4, 62, 1, 4
_STATUS, _VECTORS, _PROCESS, _AUXILIARY = 1, 2, 3, 6  # NT_PRSTATUS, PRFPREG, PRPSINFO, AUXV
_EXTENDED = 0x202  # NT_X86_XSTATE
_FXSAVE_SIZE, _AVX_SIZE, _STATES_AT, _HEADER_SIZE = 512, 832, 512, 64
_ENABLED_AT, _AVX_STATES = 464, 7
SEGMENTS_MOST = 60000
"""A header counts them with 16 bits."""

_ORDER = """
    r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss
    fs_base gs_base ds es fs gs
"""
ORDER = tuple(_ORDER.split())
"""The registers of a core file: struct user_regs_struct."""


@dataclass(frozen=True)
class Run:
    """Memory that lies together: addresses, rights (1 execute, 2 write, 4 read), and its bytes.

    ``pieces`` has the bytes by their offset in the run; between them are zeros.
    """

    low: int
    high: int
    rights: int
    pieces: Iterable[tuple[int, bytes]]


@dataclass(frozen=True)
class Thread:
    """What a core file says of a thread.

    ``vectors`` is the area that XSAVE or FXSAVE writes; nothing where it is not known.
    """

    number: int
    registers: Mapping[str, int]
    vectors: bytes = b""


@dataclass(frozen=True)
class Core:
    """What a core file says: of threads, that which crashed first, and of memory in ascending
    order."""

    name: str
    pid: int
    signal: int
    threads: Sequence[Thread]
    auxiliary: Sequence[tuple[int, int]]
    runs: Sequence[Run]


class TooLargeError(Exception):
    """It would have more than is allowed."""


def write(core: Core, folder: int, name: str, most: int) -> None:
    """Write ``core`` as ``name`` in an open folder: whole, or not at all.

    It is a new file, and no link is followed.

    Args:
        folder: descriptor of the folder.
        most: bytes that the file may take, holes not counted.

    Raises:
        OSError: it cannot be written, or there is one of that name.
        TooLargeError: it would have more.
    """
    fresh = f".{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(fresh, flags, 0o600, dir_fd=folder)
    try:
        try:
            _fill(core, handle, most)
        finally:
            os.close(handle)
        os.link(fresh, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    finally:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=folder)


def _fill(core: Core, handle: int, most: int) -> None:
    if len(core.runs) > SEGMENTS_MOST:
        raise TooLargeError
    notes = b"".join(_notes(core))
    at = _HEADER.size + _PROGRAM_HEADER.size * (len(core.runs) + 1)
    headers = [_PROGRAM_HEADER.pack(_NOTE, 0, at, 0, 0, len(notes), 0, 4)]
    offset = at + len(notes) + 4095 & ~4095
    left = most - offset
    for run in core.runs:
        size = run.high - run.low
        rights = run.rights
        headers.append(_PROGRAM_HEADER.pack(_LOAD, rights, offset, run.low, 0, size, size, 4096))
        for inner, data in run.pieces:
            left -= len(data)
            if left < 0:
                raise TooLargeError
            _write_all(handle, data, offset + inner)
        offset += size
    os.ftruncate(handle, offset)
    _write_all(handle, _header(len(headers)) + b"".join(headers) + notes, 0)


def _write_all(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, offset)
        view, offset = view[done:], offset + done


def _header(count: int) -> bytes:
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    sizes = _HEADER.size, _PROGRAM_HEADER.size, count, 0, 0, 0
    return _HEADER.pack(ident, _CORE, _X86_64, 1, 0, _HEADER.size, 0, 0, *sizes)


def _notes(core: Core) -> Iterator[bytes]:
    for index, each in enumerate(core.threads):
        yield _status(core, each)
        if not index:
            yield from _of_process(core)
        yield from _vectors(each.vectors)


def _status(core: Core, thread: Thread) -> bytes:
    values = [thread.registers.get(each, 0) for each in ORDER]
    ids = thread.number, 0, core.pid, core.pid
    status = struct.pack("<3ih2xQQ4i64x", core.signal, 0, 0, core.signal, 0, 0, *ids)
    return _note(_STATUS, status + struct.pack("<27Qi4x", *values, bool(thread.vectors)))


def _of_process(core: Core) -> Iterator[bytes]:
    name, ids = os.fsencode(core.name), (core.pid, 0, core.pid, core.pid)
    process = struct.pack("<4b4xQII4i16s80s", 0, 0, 0, 0, 0, 0, 0, *ids, name[:15], name[:79])
    yield _note(_PROCESS, process)
    if core.auxiliary:
        yield _note(_AUXILIARY, b"".join(struct.pack("<QQ", *each) for each in core.auxiliary))


def _vectors(area: bytes) -> Iterator[bytes]:
    """The registers of SSE, and those of AVX where there are some, which every layout of XSAVE has
    at the same place; what lies behind them is left out."""
    if len(area) < _FXSAVE_SIZE:
        return
    yield _note(_VECTORS, area[:_FXSAVE_SIZE])
    if len(area) < _AVX_SIZE:
        return
    states = int.from_bytes(area[_STATES_AT : _STATES_AT + 8], "little") & _AVX_STATES
    header = struct.pack("<Q", states).ljust(_HEADER_SIZE, b"\0")
    enabled = struct.pack("<Q", _AVX_STATES)
    known = area[:_ENABLED_AT] + enabled + area[_ENABLED_AT + 8 : _STATES_AT] + header
    yield _note(_EXTENDED, known + area[len(known) : _AVX_SIZE], b"LINUX")


def _note(kind: int, data: bytes, owner: bytes = b"CORE") -> bytes:
    head = struct.pack("<III8s", len(owner) + 1, len(data), kind, owner)
    return head + data + bytes(-len(data) % 4)
