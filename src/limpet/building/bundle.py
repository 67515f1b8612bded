"""``build``: carry out a plan — compile, link, and lay everything into one file."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from limpet import contract
from limpet.building import record
from limpet.errors import BuildError
from limpet.formats import elfwriter, manifest, packed_guest, tree
from limpet.guests.linux.parts import guest_sources
from limpet.guests.solo5 import layout as solo5_layout
from limpet.guests.solo5.layout import Solo5Layout
from limpet.loading.image import Access
from limpet.planning import layout
from limpet.planning.decisions import Plan
from limpet.planning.layout import Layout
from limpet.sources import GUEST_INCLUDES, GUEST_ROOT, MONITOR_INCLUDES
from limpet.tools import toolchain
from limpet.tools.cache import Cache
from limpet.version import __version__


@dataclass(frozen=True)
class Monitor:
    """The compiled residue of a plan: sections at fixed addresses, and its symbols."""

    text: bytes
    constants: bytes
    symbols: Mapping[str, int]
    entry: int

    @property
    def size(self) -> int:
        """Bytes of code and constants."""
        return len(self.text) + len(self.constants)


@dataclass(frozen=True)
class Bundle:
    """One executable file's bytes, and what they were made from."""

    plan: Plan
    monitor: Monitor
    data: bytes

    def write(self, path: Path) -> None:
        """Put the bundle at ``path``, executable, all of it or nothing.

        Raises:
            BuildError: the place cannot be written.
        """
        write_bundle(path, self.data)


def write_bundle(path: Path, data: bytes) -> None:
    """Write a bundle's bytes to ``path``.

    Raises:
        BuildError: the place cannot be written.
    """
    try:
        write_executable(path, data)
    except OSError as error:
        raise BuildError(
            f"{path}: cannot be written: {error.strerror}", hint="choose another place with -o"
        ) from error


def write_executable(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` by way of a temporary file beside it.

    A device or pipe is written to; it would be no device any more if it were replaced.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o755)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def build(plan: Plan, cache: Cache | None = None, *, packed: bytes = b"") -> Bundle:
    """Make the bundle of ``plan``.

    Args:
        packed: the guest's section of a bundle that is made again; used when it holds this guest,
            since another zlib may compress to other bytes.

    Raises:
        ToolchainError: the pinned toolchain is missing or broken.
    """
    cache = cache or Cache.default()
    with tempfile.TemporaryDirectory(prefix="limpet-") as name:
        folder = Path(name)
        _write_sources(plan, folder)
        with ThreadPoolExecutor(2) as pool:
            guest_future = pool.submit(_guest_side, plan, folder, cache)
            monitor_future = pool.submit(_monitor, plan, folder)
            linked, guest_symbols = guest_future.result()
            text, monitor_symbols, entry = monitor_future.result()
        stubs = _stubs(plan, cache) if plan.supervisor else b""
    labels = {**guest_symbols, **monitor_symbols}
    filters = [each.assemble(labels) for _, each in sorted(plan.filters.items())]
    monitor = Monitor(text, plan.constants.monitor_bytes(filters), monitor_symbols, entry)
    segments = elfwriter.arranged(_loads(plan, linked, monitor, stubs))
    made = record.record(plan, segments, toolchain.version(), __version__)
    guest = packed_guest.pack(plan.image, segments, packed)
    return Bundle(plan, monitor, elfwriter.write(entry, segments, made, guest))


def _write_sources(plan: Plan, folder: Path) -> None:
    for name, text in plan.sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_contract(folder)


def _write_contract(folder: Path) -> None:
    (folder / "contract.h").write_text(contract.c_header(), encoding="utf-8")
    (folder / "tree_format.h").write_text(tree.c_header(), encoding="utf-8")


def _libos_digest() -> str:
    state = hashlib.sha256(toolchain.version().encode())
    state.update(" ".join(toolchain.FREESTANDING).encode())
    state.update((contract.c_header() + tree.c_header()).encode())
    for path in sorted(GUEST_ROOT.rglob("*.[chS]")):
        state.update(f"{path.relative_to(GUEST_ROOT)}\0".encode() + path.read_bytes())
    return state.hexdigest()


def _compile_libos(folder: Path) -> None:
    """Compile every file of the library OS into ``folder``."""
    _write_contract(folder)

    def one(source: Path) -> None:
        name = str(source.relative_to(GUEST_ROOT)).replace("/", "-") + ".o"
        flags = ["-O2", *GUEST_INCLUDES]
        toolchain.compile_object(source, folder / name, flags=flags, include=folder)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, guest_sources()))


def libos_objects(cache: Cache) -> list[Path]:
    """The library OS's objects, compiled once for every version of it."""
    return sorted(cache.folder(f"libos-{_libos_digest()}", _compile_libos).glob("*.o"))


_GUEST_SCRIPT = """\
ENTRY(guest_start)
SECTIONS {{
  . = {text:#x};
  .text : {{ KEEP(*(.text.entry)) *(.text .text.*) }}
  ASSERT(. <= {text_end:#x}, "the library OS's code has outgrown its place")
  . = {data:#x};
  .data : {{ *(.data .data.*) }}
  .bss : {{ *(.bss .bss.[!.]* COMMON) *(.bss..large .bss..stack) }}
  ASSERT(. <= {data_end:#x}, "the library OS's data has outgrown its place")
  . = {rodata:#x};
  .rodata : {{ *(.rodata .rodata.*) }}
  ASSERT(. <= {rodata_end:#x}, "the library OS's constants have outgrown their place")
  .got : {{ *(.got .got.*) }}
  ASSERT(SIZEOF(.got) == 0, "the library OS needs no global offset table")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
  {symbols}
}}
"""


def _guest_script(place: Layout) -> str:
    given = {
        "guest_info": place.constants,
        "boot_info": place.boot_info,
        "trap_frame": place.trap_frame,
    }
    return _GUEST_SCRIPT.format(
        text=place.text,
        text_end=place.text + layout.LIBOS_TEXT_SIZE,
        data=place.data,
        data_end=place.signal_stack,
        rodata=place.rodata,
        rodata_end=place.rodata + layout.LIBOS_RODATA_SIZE,
        symbols="\n  ".join(f"{name} = {at:#x};" for name, at in given.items()),
    )


def _guest_side(plan: Plan, folder: Path, cache: Cache) -> tuple[dict[str, bytes], dict[str, int]]:
    """What is linked into the guest's memory, by the name of its region, and the symbols."""
    if isinstance(plan.layout, Layout):
        return _library_os(plan, plan.layout, folder, cache)
    if plan.layout.target == "hvt":
        return _shim(plan, plan.layout, folder, cache)
    return {"boot": _boot(plan)}, {}


def _boot(plan: Plan) -> bytes:
    """What a Solo5 guest is told at start, as far as the plan knows it."""
    assert plan.image.solo5
    return bytes(solo5_layout.MANIFEST_AT) + manifest.pack(plan.image.solo5.devices)


_SHIM_SCRIPT = """\
ENTRY(shim_start)
SECTIONS {{
  . = {text:#x};
  .text : {{ KEEP(*(.text.entry)) *(.text .text.* .rodata .rodata.*) }}
  ASSERT(. <= {text_end:#x}, "the shim has outgrown its place")
  . = {data:#x};
  trap_frame = .;
  . += 64;
  .bss : {{ *(.data .data.* .bss .bss.* COMMON) }}
  ASSERT(. <= {data_end:#x}, "the shim's data has outgrown its place")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
  boot_info = {boot:#x};
  key_rights = {key_rights:#x};
  guest_entry = {entry:#x};
}}
"""


def _shim(
    plan: Plan, place: Solo5Layout, folder: Path, cache: Cache
) -> tuple[dict[str, bytes], dict[str, int]]:
    """Link the ring-3 shim of an hvt guest."""
    flags = ["-O2", *GUEST_INCLUDES]
    objects = []
    for source in sorted((GUEST_ROOT / "hvt").glob("*.[cS]")):
        objects.append(folder / f"shim-{source.stem}.o")
        toolchain.compile_object(source, objects[-1], flags=flags, include=folder)
    script, output = folder / "shim.ld", folder / "shim.elf"
    text = _SHIM_SCRIPT.format(
        text=solo5_layout.SHIM,
        text_end=solo5_layout.SHIM + solo5_layout.SHIM_SIZE,
        data=solo5_layout.SHIM_DATA,
        data_end=solo5_layout.SHIM_DATA + solo5_layout.SHIM_DATA_SIZE,
        boot=place.boot_info,
        key_rights=place.boot_info + solo5_layout.KEY_RIGHTS_AT,
        entry=place.entry,
    )
    script.write_text(text, encoding="utf-8")
    toolchain.link(objects, output, script)
    sections, symbols = _read(output)
    for name in ("shim_start", "shim_trap"):
        _expect(name, symbols, place.shim_entry(name))
    return {"shim": sections[".text"], "boot": _boot(plan)}, symbols


def _expect(name: str, symbols: Mapping[str, int], address: int) -> None:
    if symbols.get(name) != address:
        raise BuildError(f"{name} is not where the plan counts on it", hint="report this")


def _library_os(
    plan: Plan, place: Layout, folder: Path, cache: Cache
) -> tuple[dict[str, bytes], dict[str, int]]:
    """Link the library OS for this guest."""
    objects = libos_objects(cache)
    generated = [folder / "dispatch.o", folder / "gates.o"]
    flags = ["-O2", *GUEST_INCLUDES]
    for each in generated:
        toolchain.compile_object(each.with_suffix(".c"), each, flags=flags, include=folder)
    script = folder / "guest.ld"
    script.write_text(_guest_script(place), encoding="utf-8")
    output = folder / "guest.elf"
    toolchain.link([*generated, *objects], output, script)
    sections, symbols = _read(output)
    for name in layout.ENTRY_OFFSETS:
        if not name.startswith("trap_entry"):
            _expect(name, symbols, place.entry(name))
    trampolines = plan.rewriting.trampolines.ljust(place.text - place.trampolines, b"\xcc")
    linked = {
        "libos_text": trampolines + sections.get(".text", b""),
        "libos_data": bytes(layout.BOOT_SIZE) + sections.get(".data", b""),
        "libos_rodata": sections.get(".rodata", b""),
    }
    return linked, symbols


_MONITOR_SCRIPT = """\
ENTRY(_start)
SECTIONS {{
  . = {text:#x};
  .text : {{ *(.text.start) *(.text .text.*) *(.rodata .rodata.* .data.rel.ro*) }}
  ASSERT(. <= {end:#x}, "the monitor has outgrown its place")
  .data : {{ *(.data .data.* .bss .bss.* COMMON) }}
  ASSERT(SIZEOF(.data) == 0, "a monitor has no writable data")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
}}
"""


def _monitor(plan: Plan, folder: Path) -> tuple[bytes, dict[str, int], int]:
    output, target = folder / "monitor.o", folder / "monitor.elf"
    flags = ["-Os", "-DLIMPET_MONITOR=1", *MONITOR_INCLUDES]
    toolchain.compile_object(folder / "monitor.c", output, flags=flags, include=folder)
    script = folder / "monitor.ld"
    end = layout.MONITOR_BASE + layout.MONITOR_SIZE
    script.write_text(_MONITOR_SCRIPT.format(text=plan.monitor_text, end=end), encoding="utf-8")
    toolchain.link([output], target, script)
    sections, symbols = _read(target)
    return sections[".text"], symbols, symbols["_start"]


def _stubs(plan: Plan, cache: Cache) -> bytes:
    """The ring-0 fault stubs, with the two addresses that they need behind them."""

    def make(folder: Path) -> None:
        _write_contract(folder)
        source = GUEST_ROOT / "x86_64" / "stubs.S"
        toolchain.compile_object(source, folder / "stubs.o", flags=[], include=folder)

    path = cache.folder(f"stubs-{_libos_digest()}", make) / "stubs.o"
    with path.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".text.stubs")
        assert section is not None, "stubs.S has its code there"
        code = bytes(section.data())
    place = plan.layout
    addresses = place.trap_frame.to_bytes(8, "little") + place.trap_entry.to_bytes(8, "little")
    return code[:-16] + addresses


def _read(path: Path) -> tuple[dict[str, bytes], dict[str, int]]:
    elf = ELFFile(io.BytesIO(path.read_bytes()))
    sections = {
        section.name: bytes(section.data())
        for section in elf.iter_sections()
        if section["sh_flags"] & 2 and section["sh_type"] == "SHT_PROGBITS"
    }
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return sections, {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


def _flags(access: Access) -> int:
    return (
        (4 if Access.READ in access else 0)
        | (2 if Access.WRITE in access else 0)
        | (1 if Access.EXECUTE in access else 0)
    )


MAPPED_AT_START = ("arena", "stack", "heap")
"""Regions that the monitor maps, without reserving host memory."""


def _loads(
    plan: Plan, linked: Mapping[str, bytes], monitor: Monitor, stubs: bytes
) -> Sequence[elfwriter.Load]:
    loads = []
    pages = plan.supervisor
    for region in plan.regions:
        if region.name in MAPPED_AT_START:
            continue
        content = linked.get(region.name, region.content)
        assert content is not None, region.name
        flags = _flags(region.access | plan.layout.host_access(region))
        size = region.size if flags & 2 else layout.align_up(len(content), layout.PAGE)
        if pages:  # the plan maps the room that the linker was given, not what it filled
            pages = pages.without(region.address + size, region.end)
        if not size:
            continue
        if plan.options.backends == ("kvm",):
            flags = flags & ~1 | 4  # only the virtual machine executes it
        loads.append(elfwriter.Load(region.name, region.address, size, content, flags))
    if pages:
        content = pages.content(stubs)
        loads.append(elfwriter.Load("supervisor", pages.base, pages.size, content, 6))
    constants = monitor.constants.ljust(plan.monitor_text - layout.MONITOR_BASE, b"\0")
    text = constants + monitor.text
    size = layout.align_up(len(text), layout.PAGE)
    loads.append(elfwriter.Load("monitor", layout.MONITOR_BASE, size, text, 5))
    return loads
