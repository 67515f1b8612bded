"""``Image``: a finished x86-64 program as read, every field checked before it is used.

Sources: System V gABI chapters 4 and 5, the x86-64 psABI chapters 4 and 5, Linux
``fs/binfmt_elf.c``.  The file is hostile: nothing in it is trusted for a size or an offset.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.errors import ImageError
from limpet.formats import elf
from limpet.formats.dynamic import Dynamic, read_dynamic
from limpet.formats.elf import ProgramHeader
from limpet.formats.imports import read_imports
from limpet.formats.manifest import Device
from limpet.formats.symbols import HIGHEST_ADDRESS, Symbol, read_symbols

LOWEST_ADDRESS = 64 << 10
"""Linux's usual ``vm.mmap_min_addr``: nothing can be mapped below."""

MAX_IMAGE = 1 << 30
"""Bytes of memory a program may take before it has run an instruction."""

MAX_PROGRAM_HEADERS = 256

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
STATIC_HINT = "link it statically, for example with: zig cc -target x86_64-linux-musl -static"


class Access(enum.Flag):
    """What may be done with memory."""

    READ = 4
    WRITE = 2
    EXECUTE = 1


@dataclass(frozen=True)
class Segment:
    """A loadable segment: ``data`` at ``address``, then zeros up to ``memory_size`` bytes.

    ``offset`` is where the data is in the file.
    """

    address: int
    memory_size: int
    data: bytes
    access: Access
    offset: int = 0

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.memory_size


@dataclass(frozen=True)
class Image:
    """A finished guest program.

    ``kind`` is what its kind of guest calls it (``"static"`` and ``"static-pie"`` Linux programs,
    Solo5's targets), ``fixed`` says whether it lies where it was linked, ``phdr_address`` is where
    its program headers are in memory, if they are; ``devices`` are those that its own manifest
    declares; ``dynamic`` is what it says to its loader, ``interpreter`` where that is,
    ``imports`` the names of what it uses of other objects, by where their addresses will be;
    ``alignment`` is what its segments ask for, if it can lie anywhere; ``calls`` says whether its
    way to its monitor are system calls; ``data`` is the whole file,
    for the copy that a bundle keeps.
    """

    name: str
    digest: str
    kind: str
    fixed: bool
    entry: int
    phdr_address: int | None
    phnum: int
    phent: int
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]
    warnings: tuple[str, ...]
    devices: tuple[Device, ...] = ()
    dynamic: Dynamic | None = None
    interpreter: str | None = None
    imports: Mapping[int, str] = field(default_factory=dict, repr=False)
    alignment: int = PAGE
    calls: bool = True
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

    @cached_property
    def executable(self) -> tuple[Segment, ...]:
        """The segments that hold code."""
        return tuple(each for each in self.segments if Access.EXECUTE in each.access)


@dataclass(frozen=True)
class Program:
    """An x86-64 ELF program whose headers are sound, before its kind of guest is known."""

    name: str
    data: bytes
    header: elf.Header
    segments: tuple[ProgramHeader, ...]

    @property
    def position_independent(self) -> bool:
        """Whether it can lie anywhere."""
        return self.header.type == elf.ET_DYN

    def notes(self) -> list[bytes]:
        """The contents of its PT_NOTE segments."""
        found = (each for each in self.segments if each.kind == elf.PT_NOTE)
        return [self.data[each.offset : each.offset + each.file_size] for each in found]

    def interpreter(self) -> str | None:
        """What it wants to be loaded by, if it is dynamic."""
        for each in self.segments:
            if each.kind == elf.PT_INTERP:
                raw = self.data[each.offset : each.offset + min(each.file_size, 256)]
                return raw.rstrip(b"\0").decode("utf-8", "replace")
        return None


def read_program(data: bytes, name: str) -> Program:
    """Read the headers of an ELF program; ``name`` is what errors call it.

    Raises:
        ImageError: it is not an x86-64 ELF program; names what is wrong and what to do.
    """
    _identify(data, name)
    header = elf.Header.unpack(data)
    _check_machine(name, data[7], header.type, header.machine)
    return Program(name, data, header, _program_headers(data, name, header))


def read_image(
    program: Program,
    kind: str,
    devices: Sequence[Device] = (),
    *,
    own_tls: bool = False,
    loaded: bool = False,
    starts: bool = True,
) -> Image:
    """The image of ``program``, which its kind of guest calls ``kind``.

    Args:
        devices: those of its manifest.
        own_tls: load a PT_TLS segment that lies in no PT_LOAD.
        loaded: what it says to its loader is of interest.
        starts: it has to have an entry point; a shared object need not.

    Raises:
        ImageError: a segment is damaged, or cannot be loaded; names it and what to do.
    """
    name, header = program.name, program.header
    segments = _segments(program, own_tls=own_tls)
    if starts:
        _check_entry(name, header.entry, segments)
    symbols, warnings = read_symbols(program.data, name)
    stacks = (each for each in program.segments if each.kind == elf.PT_GNU_STACK)
    if any(each.flags & elf.PF_X for each in stacks):
        warnings.append(f"{name} asks for an executable stack and does not get one")
    return Image(
        name=os.path.basename(name),
        digest=hashlib.sha256(program.data).hexdigest(),
        kind=kind,
        fixed=not program.position_independent,
        entry=header.entry,
        phdr_address=_phdr_address(program),
        phnum=header.phnum,
        phent=header.phentsize,
        segments=segments,
        symbols=tuple(each for each in symbols if segments[0].address <= each.address),
        warnings=tuple(warnings),
        devices=tuple(devices),
        dynamic=read_dynamic(program.data, program.segments, name) if loaded else None,
        imports=read_imports(program.data, program.segments, name) if loaded else {},
        interpreter=program.interpreter() if loaded else None,
        alignment=_alignment(program),
        data=program.data,
    )


def _alignment(program: Program) -> int:
    """The largest power of two that a segment asks for, within reason."""
    asked = (each.alignment for each in program.segments if each.kind == elf.PT_LOAD)
    return max(PAGE, *(each for each in asked if each <= LARGE_PAGE and not each & (each - 1)), 0)


_MAGICS = (
    (b"#!", "a script", "run its interpreter as the guest and pack the script with --file"),
    (b"MZ", "a Windows program", STATIC_HINT),
    (b"\xcf\xfa\xed\xfe", "a macOS program", STATIC_HINT),
    (b"\xca\xfe\xba\xbe", "a macOS program or Java class", STATIC_HINT),
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
        hint = "give a Linux program, a script with a #! line, or a .c file"
        if name.endswith(".py"):
            hint = f"limpet run {name}, or build its interpreter with --file {name}:/{name}"
        raise ImageError(f"{name}: not an ELF file", hint=hint)
    if len(data) < 20 or (data[4] == 2 and len(data) < elf.HEADER_SIZE):
        raise ImageError(f"{name}: truncated in the ELF header", hint="copy or build it again")
    if data[5] != 1:
        raise ImageError(f"{name}: big-endian or damaged (EI_DATA {data[5]})", hint=STATIC_HINT)
    if data[4] != 2:
        bits = "a 32-bit program" if data[4] == 1 else f"damaged (EI_CLASS {data[4]})"
        raise ImageError(f"{name}: {bits}; guests are 64-bit", hint=STATIC_HINT)


def _check_machine(name: str, os_abi: int, kind: int, machine: int) -> None:
    if machine != elf.EM_X86_64:
        what = _MACHINES.get(machine, f"machine {machine}")
        raise ImageError(f"{name}: made for {what}, not x86-64", hint=STATIC_HINT)
    if os_abi not in (0, 3):
        what = _OS_ABIS.get(os_abi, f"system {os_abi}")
        raise ImageError(f"{name}: made for {what}, not Linux", hint=STATIC_HINT)
    if kind not in (elf.ET_EXEC, elf.ET_DYN):
        what = _ET.get(kind, f"of ELF type {kind}")
        raise ImageError(f"{name}: {what}, not a program", hint="link it into a program")


def _program_headers(data: bytes, name: str, header: elf.Header) -> tuple[ProgramHeader, ...]:
    size, count = header.phentsize, header.phnum
    if not count:
        raise ImageError(f"{name}: no program headers", hint="link it into a program")
    if size != elf.PROGRAM_SIZE:
        raise ImageError(
            f"{name}: program headers of {size} bytes, not {elf.PROGRAM_SIZE}", hint=STATIC_HINT
        )
    if count > MAX_PROGRAM_HEADERS:
        raise ImageError(
            f"{name}: {count} program headers, more than {MAX_PROGRAM_HEADERS}",
            hint="build it again",
        )
    if header.phoff + count * size > len(data):
        raise ImageError(f"{name}: truncated in the program headers", hint="copy or build it again")
    places = (header.phoff + index * size for index in range(count))
    return tuple(ProgramHeader.unpack(data, at) for at in places)


def _segments(program: Program, *, own_tls: bool) -> tuple[Segment, ...]:
    name, data, headers = program.name, program.data, program.segments
    kinds = (elf.PT_LOAD, elf.PT_TLS) if own_tls else (elf.PT_LOAD,)
    segments: list[Segment] = []
    for index, each in enumerate(headers):
        if each.kind not in kinds or not each.memory_size:
            continue
        if each.kind == elf.PT_TLS and _is_loaded(each, headers):
            continue
        _check_segment(program, f"{name}: segment {index}", each)
        content = data[each.offset : each.offset + each.file_size]
        access = Access(each.flags & 7)
        segments.append(Segment(each.address, each.memory_size, content, access, each.offset))
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


def _is_loaded(tls: ProgramHeader, headers: Sequence[ProgramHeader]) -> bool:
    """Whether a TLS template is part of a PT_LOAD, or has no content: Solo5 0.8 loads it apart."""
    return not tls.file_size or any(
        each.address <= tls.address < each.address + each.memory_size
        for each in headers
        if each.kind == elf.PT_LOAD
    )


def _check_segment(program: Program, what: str, each: ProgramHeader) -> None:
    if each.file_size > each.memory_size:
        raise ImageError(
            f"{what} has more bytes in the file ({each.file_size}) than in memory "
            f"({each.memory_size})",
            hint="build it again",
        )
    if each.offset + each.file_size > len(program.data):
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
    low = 0 if program.position_independent else LOWEST_ADDRESS
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


def _phdr_address(program: Program) -> int | None:
    header = program.header
    for each in program.segments:
        if each.kind == elf.PT_PHDR:
            return each.address
    first, end = header.phoff, header.phoff + header.phnum * header.phentsize
    for each in program.segments:
        inside = each.offset <= first and end <= each.offset + each.file_size
        if each.kind == elf.PT_LOAD and inside:
            return each.address + first - each.offset
    return None
