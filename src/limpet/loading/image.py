"""``Image``: a static x86-64 Linux ELF file as read, every field checked before it is used.

Sources: System V gABI chapters 4 and 5, the x86-64 psABI chapters 4 and 5, Linux
``fs/binfmt_elf.c``.  The file is hostile: nothing in it is trusted for a size or an offset.
"""

from __future__ import annotations

import enum
import hashlib
import io
import itertools
import os
import stat
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from limpet.errors import ImageError
from limpet.guests.solo5 import notes as solo5
from limpet.guests.solo5.notes import Solo5

PAGE = 4096
LOWEST_ADDRESS = 64 << 10
"""Linux's usual ``vm.mmap_min_addr``: nothing can be mapped below."""

HIGHEST_ADDRESS = 1 << 36
MAX_IMAGE = 1 << 30
"""Bytes of memory a program may take before it has run an instruction."""

MAX_FILE = 1 << 30
MAX_PROGRAM_HEADERS = 256
MAX_SYMBOLS = 1 << 20

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")

_PT_LOAD, _PT_INTERP, _PT_NOTE, _PT_PHDR, _PT_TLS = 1, 3, 4, 6, 7
_PT_GNU_STACK = 0x6474E551
_ET = {1: "a relocatable object (.o)", 2: "", 3: "", 4: "a core dump"}
_MACHINES = {
    3: "32-bit x86",
    8: "MIPS",
    20: "32-bit PowerPC",
    21: "PowerPC",
    22: "S/390",
    40: "32-bit Arm",
    50: "Itanium",
    183: "AArch64",
    243: "RISC-V",
    247: "eBPF",
    258: "LoongArch",
}
_OS_ABIS = {1: "HP-UX", 2: "NetBSD", 6: "Solaris", 9: "FreeBSD", 12: "OpenBSD"}
_STATIC_HINT = "link it statically, for example with: zig cc -target x86_64-linux-musl -static"


class Access(enum.Flag):
    """What may be done with memory."""

    READ = 4
    WRITE = 2
    EXECUTE = 1


@dataclass(frozen=True)
class Segment:
    """A loadable segment: ``data`` at ``address``, then zeros up to ``memory_size`` bytes."""

    address: int
    memory_size: int
    data: bytes
    access: Access

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.memory_size


@dataclass(frozen=True)
class Symbol:
    """A function."""

    address: int
    size: int
    name: str


@dataclass(frozen=True)
class Image:
    """A finished guest program.

    ``kind`` is ``"static"`` (fixed addresses), ``"static-pie"`` (relocates itself, placed by the
    plan), or a Solo5 target; ``phdr_address`` is where its program headers are in memory, if they
    are; ``data`` is the whole file, for the copy that a bundle keeps.
    """

    name: str
    digest: str
    kind: str
    entry: int
    phdr_address: int | None
    phnum: int
    phent: int
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]
    warnings: tuple[str, ...]
    solo5: Solo5 | None = None
    data: bytes = field(default=b"", repr=False, compare=False)

    def moved(self, base: int) -> Image:
        """This image with every address ``base`` higher."""
        return replace(
            self,
            entry=self.entry + base,
            phdr_address=None if self.phdr_address is None else self.phdr_address + base,
            segments=tuple(replace(each, address=each.address + base) for each in self.segments),
            symbols=tuple(replace(each, address=each.address + base) for each in self.symbols),
        )

    @property
    def executable(self) -> tuple[Segment, ...]:
        """The segments that hold code."""
        return tuple(each for each in self.segments if Access.EXECUTE in each.access)


@dataclass(frozen=True)
class _ProgramHeader:
    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


def read_file(path: Path) -> bytes:
    """The bytes of a regular file, or a clear error; never waits on a pipe or a device.

    Raises:
        ImageError: missing, unreadable, not a regular file or far too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file", hint="check the path") from None
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be read: {error.strerror}", hint="check its permissions"
        ) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ImageError(f"{path}: not a regular file", hint="give a program or a .c file")
    with os.fdopen(handle, "rb") as stream:
        if status.st_size > MAX_FILE:
            raise ImageError(f"{path}: {status.st_size} bytes is more than a guest can have")
        return stream.read()


def load_elf(path: Path) -> Image:
    """Read the ELF file at ``path``.

    Raises:
        ImageError: it is not a static x86-64 Linux program; names what is wrong and what to do.
    """
    return parse(read_file(path), str(path))


def parse(data: bytes, name: str) -> Image:
    """Read an ELF file from its bytes; ``name`` is what errors call it.

    Raises:
        ImageError: as :func:`load_elf`.
    """
    _identify(data, name)
    fields = _HEADER.unpack_from(data)
    kind, machine, entry, phoff = fields[1], fields[2], fields[4], fields[5]
    phent, phnum = fields[9], fields[10]
    _check_machine(name, data[7], kind, machine)
    headers = _program_headers(data, name, phoff, phent, phnum)
    notes = [each for each in headers if each.kind == _PT_NOTE]
    unikernel = solo5.read([data[n.offset : n.offset + n.file_size] for n in notes], name)
    if not unikernel:
        _refuse_dynamic(data, name, headers, entry)
    segments = _segments(data, name, headers, is_pie=kind == 3, with_tls=unikernel is not None)
    _check_entry(name, entry, segments)
    symbols, warnings = _symbols(data, name)
    if any(each.kind == _PT_GNU_STACK and each.flags & 1 for each in headers):
        warnings.append(f"{name} asks for an executable stack and does not get one")
    return Image(
        name=os.path.basename(name),
        digest=hashlib.sha256(data).hexdigest(),
        kind=unikernel.target if unikernel else "static-pie" if kind == 3 else "static",
        entry=entry,
        phdr_address=_phdr_address(headers, phoff, phnum * phent),
        phnum=phnum,
        phent=phent,
        segments=segments,
        symbols=tuple(each for each in symbols if segments[0].address <= each.address),
        warnings=tuple(warnings),
        solo5=unikernel,
        data=data,
    )


_MAGICS = (
    (b"#!", "a script", "run its interpreter as the guest and pack the script with --file"),
    (b"MZ", "a Windows program", _STATIC_HINT),
    (b"\xcf\xfa\xed\xfe", "a macOS program", _STATIC_HINT),
    (b"\xca\xfe\xba\xbe", "a macOS program or Java class", _STATIC_HINT),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"!<arch>", "a static library or Debian package", "unpack it, or link a program"),
    (b"PK\x03\x04", "a zip file", "unpack it first"),
)


def _identify(data: bytes, name: str) -> None:
    if not data:
        raise ImageError(f"{name}: the file is empty", hint="give a program or a .c file")
    for magic, what, hint in _MAGICS:
        if data.startswith(magic):
            raise ImageError(f"{name}: not an ELF file but {what}", hint=hint)
    if not data.startswith(b"\x7fELF"):
        raise ImageError(
            f"{name}: not an ELF file", hint="give a static Linux program or a .c file"
        )
    if len(data) < 20 or (data[4] == 2 and len(data) < _HEADER.size):
        raise ImageError(f"{name}: truncated in the ELF header", hint="copy or build it again")
    if data[5] != 1:
        raise ImageError(f"{name}: big-endian or damaged (EI_DATA {data[5]})", hint=_STATIC_HINT)
    if data[4] != 2:
        bits = "a 32-bit program" if data[4] == 1 else f"damaged (EI_CLASS {data[4]})"
        raise ImageError(f"{name}: {bits}; guests are 64-bit", hint=_STATIC_HINT)


def _check_machine(name: str, os_abi: int, kind: int, machine: int) -> None:
    if machine != 62:
        what = _MACHINES.get(machine, f"machine {machine}")
        raise ImageError(f"{name}: made for {what}, not x86-64", hint=_STATIC_HINT)
    if os_abi not in (0, 3):
        what = _OS_ABIS.get(os_abi, f"system {os_abi}")
        raise ImageError(f"{name}: made for {what}, not Linux", hint=_STATIC_HINT)
    if kind not in (2, 3):
        what = _ET.get(kind, f"of ELF type {kind}")
        raise ImageError(f"{name}: {what}, not a program", hint="link it into a program")


def _program_headers(
    data: bytes, name: str, phoff: int, phent: int, phnum: int
) -> list[_ProgramHeader]:
    if not phnum:
        raise ImageError(f"{name}: no program headers", hint="link it into a program")
    if phent != _PROGRAM_HEADER.size:
        raise ImageError(f"{name}: program headers of {phent} bytes, not 56", hint=_STATIC_HINT)
    if phnum > MAX_PROGRAM_HEADERS:
        raise ImageError(f"{name}: {phnum} program headers are absurd", hint="build it again")
    if phoff + phnum * phent > len(data):
        raise ImageError(f"{name}: truncated in the program headers", hint="copy or build it again")
    headers = []
    for index in range(phnum):
        kind, flags, offset, address, _, file_size, memory_size, _ = _PROGRAM_HEADER.unpack_from(
            data, phoff + index * phent
        )
        headers.append(_ProgramHeader(kind, flags, offset, address, file_size, memory_size))
    return headers


def _refuse_dynamic(data: bytes, name: str, headers: list[_ProgramHeader], entry: int) -> None:
    for each in headers:
        if each.kind == _PT_INTERP:
            raw = data[each.offset : each.offset + min(each.file_size, 256)]
            interpreter = raw.rstrip(b"\0").decode("utf-8", "replace")
            raise ImageError(
                f"{name}: dynamically linked (interpreter {interpreter})", hint=_STATIC_HINT
            )
    if not entry:
        raise ImageError(
            f"{name}: no entry point: a shared library?", hint="link it into a program"
        )


def _segments(
    data: bytes, name: str, headers: list[_ProgramHeader], *, is_pie: bool, with_tls: bool
) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for index, each in enumerate(headers):
        kinds = (_PT_LOAD, _PT_TLS) if with_tls else (_PT_LOAD,)
        if each.kind not in kinds or not each.memory_size:
            continue
        if each.kind == _PT_TLS and _is_loaded(each, headers):
            continue
        _check_segment(data, f"{name}: segment {index}", each, is_pie=is_pie)
        content = data[each.offset : each.offset + each.file_size]
        access = Access(each.flags & 7)
        segments.append(Segment(each.address, each.memory_size, content, access))
    if not segments:
        raise ImageError(f"{name}: nothing to load (no PT_LOAD)", hint="link it into a program")
    if sum(each.memory_size for each in segments) > MAX_IMAGE:
        raise ImageError(
            f"{name}: its segments take more than {MAX_IMAGE >> 20} MiB",
            hint="make its static arrays smaller",
        )
    segments.sort(key=lambda each: each.address)
    _check_neighbours(name, segments)
    return tuple(segments)


def _is_loaded(tls: _ProgramHeader, headers: list[_ProgramHeader]) -> bool:
    """Whether a TLS template is part of a PT_LOAD, or has no content: Solo5 0.8 loads it apart."""
    return not tls.file_size or any(
        each.address <= tls.address < each.address + each.memory_size
        for each in headers
        if each.kind == _PT_LOAD
    )


def _check_segment(data: bytes, what: str, each: _ProgramHeader, *, is_pie: bool) -> None:
    if each.file_size > each.memory_size:
        raise ImageError(
            f"{what} has more bytes in the file ({each.file_size}) than in memory "
            f"({each.memory_size})",
            hint="build it again",
        )
    if each.offset + each.file_size > len(data):
        raise ImageError(f"{what} is truncated", hint="copy or build it again")
    if each.address + each.memory_size >= 1 << 64:
        raise ImageError(
            f"{what} wraps around the end of memory ({each.address:#x})", hint="build it again"
        )
    if each.memory_size > MAX_IMAGE:
        raise ImageError(
            f"{what} takes {each.memory_size:#x} bytes, more than {MAX_IMAGE >> 20} MiB",
            hint="make its static arrays smaller",
        )
    low = 0 if is_pie else LOWEST_ADDRESS
    if each.address < low or each.address + each.memory_size > HIGHEST_ADDRESS:
        raise ImageError(
            f"{what} at {each.address:#x} lies outside {low:#x} to {HIGHEST_ADDRESS:#x}",
            hint="link it at an ordinary address",
        )
    if each.file_size and (each.address - each.offset) % PAGE:
        raise ImageError(
            f"{what} is not aligned: address {each.address:#x}, file offset {each.offset:#x}",
            hint="build it again",
        )
    if each.flags & 3 == 3:
        raise ImageError(
            f"{what} at {each.address:#x} is both writable and executable",
            hint="link it without -z execstack, -N or writable code",
        )


def _check_neighbours(name: str, segments: list[Segment]) -> None:
    for lower, upper in itertools.pairwise(segments):
        if upper.address < lower.end:
            raise ImageError(
                f"{name}: segments overlap at {upper.address:#x}", hint="build it again"
            )
        both = lower.access | upper.access
        shared = (lower.end - 1) // PAGE == upper.address // PAGE
        if shared and Access.WRITE in both and Access.EXECUTE in both:
            raise ImageError(
                f"{name}: the page at {upper.address // PAGE * PAGE:#x} is shared by writable "
                "and executable segments",
                hint="link it with -z separate-code",
            )


def _check_entry(name: str, entry: int, segments: tuple[Segment, ...]) -> None:
    for each in segments:
        if each.address <= entry < each.address + len(each.data):
            if Access.EXECUTE in each.access:
                return
            break
    raise ImageError(
        f"{name}: the entry point {entry:#x} is not in its code", hint="build it again"
    )


def _phdr_address(headers: list[_ProgramHeader], phoff: int, size: int) -> int | None:
    for each in headers:
        if each.kind == _PT_PHDR:
            return each.address
    for each in headers:
        inside = each.offset <= phoff and phoff + size <= each.offset + each.file_size
        if each.kind == _PT_LOAD and inside:
            return each.address + phoff - each.offset
    return None


def _symbols(data: bytes, name: str) -> tuple[list[Symbol], list[str]]:
    """Functions, sorted by address.  Only crash reports need them: damage is a warning."""
    found: dict[int, Symbol] = {}
    try:
        table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return [], []
        if table["sh_size"] > MAX_SYMBOLS * 24:
            return [], [f"{name}: its symbol table is too large and is left out"]
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC") and symbol["st_value"]:
                address, size = symbol["st_value"], symbol["st_size"]
                if address < HIGHEST_ADDRESS and symbol.name:
                    found.setdefault(address, Symbol(address, size, symbol.name[:200]))
    except Exception:  # whatever a damaged table makes the reader do
        return [], [f"{name}: its symbol table is damaged and is left out"]
    return [found[address] for address in sorted(found)], []
