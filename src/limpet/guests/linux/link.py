"""Linking the library OS for one Linux program, with the system calls that it can make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from limpet.errors import Outgrown, ToolchainError
from limpet.guests.linux import layout, library, most
from limpet.guests.linux.layout import Layout
from limpet.guests.linux.rewinding import REWIND
from limpet.planning.plan import Plan
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache

_OFTEN = (
    *("syscall_serve", "dispatch", "fd_get", "readable", "writable", "sys_read", "sys_write"),
    *("read", "write", "take", "give", "receive_piece", "send_piece", "link_was_read"),
    *("hypercall_socket_receive", "hypercall_socket_send", "hypercall_socket_wait"),
    *("stub_socket_receive_*", "stub_socket_send_*", "stub_socket_wait_*"),
    *("sys_clock_gettime", "sys_gettimeofday", "clock_monotonic", "clock_realtime", "memcpy"),
    *("sys_epoll_wait", "sys_epoll_pwait", "wait_on", "watch_for", "look_at_items", "file_poll"),
    *("poll", "ready", "is_readable", "ask", "link_told", "socket_changed", "file_changed"),
    *("park_changed", "tell", "epoll_told", "epoll_list", "epoll_unlist_first"),
    *("epoll_look_outside", "await", "awaited", "park", "park_with", "wait_in_host", "all_waits"),
    *("wake_answered", "thread_wake", "thread_ready", "run_another", "alarms_look", "clock_waited"),
)
"""What each request of a server runs through, together: what the kernel has done meanwhile leaves
none of it in the processor's first cache, and so it is in few lines and pages."""

_START = (
    *("start_program", "memory_take", "strlen", "get", "snapshot_start", "snapshot_take"),
    *("begin_again", "go_on", "states_in_use", "try_*", "processor_runs", "thread_vectors_size"),
    "thread_pointer_valid",
    *("thread_stack", "renew", "clock_renew", "be_told", "take_answer", "ask_host"),
    *("monotonic_at",),
    *("hypercall_wait", "host_wait", "host_wait_*", "stub_wait_*", "entropy_renew", "tick_renew"),
    *("reserve_scatter_sealed", "reserve_scatter_hidden", "place_runs", "give_rights"),
    *("mapping_from", "pages_hide_again"),
    *("save_vectors", "xsave_size", "thread_switch", "thread_begin"),
    *("tick_on_own_stack", "tick_leave"),
    *("come_to_moment", "synthetic_write", "rewind", "synthetic_pread"),
    *("read_clock", "is_own_cpu", "console_write"),
    *("hypercall_console_out", "stub_console_out_*", "host_console_out_*", "become"),
    *("snapshot_go_on", "snapshot_wait", "sys_exit_group", "program_exit", "guest_exit", "end"),
    *("hypercall_exit", "stub_exit_*"),
)
"""What each start runs through that goes on from a moment, and its end: each page is a fault, or an
exit, and so it is in few.  What it reads of the constants comes first among these."""

_TABLE = "*(.bss..table)"
"""The table of descriptors, of which a start that goes on from a moment reads the first words: they
lie in the page that the monitor writes.  Other bundles have no zeros of it in their file."""

_SCRIPT = """\
ENTRY(guest_start)
SECTIONS {{
  . = {rodata:#x};
  .rodata : {{ *(.rodata.snapshot_*) *(.rodata.dispatch) *(.rodata .rodata.*) }}
  ASSERT(SIZEOF(.rodata) == 0 || ADDR(.rodata) == {rodata:#x}, "its constants are not aligned")
  ASSERT(. <= {rodata_end:#x}, "the library OS's constants are larger than they were measured")
  . = {text:#x};
  .text : {{ KEEP(*(.text.entry)) {often} {start}
    rewound_low = .; *(.text.rewound_* .text.stub_rewind_*) rewound_high = .;
    arranging_low = .; *(.text.arranging_*) arranging_high = .; *(.text .text.*) }}
  ASSERT(. <= {text_end:#x}, "the library OS's code is larger than it was measured")
  . = {data:#x};
  .data : {{ *(.bss .bss.[!.]* COMMON) *(.data.*own_memory .data.image .data.stack)
    *dispatch.o(.data .data.*) *gates.o(.data .data.*) *(.data.*current .data.*console_*)
    {kept} *(.data .data.*) }}
  ASSERT(SIZEOF(.data) == 0 || ADDR(.data) == {data:#x}, "the library OS's data is not aligned")
  .bss : {{ *(.bss..table) *(.bss..large) }}
  .stacks (NOLOAD) : {{ *(.bss..stack) }}
  ASSERT(. <= {data_end:#x}, "the library OS's data is larger than it was measured")
  .got : {{ *(.got .got.*) }}
  ASSERT(SIZEOF(.got) == 0, "the library OS needs no global offset table")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
  {symbols}
}}
"""


def link(plan: Plan, folder: Path, cache: Cache) -> tuple[Mapping[str, bytes], Mapping[str, int]]:
    """Link the library OS of ``plan``.

    Returns:
        The contents of the regions that the linker fills, by name, and the symbols.

    Raises:
        Outgrown: it is larger than the plan has room for.
    """
    place = plan.layout
    assert isinstance(place, Layout)
    generated = [folder / "dispatch.o", folder / "gates.o"]
    for each in generated:
        source = each.with_suffix(".c")
        toolchain.compile_object(source, each, flags=library.FLAGS, include=folder)
    script, output = folder / "guest.ld", folder / "guest.elf"
    goes_back = any(call.name == REWIND for call in plan.hypercalls)
    signals = "rewound_signal" if goes_back and "process" in plan.filters else "trap_entry_process"
    kept = _TABLE if plan.options.snapshot else ""
    script.write_text(_script(place, signals, kept), encoding="utf-8")
    try:
        _link(generated, output, script, cache)
    except ToolchainError:
        if most.sizes(cache) == place.library:
            raise
        raise Outgrown(
            f"{plan.image.name}: what stands beside it is larger than its plan has room for",
            hint="plan it again",
        ) from None
    linked = freestanding.read_linked(output)
    for name in layout.ENTRY_OFFSETS:
        if not name.startswith("trap_entry"):
            linked.expect(name, place.entry(name))
    trampolines = plan.rewriting.trampolines.ljust(place.text - place.trampolines, b"\xcc")
    own = next(region.content for region in plan.regions if region.name == "constants")
    constants = (own or b"").ljust(place.rodata - place.constants, b"\0")
    contents = {
        "libos_text": trampolines + linked.sections.get(".text", b""),
        "libos_data": bytes(layout.BOOT_SIZE) + linked.sections.get(".data", b""),
        "constants": constants + linked.sections.get(".rodata", b""),
    }
    return contents, linked.symbols


def _link(generated: Sequence[Path], output: Path, script: Path, cache: Cache) -> None:
    """Link with what is usual, which gives the same as with all, or not enough."""
    try:
        with library.objects(cache, (library.USUAL,)) as known:
            toolchain.link([*generated, *known], output, script)
    except ToolchainError:
        with library.objects(cache) as known:
            toolchain.link([*generated, *known], output, script)


def _script(place: Layout, signals: str, kept: str) -> str:
    given: dict[str, int | str] = {
        "guest_info": place.constants,
        "boot_info": place.boot_info,
        "boot_end": place.data,
        "state_end": place.state_end,
        "trap_frame": place.trap_frame,
        "trap_first": signals,
    }
    return _SCRIPT.format(
        text=place.text,
        often=" ".join(f"*(.text.{name})" for name in _OFTEN),
        start=" ".join(f"*(.text.{name} .text.unlikely.{name})" for name in _START),
        text_end=place.text_end,
        data=place.data,
        kept=kept,
        data_end=place.signal_stack,
        rodata=place.rodata,
        rodata_end=place.rodata_end,
        symbols="\n  ".join(f"{name} = {at};" for name, at in given.items()),
    )
