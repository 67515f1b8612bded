"""Changing a finished bundle's bytes, as somebody between builder and operator could."""

from __future__ import annotations

import struct
from pathlib import Path

from limpet.arch.x86_64.host import REQUESTS
from limpet.arch.x86_64.machine_read import Machine, read_machine
from limpet.audit.inspect import audit_bundle
from limpet.audit.model import Audit
from limpet.audit.monitor_code import MonitorCode, read_code
from limpet.formats.bundle import read as bundle_file
from limpet.formats.bundle.read import BundleFile
from limpet.formats.bundle.write import GUEST_SECTION, RECORD_SECTION, Load, write

SET_SREGS = REQUESTS["KVM_SET_SREGS"]


def loads_of(bundle: BundleFile) -> list[Load]:
    """The segments of a bundle, to be changed."""
    return [
        Load(each.name, each.address, each.memory_size, bundle.content(each), each.flags)
        for each in bundle.parts
    ]


def written(
    bundle: BundleFile,
    loads: list[Load],
    *,
    entry: int | None = None,
    guest: bytes | None = None,
) -> bytes:
    """A bundle of these segments in the form that Limpet writes, with the record of ``bundle``."""
    guest = (bundle.section(GUEST_SECTION) or b"") if guest is None else guest
    record = bundle.section(RECORD_SECTION) or b""
    return write(bundle.entry if entry is None else entry, loads, record, guest)


class Edited:
    """A bundle to change in place; addresses are those in memory."""

    def __init__(self, path: Path) -> None:
        self.data = bytearray(path.read_bytes())
        self.bundle = bundle_file.parse(bytes(self.data), path.name)

    def offset(self, address: int) -> int:
        """Where the byte at ``address`` stands in the file."""
        part = self.bundle.part_at(address)
        assert part and address < part.address + part.size
        return part.offset + address - part.address

    def poke(self, address: int, content: bytes) -> None:
        """Write bytes at an address."""
        at = self.offset(address)
        self.data[at : at + len(content)] = content

    def flip(self, address: int, bits: int) -> None:
        """Change bits of the 64-bit word at an address."""
        (word,) = struct.unpack("<Q", self.bundle.memory(address, 8))
        self.poke(address, struct.pack("<Q", word ^ bits))

    def in_record(self, old: bytes, new: bytes) -> None:
        """Replace text in the record by as much other text."""
        assert len(old) == len(new)
        at, size = next((o, s) for n, o, s in self.bundle.sections if n == RECORD_SECTION)
        text = bytes(self.data[at : at + size])
        assert old in text
        self.data[at : at + size] = text.replace(old, new, 1)

    @property
    def code(self) -> MonitorCode:
        """The monitor's code before any change."""
        return read_code(self.bundle)

    @property
    def machine(self) -> Machine:
        """The virtual machine before any change."""
        sregs = [c.argument(2) for c in self.code.calls if c.argument(1) == SET_SREGS]
        assert sregs[0] is not None
        return read_machine(self.bundle, sregs[0])

    def leaf(self, address: int) -> int:
        """Where the page-table entry of a 4 KiB page stands."""
        table = self.machine.tables[0]
        for level in (3, 2, 1):
            (entry,) = struct.unpack(
                "<Q", self.bundle.memory(table + 8 * (address >> 12 + 9 * level & 511), 8)
            )
            table = entry & 0xFFFFFFFFFF000
        return table + 8 * (address >> 12 & 511)

    def parse(self) -> BundleFile:
        """The changed bundle."""
        return bundle_file.parse(bytes(self.data), "changed")

    def audit(self) -> Audit:
        """The audit of the changed bundle."""
        return audit_bundle(self.parse())

    def findings(self) -> list[str]:
        """What the audit says is wrong."""
        return [f"{each.where}: {each.what}" for each in self.audit().findings]

    def write(self, path: Path) -> Path:
        """Put the changed bundle on disk."""
        path.write_bytes(self.data)
        return path
