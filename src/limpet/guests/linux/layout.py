"""The memory map of a Linux program: every region, its address, size and rights, decided once.

Guest-virtual, guest-physical and host-virtual addresses are the same number on both backends, so
one map serves the processor, KVM and ``execve``.  Ascending: the program, the library OS (code
with the rewritten sites' trampolines before it, state, constants), the packed tree, the arena, a
hole, the stack, and for kvm the supervisor pages.  In a process the constants come first, one piece
with what of the program can only be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limpet.arch.x86_64.arranging import INT3_SIZE, Arranging, tables_room
from limpet.contract.limits import PLACE_MOST
from limpet.contract.pages import LARGE_PAGE, PAGE, align_up
from limpet.contract.structures import TRAP_FRAME
from limpet.errors import PlanError
from limpet.formats.image import Access
from limpet.guests.linux.late import RUNS_MOST
from limpet.guests.linux.place import PlacedProgram
from limpet.planning.regions import MONITOR_BASE, Region, writable_runs
from limpet.tools.freestanding import Sizes

ADDRESS_LIMIT = 1 << 36
"""End of guest-physical memory: what every 64-bit processor under KVM can address."""

RESERVE = (2 * MONITOR_BASE, 0x7000_0000_0000)
"""Addresses in a process where a program's reservations lie: behind the monitor, where a host has
nothing left when the guest runs."""

TEXT_ALIGN = 64
"""What is linked starts at a multiple of this: the most that anything in it asks for."""

SIGNAL_STACK_SIZE = 64 << 10
FILTER_COPY_SIZE = 32 << 10  # 4096 instructions, the most that Linux takes
BOOT_SIZE = 1024
"""Bytes of ``boot_info`` and ``trap_frame``; the library OS's data shares their page."""
TRAP_FRAME_AT = 512
"""Offset of ``trap_frame`` behind ``boot_info``."""

ENTRY_OFFSETS = {
    "syscall_entry": 0x0,
    "syscall_entry_flags": 0x100,
    "syscall_entry_r11": 0x180,
    "guest_start": 0x280,
    "trap_entry_kvm": 0x2C0,
    "trap_entry_process": 0x2D0,
    "ring0_gate": 0x2E0,
}
"""Fixed offsets in the library OS's code (x86_64/entry.S), checked when it is linked."""

MAX_STACK = 8 << 20

LARGE_DATA, LARGE_DATA_MOST = 256 << 10, 4 << 20
"""Bytes of data from which it is brought at once, and up to which: most of it will be written."""


@dataclass(frozen=True)
class Layout:
    """Addresses of everything in one guest."""

    image: tuple[Region, ...]
    trampolines: int
    text: int
    state: int  # boot_info first, then the library OS's data, then the signal stack
    constants: int  # guest_info and what it points to, then the library OS's rodata
    rodata: int
    devices: int  # the table of devices; the tree's address where there are none
    tree: int
    arena: tuple[int, int]
    stack: tuple[int, int]
    supervisor: int
    library: Sizes  # what the library OS takes at most
    writable: tuple[tuple[int, int], ...]  # what the program can write of itself
    late: tuple[tuple[int, int], ...]  # code of shared objects that is only read until then
    late_data: tuple[tuple[int, int], ...]  # the same of their data

    @property
    def image_lo(self) -> int:
        """Lowest address of the program, and of all guest memory."""
        return self.image[0].address

    @property
    def image_hi(self) -> int:
        """End of its highest page."""
        return self.image[-1].end

    @property
    def guest(self) -> tuple[int, int]:
        """All memory that the guest may name in a hypercall, [low, high)."""
        return self.image_lo, self.stack[1]

    @property
    def movable(self) -> tuple[tuple[int, int], ...]:
        """Where pages can be moved and have their rights changed.

        A piece that starts there ends before the library OS and the monitor: it is no longer than
        ``PLACE_MOST``.
        """
        assert ADDRESS_LIMIT + PLACE_MOST <= MONITOR_BASE
        return (self.arena[0], self.supervisor), RESERVE

    @property
    def changing(self) -> Mapping[str, Sequence[tuple[int, int]]]:
        """Where pages of a process can change, by the names that pins give to these places.

        What a piece of the program can lose it loses for good but for its data, and no piece that
        starts there reaches the monitor.
        """
        program = ((self.image_lo, self.image_hi),)
        return {
            "arranged": self.movable,
            "program": program,
            "data": self.writable[:RUNS_MOST],
            "code": self.late[:RUNS_MOST],
            "loaded": self.late_data,
        }

    def is_programs(self, region: Region) -> bool:
        """Whether it is the program's own, its memory and stack included."""
        ranges = (0, self.image_hi), self.arena, self.stack
        return any(low <= region.address < high for low, high in ranges)

    def arranging(self, *, jit: bool) -> Arranging:
        """What ring 0 of a virtual machine needs to do the same, and, with ``jit``, run pages."""
        memory = self.arena[1] - self.arena[0] + self.stack[1] - self.stack[0]
        gate = self.entry("ring0_gate") + INT3_SIZE
        return Arranging(gate, self.arena, RESERVE, tables_room(memory), jit)

    @property
    def large_data(self) -> tuple[int, int]:
        """The program's largest writable data, an empty range where none of it is large."""
        data = [each for each in self.image if Access.WRITE in each.access]
        large = [each for each in data if len(each.content or b"") >= LARGE_DATA]
        largest = max(large, key=lambda each: each.size, default=None)
        if largest is None or largest.size > LARGE_DATA_MOST:
            return 0, 0
        return largest.address, largest.address + align_up(len(largest.content or b""), PAGE)

    @property
    def arena_top(self) -> int:
        """Where the last large page of the arena starts: what a program maps first lies there.

        Files that it only reads are among that, and no rights change within a large page before
        ring 0 has made small ones of it: 2,000 instructions, which some hypervisors emulate.
        """
        return max(self.arena[0], (self.arena[1] - 1) // LARGE_PAGE * LARGE_PAGE)

    @property
    def words_low(self) -> int:
        """Above this words of a start lie in the stack, and nothing else (``strings_low``)."""
        return align_up(self.stack[1] - (self.stack[1] - self.stack[0]) // 4, PAGE)

    @property
    def fills_pages(self) -> bool:
        """Whether the library OS's code has large pages to itself."""
        return self.trampolines % LARGE_PAGE == self.state % LARGE_PAGE == 0

    @property
    def boot_info(self) -> int:
        """Where the monitor writes ``boot_info``."""
        return self.state

    @property
    def text_end(self) -> int:
        """End of the room for the library OS's code."""
        return self.text + self.library.text

    @property
    def rodata_end(self) -> int:
        """End of the room for its constants."""
        return self.rodata + self.library.rodata

    @property
    def beside_boot(self) -> tuple[int, int]:
        """What is left of the room before that, [low, high)."""
        return self.trap_frame + TRAP_FRAME.size, self.data

    @property
    def data(self) -> int:
        """The library OS's own data; argument blocks lie there."""
        return self.state + BOOT_SIZE

    @property
    def signal_stack(self) -> int:
        """Where the host's signals arrive in a process."""
        return align_up(self.data + self.library.data, PAGE)

    def filter_copy(self, backend: str) -> int:
        """Where the start completes that backend's filter: where no signal has arrived yet."""
        return self.signal_stack + (FILTER_COPY_SIZE if backend == "kvm" else 0)

    @property
    def state_end(self) -> int:
        """End of the library OS's writable memory."""
        return self.signal_stack + SIGNAL_STACK_SIZE

    @property
    def trap_frame(self) -> int:
        """Where the ring-0 stubs leave what happened."""
        return self.boot_info + TRAP_FRAME_AT

    @property
    def trap_entry(self) -> int:
        """Where they return to."""
        return self.entry("trap_entry_kvm")

    def entry(self, name: str) -> int:
        """Address of a fixed entry of the library OS."""
        return self.text + ENTRY_OFFSETS[name]


def stack_size(memory: int) -> int:
    """How much of ``memory`` is the stack: 8 MiB, or an eighth of a small guest."""
    size = min(MAX_STACK, memory // 8)
    return size // LARGE_PAGE * LARGE_PAGE if size >= LARGE_PAGE else align_up(size, PAGE)


def code_page(tree: int, backends: Sequence[str]) -> int:
    """Bytes of a page of the library OS's code: a large one where the tree is in such pages anyway
    and each that a guest touches is an exit."""
    return LARGE_PAGE if backends == ("kvm",) and tree >= LARGE_PAGE else PAGE


def own_places(tree: int, backends: Sequence[str]) -> dict[str, int]:
    """Where the library OS's code and constants go, for :func:`lay_out`."""
    return {
        "code_page": code_page(tree, backends),
        "constants_first": tuple(backends) == ("process",),
    }


def lay_out(
    program: PlacedProgram,
    library: Sizes,
    *,
    trampolines: int,
    constants: int,
    devices: int,
    tree: int,
    memory: int,
    code_page: int = PAGE,
    constants_first: int = False,
) -> Layout:
    """Place everything behind the program.

    Args:
        program: at its final addresses.
        library: bytes of the library OS, at most.
        trampolines: bytes to keep for them.
        constants: bytes of ``guest_info`` and what it points to.
        devices: bytes of the table of devices.
        tree: bytes of the packed tree's room.
        memory: bytes of arena and stack together.
        code_page: bytes of each page of the library OS's code.
        constants_first: whether its constants lie before that, and not behind its state.

    Raises:
        PlanError: the program leaves no room below :data:`ADDRESS_LIMIT`.
    """
    image = program.image
    regions = program.regions
    end = align_up(regions[-1].end, PAGE)
    own = constants + TEXT_ALIGN + library.rodata
    at = align_up(end + (own if constants_first else 0), max(code_page, 16 * PAGE))
    text = align_up(at + trampolines, TEXT_ALIGN)
    state = align_up(text + library.text, code_page)
    state_end = align_up(state + BOOT_SIZE + library.data, PAGE) + SIGNAL_STACK_SIZE
    constants_at = end if constants_first else state_end
    rodata = align_up(constants_at + constants, TEXT_ALIGN)
    devices_at = state_end if constants_first else align_up(rodata + library.rodata, PAGE)
    tree_at = devices_at + align_up(devices, PAGE)
    if tree >= LARGE_PAGE:
        tree_at = align_up(tree_at, LARGE_PAGE)
    arena = align_up(tree_at + tree, LARGE_PAGE)
    stack = stack_size(memory)
    arena_hi = arena + memory - stack
    stack_lo = align_up(arena_hi + LARGE_PAGE, LARGE_PAGE)
    supervisor = stack_lo + stack
    tables = (memory >> 8) + tables_room(memory)
    if supervisor + tables > ADDRESS_LIMIT or text > ADDRESS_LIMIT >> 5:
        raise PlanError(
            f"{image.name}: the program at {image.segments[0].address:#x} with {memory >> 20} MiB "
            f"of memory does not fit below {ADDRESS_LIMIT:#x}",
            hint="link it at a lower address, or give less --memory",
        )
    return Layout(
        regions,
        at,
        text,
        state,
        constants_at,
        rodata,
        devices_at,
        tree_at,
        (arena, arena_hi),
        (stack_lo, supervisor),
        supervisor,
        library,
        writable_runs(image),
        tuple(program.late_runs(Access.EXECUTE)),
        tuple(program.late_runs(Access.WRITE)),
    )
