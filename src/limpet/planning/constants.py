"""Constants of one bundle: ``guest_info`` for the guest, KVM's structures for the monitor."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limpet.arch.x86_64 import machine
from limpet.contract import GUEST_INFO, SYMBOL_ENTRY
from limpet.loading.image import Image
from limpet.planning import layout

if TYPE_CHECKING:
    from limpet.contract import Backend
    from limpet.loading.guest import Guest
    from limpet.planning.layout import Layout
    from limpet.planning.seccomp import Filter


@dataclass(frozen=True)
class Constants:
    """What is known before anything is compiled.

    ``environment`` is the baked strings, ``fixed`` the blobs by the name that ``plan.h`` gives
    their address, in the order in which they lie in the monitor's constants.
    """

    environment: tuple[bytes, ...]
    symbols: tuple[tuple[int, bytes], ...]
    name: bytes
    fixed: Mapping[str, bytes]

    @property
    def size(self) -> int:
        """Bytes that :meth:`guest_bytes` takes."""
        strings = sum(len(each) + 1 for each in (*self.environment, self.name))
        names = sum(len(name) + 1 for _, name in self.symbols)
        table = len(self.symbols) * SYMBOL_ENTRY.size
        return layout.align_up(GUEST_INFO.size + table + strings + names, layout.PAGE)

    def guest_bytes(
        self,
        image: Image,
        place: Layout,
        guest: Guest,
        level: machine.CpuLevel,
    ) -> bytes:
        """The constants region: ``guest_info``, the symbol table, then every string."""
        symbols_at = place.constants + GUEST_INFO.size
        strings_at = symbols_at + len(self.symbols) * SYMBOL_ENTRY.size
        environment = b"".join(each + b"\0" for each in self.environment)
        name_at = strings_at + len(environment)
        table, names = bytearray(), bytearray()
        names_at = name_at + len(self.name) + 1
        for address, name in self.symbols:
            table += struct.pack("<QQ", address, names_at + len(names))
            names += name + b"\0"
        info = GUEST_INFO.pack(
            {
                "entry": image.entry,
                "phdr": image.phdr_address or 0,
                "phnum": image.phnum,
                "phent": image.phent,
                "image_lo": place.image_lo,
                "image_hi": place.image_hi,
                "text_lo": place.text,
                "text_hi": place.text + layout.LIBOS_TEXT_SIZE,
                "arena_lo": place.arena[0],
                "arena_hi": place.arena[1],
                "stack_lo": place.stack[0],
                "stack_hi": place.stack[1],
                "devices": place.devices if place.devices < place.tree else 0,
                "tree": place.tree,
                "tree_size": len(guest.tree.data),
                "symbols": symbols_at,
                "symbols_count": len(self.symbols),
                "environment": strings_at,
                "environment_count": len(self.environment),
                "name": name_at,
                "vector_state": level.vector_state,
            }
        )
        return info + bytes(table) + environment + self.name + b"\0" + bytes(names)

    def with_machine(
        self,
        pages: machine.Supervisor | None,
        level: machine.CpuLevel,
        *,
        start: int,
        syscall: int,
        asks_cpuid: bool,
    ) -> Constants:
        """With the structures that the kvm monitor hands to KVM.

        ``start`` is the guest's first instruction, ``syscall`` where SYSCALL leads under kvm_pvm.
        """
        if pages is None:
            return self
        blobs = {
            "KVM_SREGS": machine.special_registers(pages, level),
            "KVM_REGS": machine.general_registers(start),
            "KVM_MSRS": machine.model_specific_registers(syscall),
            "KVM_CPUID": level.cpuid(asks_cpuid, keys=pages.execute_only),
        }
        if pages.execute_only:
            blobs["KVM_SREGS_KEYS"] = machine.special_registers(pages, level, keys=True)
        if level.xcr0:
            blobs["KVM_XCRS"] = level.xcrs()
        return replace(self, fixed=blobs)

    def addresses(self) -> dict[str, int]:
        """Where each blob lies in the monitor's constants page; filters follow them."""
        at, out = layout.MONITOR_BASE, {}
        for name, blob in self.fixed.items():
            out[name] = at
            at += layout.align_up(len(blob), 8)
        out["FILTERS"] = at
        return out

    def filter_addresses(self, filters: Mapping[Backend, Filter]) -> dict[Backend, int]:
        """Where each filter lies behind the blobs."""
        at, out = self.addresses()["FILTERS"], {}
        for backend, filter_ in sorted(filters.items()):
            out[backend] = at
            at += filter_.length * 8
        return out

    def monitor_text(self, filters: Iterable[Filter]) -> int:
        """Where the monitor's code starts: on the page behind its constants."""
        end = self.addresses()["FILTERS"] + sum(each.length * 8 for each in filters)
        return layout.align_up(end, layout.PAGE)

    def monitor_bytes(self, filters: Sequence[bytes]) -> bytes:
        """The monitor's constants."""
        blobs = [*self.fixed.values(), *filters]
        return b"".join(blob.ljust(layout.align_up(len(blob), 8), b"\0") for blob in blobs)


def constants(image: Image, environment: Sequence[str]) -> Constants:
    """Constants of ``image`` with the ``NAME=VALUE`` strings of ``environment``."""
    return Constants(
        environment=tuple(each.encode(errors="surrogateescape") for each in environment),
        symbols=tuple((each.address, each.name.encode()) for each in image.symbols),
        name=b"/bin/" + image.name.encode(errors="surrogateescape"),
        fixed={},
    )
