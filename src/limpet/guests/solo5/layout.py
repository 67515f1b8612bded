"""The memory map of a Solo5 guest: where its ABI wants things, and where ours lie between.

Guest-virtual, guest-physical and host-virtual addresses are the same number here too, which the
ABIs ask for and a program linked at 1 MiB allows.  What the guest is told at start, the ring-3
shim and the supervisor pages lie below it; memory goes from its end to a size that the operator
may still choose at start (``--mem``).
"""

from __future__ import annotations

from dataclasses import dataclass

from limpet.contract.limits import SPT_MEMORY_MOST, UNIKERNEL_MEMORY_MOST
from limpet.contract.pages import LARGE_PAGE, PAGE, align_up
from limpet.contract.structures import FRAMES
from limpet.errors import PlanError
from limpet.formats.image import Access, Image
from limpet.planning.regions import Region, image_regions
from limpet.tools.freestanding import Sizes

GUEST_BASE = 0x100000
"""Lowest address of a program (``HVT_GUEST_MIN_BASE``, ``SPT_GUEST_MIN_BASE``)."""

BOOT = {"hvt": 0x10000, "spt": 0x11000}
KEY_RIGHTS_AT, MANIFEST_AT, CMDLINE_AT, BOOT_SIZE = 0x80, 0x100, 0x2000, 0x4000
"""Offsets behind the boot information, and the size of it all: 63 devices and 8 KiB fit."""

FILTER_COPY_SIZE = 0x8000  # 4096 instructions, the most that Linux takes

SHOWN_SIZE = 0x3000
"""Behind the filter of an spt guest: its name and words, for the host's list of processes."""

SHIM = 0x18000
SHIM_ENTRIES = {"shim_start": 0x0, "shim_syscall": 0x40, "shim_trap": 0x80}
"""Fixed offsets in the shim (c/guest/hvt/entry.S), checked when it is linked."""

TRAP_FRAME_SIZE = 64
"""Bytes at the start of the shim's data, kept for ``trap_frame``."""

GATES = 0x17000
GATES_SIZE = SHIM - GATES
"""Where an hvt guest's hypercalls about frames are led to, if they are."""

FRAMES_SIZE = align_up(FRAMES.size, PAGE)
"""The frames on their way between such a guest's shim and its monitor."""


_GATES = "where its hypercalls about frames are led to"
_FRAMES = "frames that it sends, and that were brought for it"


@dataclass(frozen=True)
class Solo5Layout:
    """Addresses of everything in one Solo5 guest; ``memory`` is its end unless told otherwise.

    ``shim_size`` is what the shim takes at most, with its table of the guest's instructions;
    ``gathers`` says that it moves frames.
    """

    target: str
    entry: int
    image: tuple[Region, ...]
    memory: int
    networks: int
    shim_size: Sizes
    gathers: bool = False

    @property
    def boot_info(self) -> int:
        """Where the guest is told what it has."""
        return BOOT[self.target]

    @property
    def shim_end(self) -> int:
        """End of the room for the shim's code and constants."""
        return SHIM + self.shim_size.text + self.shim_size.rodata

    @property
    def shim_data(self) -> int:
        """Where the shim's data is."""
        return align_up(self.shim_end, PAGE)

    @property
    def shim_data_end(self) -> int:
        """End of its last page."""
        return align_up(self.shim_data + TRAP_FRAME_SIZE + self.shim_size.data, PAGE)

    @property
    def frames(self) -> int:
        """Where its frames are, if it moves them."""
        return self.shim_data_end

    def filter_copy(self, _: str) -> int:
        """Where the start completes the filter; of an hvt guest not in its page tables."""
        if self.target == "hvt":
            return self.frames + FRAMES_SIZE * self.gathers
        return self.boot_info + BOOT_SIZE

    @property
    def supervisor(self) -> int:
        """Where the pages of the processor are."""
        return self.shown + SHOWN_SIZE * (self.target == "spt")

    @property
    def shown(self) -> int:
        """What the host's list of processes shows of an spt guest: memory that is no file's."""
        return self.filter_copy("") + FILTER_COPY_SIZE

    @property
    def image_lo(self) -> int:
        """Lowest address of the program."""
        return self.image[0].address

    @property
    def kernel_end(self) -> int:
        """End of the program, start of its heap."""
        return self.image[-1].end

    @property
    def guest(self) -> tuple[int, int]:
        """All memory that a hypercall may ever name, [low, high): the monitor looks closer."""
        return self.boot_info, self.memory_most

    @property
    def readable_lo(self) -> int:
        """First page that the guest can read."""
        return min(
            (region.address for region in self.image if Access.READ in region.access),
            default=self.kernel_end,
        )

    @property
    def writable_lo(self) -> int:
        """First page that the guest can write."""
        return min(
            (region.address for region in self.image if Access.WRITE in region.access),
            default=self.kernel_end,
        )

    @property
    def closed(self) -> tuple[tuple[int, int], ...]:
        """Runs above :attr:`writable_lo` that the guest cannot write, [low, high)."""
        return tuple(
            (region.address, region.end)
            for region in self.image
            if region.address > self.writable_lo and Access.WRITE not in region.access
        )

    @property
    def memory_least(self) -> int:
        """The least memory that the program can be started with."""
        return align_up(self.kernel_end + (64 << 10), LARGE_PAGE if self.target == "hvt" else PAGE)

    @property
    def memory_most(self) -> int:
        """The most memory that it can be started with."""
        return UNIKERNEL_MEMORY_MOST if self.target == "hvt" else SPT_MEMORY_MOST

    @property
    def trap_frame(self) -> int:
        """Where the ring-0 stubs leave what happened."""
        return self.shim_data

    @property
    def trap_entry(self) -> int:
        """Where they return to."""
        return self.shim_entry("shim_trap")

    def shim_entry(self, name: str) -> int:
        """Address of a fixed entry of the shim."""
        return SHIM + SHIM_ENTRIES[name]

    def regions(self) -> tuple[Region, ...]:
        """Everything in the file or mapped at start, ascending; the heap is last."""
        read, write, execute = Access.READ, Access.WRITE, Access.EXECUTE
        why = "what the guest is told at start"
        regions = [Region("boot", self.boot_info, BOOT_SIZE, read, None, why, host=write)]
        if self.target == "hvt":
            why = "the shim that runs it in ring 3"
            size = self.shim_data - SHIM
            regions.append(Region("shim", SHIM, size, read | execute, None, why))
            why, size = "the shim's data, stacks", self.shim_data_end - self.shim_data
            regions.append(Region("shim_data", self.shim_data, size, read | write, b"", why))
            if self.gathers:
                regions.insert(1, Region("gates", GATES, GATES_SIZE, read | execute, None, _GATES))
                regions.append(
                    Region("frames", self.frames, FRAMES_SIZE, read | write, b"", _FRAMES)
                )
        why, at = "where the monitor completes the filter", self.filter_copy("")
        rights = read | write
        regions.append(Region("filter", at, FILTER_COPY_SIZE, rights, b"", why, mapped=False))
        if self.target == "spt":
            why = "its name and words, as the host lists processes"
            regions.append(Region("shown", self.shown, SHOWN_SIZE, rights, b"", why, mapped=False))
        heap = Region(
            "heap",
            self.kernel_end,
            self.memory - self.kernel_end,
            read | write,
            b"",
            "the guest's heap and stack",
            at_start=True,
        )
        return (*regions, *self.image, heap)


def lay_out(image: Image, memory: int, shim: Sizes, *, gathers: bool = False) -> Solo5Layout:
    """Place a Solo5 guest with ``memory`` bytes, counted from address 0, and the ``shim`` of hvt.

    Args:
        gathers: whether the shim moves frames.

    Raises:
        PlanError: it does not fit, or lies where the ABI does not allow.
    """
    networks = sum(device.kind == "net" for device in image.devices)
    regions = image_regions(image)
    place = Solo5Layout(image.kind, image.entry, regions, memory, networks, shim, gathers)
    if place.image_lo < GUEST_BASE:
        raise PlanError(
            f"{image.name}: the program at {place.image_lo:#x} lies below {GUEST_BASE:#x}",
            hint="build the unikernel again",
        )
    if place.supervisor > place.image_lo:
        raise PlanError(
            f"{image.name}: what traps into the shim does not fit below {place.image_lo:#x}, where "
            "the program starts",
            hint="report this: the program has unusually many ring-0 instructions",
        )
    if not place.memory_least <= memory <= place.memory_most:
        raise PlanError(
            f"{image.name}: {memory >> 20} MiB of memory; it needs at least "
            f"{-(-place.memory_least >> 20)} MiB and can have at most "
            f"{place.memory_most >> 20}",
            hint="choose another --memory",
        )
    return place
