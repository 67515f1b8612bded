"""C that runs below an operating system: compiled with the contract's headers, linked, read."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from limpet import contract
from limpet.errors import BuildError
from limpet.formats import elf
from limpet.formats.tree import layout as tree
from limpet.sources import C_ROOT, GUEST_INCLUDES, GUEST_ROOT, MONITOR_INCLUDES
from limpet.tools import toolchain
from limpet.tools.cache import Cache

_SYMBOL = struct.Struct("<IBBHQQ")
"""A symbol: where its name is, its kind, whom it is for, its section, its value and its size."""

_UNLINKED = (".eh_frame",)
"""What the compiler gives with the code and the linker's scripts throw away."""


@dataclass(frozen=True)
class Sizes:
    """Bytes that compiled objects take at most, wherever the linker puts them."""

    text: int = 0
    rodata: int = 0
    data: int = 0  # what starts as zeros too


@dataclass(frozen=True)
class Linked:
    """What a link gave: the bytes of its sections, and every symbol's address."""

    sections: Mapping[str, bytes]
    symbols: Mapping[str, int]

    def expect(self, name: str, address: int) -> None:
        """Hold a symbol to the address that the plan counts on.

        Raises:
            BuildError: it is elsewhere, which is a fault of Limpet.
        """
        if self.symbols.get(name) != address:
            raise BuildError(f"{name} is not where the plan counts on it", hint="report this")


def write_headers(folder: Path) -> None:
    """Write the generated headers that C of both sides includes into ``folder``."""
    (folder / "contract.h").write_text(contract.c_header(), encoding="utf-8")
    (folder / "tree_format.h").write_text(tree.c_header(), encoding="utf-8")


def read_linked(path: Path) -> Linked:
    """Read what the linker wrote to ``path``."""
    data = path.read_bytes()
    rows = list(sections_of(data))
    sections = {
        name: data[row.offset : row.offset + row.size]
        for name, row in rows
        if row.flags & elf.SHF_ALLOC and row.kind == elf.SHT_PROGBITS
    }
    table = next(row for name, row in rows if name == ".symtab")
    strings, symbols = rows[table.link][1].offset, {}
    for name, _, _, _, value, _ in _SYMBOL.iter_unpack(data[table.offset :][: table.size]):
        at = strings + name
        symbols[data[at : data.index(b"\0", at)].decode("ascii")] = value
    return Linked(sections, symbols)


def sizes_of(objects: Iterable[Path], alignment: int = 1) -> Sizes:
    """How large ``objects`` can be when they are linked: each section, and what aligns it.

    Args:
        alignment: what each is taken to ask for at least.
    """
    found: Counter[str] = Counter()
    for path in objects:
        for name, section in sections_of(path.read_bytes()):
            if not section.flags & elf.SHF_ALLOC or name in _UNLINKED:
                continue
            kind = "data" if section.flags & elf.SHF_WRITE else "rodata"
            kind = "text" if section.flags & elf.SHF_EXECINSTR else kind
            found[kind] += section.size + max(section.alignment, alignment) - 1
    return Sizes(**found)


def sections_of(data: bytes) -> Iterator[tuple[str, elf.SectionHeader]]:
    """The sections of a file that our compiler or linker made, with their names."""
    header = elf.Header.unpack(data)
    table = range(header.shoff, header.shoff + header.shnum * elf.SECTION_SIZE, elf.SECTION_SIZE)
    rows = [elf.SectionHeader.unpack(data, at) for at in table]
    names = rows[header.shstrndx].offset
    for row in rows:
        at = names + row.name
        yield data[at : data.index(b"\0", at)].decode("ascii"), row


@once
def guest_digest() -> str:
    """A digest of all that the guest side's own C is compiled from."""
    state = hashlib.sha256(toolchain.version().encode())
    state.update(" ".join(toolchain.FREESTANDING).encode())
    state.update((contract.c_header() + tree.c_header()).encode())
    for root in (GUEST_ROOT, C_ROOT / "contract", C_ROOT / "hypercalls"):
        for path in sorted(root.rglob("*.[chS]")):
            state.update(f"{path.relative_to(C_ROOT)}\0".encode() + path.read_bytes())
    return state.hexdigest()


def ring_0_stubs(trap_frame: int, trap_entry: int, cache: Cache) -> bytes:
    """The code of ring 0: fault stubs that store what happened and return to ring 3.

    Args:
        trap_frame: where they store it.
        trap_entry: where they return to.
    """

    def make(folder: Path) -> None:
        write_headers(folder)
        source = GUEST_ROOT / "x86_64" / "stubs.S"
        toolchain.compile_object(source, folder / "stubs.o", flags=[], include=folder)

    with cache.folder(f"stubs-{guest_digest()}", make) as folder:
        data = (folder / "stubs.o").read_bytes()
    row = next(row for name, row in sections_of(data) if name == ".text.stubs")
    code = data[row.offset : row.offset + row.size]
    return code[:-16] + trap_frame.to_bytes(8, "little") + trap_entry.to_bytes(8, "little")


_RING0_SCRIPT = """\
SECTIONS {{
  . = {at:#x};
  .text : {{
    KEEP(*(.text.gate)) *(.text.[a-y]*)
    . = {plan:#x};
    KEEP(*(.text.zplan))
  }}
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
}}
"""


def ring_0_arranging(at: int, plan: int, cache: Cache) -> bytes:
    """The code of ring 0 that arranges a guest's memory, wherever its page lies: c/guest/ring0.

    Args:
        at: where it starts in the page.
        plan: where in the page the addresses are that it asks for, behind it.
    """
    text = _RING0_SCRIPT.format(at=at, plan=plan)

    def make(folder: Path) -> None:
        write_headers(folder)
        objects = []
        for source in sorted((GUEST_ROOT / "ring0").glob("*.[cS]")):
            objects.append(folder / f"{source.stem}.o")
            flags = ("-O2", *GUEST_INCLUDES)
            toolchain.compile_object(source, objects[-1], flags=flags, include=folder)
        script, output = folder / "ring0.ld", folder / "ring0.elf"
        script.write_text(text, encoding="ascii")
        toolchain.link(objects, output, script, "--entry=gate")

    key = hashlib.sha256((guest_digest() + text).encode()).hexdigest()
    with cache.folder(f"arrange-{key}", make) as folder:
        linked = read_linked(folder / "ring0.elf")
    assert list(linked.sections) == [".text"], "the code of ring 0 has no data"
    return linked.sections[".text"]


_BROKER_SCRIPT = """\
ENTRY(_start)
SECTIONS {{
  . = {at:#x};
  .text : {{ *(.text.start) *(.text .text.*) *(.rodata .rodata.* .data.rel.ro*) }}
  ASSERT(. <= {end:#x}, "the broker has outgrown its place")
  .data : {{ *(.data .data.* .bss .bss.* COMMON) }}
  ASSERT(SIZEOF(.data) == 0, "a broker has no writable data")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
}}
"""


def broker(at: int, end: int, host_numbers: str, cache: Cache) -> bytes:
    """The code of the broker: c/broker.

    Args:
        at: where it starts, with its first instruction.
        end: where it has to end.
        host_numbers: the system calls that it may make, as C.
    """
    text, root = _BROKER_SCRIPT.format(at=at, end=end), C_ROOT / "broker"

    def make(folder: Path) -> None:
        write_headers(folder)
        (folder / "host_numbers.h").write_text(host_numbers, encoding="ascii")
        output, script = folder / "broker.o", folder / "broker.ld"
        flags = ("-Os", *MONITOR_INCLUDES)
        toolchain.compile_object(root / "main.c", output, flags=flags, include=folder)
        script.write_text(text, encoding="ascii")
        toolchain.link([output], folder / "broker.elf", script)

    state = hashlib.sha256((guest_digest() + text + host_numbers).encode())
    for path in sorted(root.glob("*.[ch]")):
        state.update(path.name.encode() + path.read_bytes())
    with cache.folder(f"broker-{state.hexdigest()}", make) as folder:
        linked = read_linked(folder / "broker.elf")
    assert list(linked.sections) == [".text"], "a broker has no data"
    return linked.sections[".text"]
