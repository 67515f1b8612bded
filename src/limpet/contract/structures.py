"""The structures that guest and monitor share, declared once: for C and for :meth:`Struct.pack`."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from limpet.contract.limits import COUNTED_MOST, DEVICE_NAME_SIZE, FRAMES_ROOM, text

_FORMATS = {
    "u8": "B",
    "u16": "H",
    "u32": "I",
    "s32": "i",
    "u64": "Q",
    "s64": "q",
    "guest_addr": "Q",
    "char": "s",
}


@dataclass(frozen=True)
class Field:
    """A member of a shared structure: ``count`` values of ``type``, an integer or a struct."""

    name: str
    type: str
    doc: str
    count: int = 1
    origin: str = "monitor"  # who writes it: "guest", "monitor" or "plan"


@dataclass(frozen=True)
class Struct:
    """A structure with the layout of the x86-64 C ABI, padding spelled out as members."""

    name: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def format(self) -> str:
        """The :mod:`struct` format, little-endian and without implicit padding."""
        return "<" + "".join(_format(field) for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes."""
        return struct.calcsize(self.format)

    def pack(self, values: Mapping[str, int]) -> bytes:
        """Bytes of a structure of scalars; members not named are zero."""
        unknown = values.keys() - {field.name for field in self.fields}
        assert not unknown, f"{self.name} has no member {unknown}"
        return struct.pack(self.format, *(values.get(field.name, 0) for field in self.fields))

    def c_text(self) -> str:
        """The C declaration and an assertion that both sides count the same bytes."""
        members = "".join(
            f"    {_c_type(field.type)} {field.name}"
            f"{f'[{field.count}]' if field.count > 1 else ''}; /* {text(field.doc)} */\n"
            for field in self.fields
        )
        return (
            f"/* {text(self.doc)} */\nstruct {self.name} {{\n{members}}};\n"
            f'_Static_assert(sizeof(struct {self.name}) == {self.size}, "{self.name}");\n'
        )


def _c_type(name: str) -> str:
    return name if name in _FORMATS else f"struct {name}"


def _format(field: Field) -> str:
    if field.type in _FORMATS:
        return f"{field.count}{_FORMATS[field.type]}" if field.count > 1 else _FORMATS[field.type]
    inner = next(struct for struct in SHARED if struct.name == field.type)
    return f"{inner.size * field.count}s"


def _plan(name: str, doc: str) -> Field:
    return Field(name, "u64", doc, origin="plan")


STDIO_INFO = Struct(
    "stdio_info",
    "What the monitor saw of one standard descriptor at start.",
    (
        Field("size", "u64", "st_size"),
        Field("mode", "u32", "st_mode, 0 when the descriptor is closed"),
        Field("rows", "u16", "of the terminal"),
        Field("columns", "u16", "of the terminal"),
        Field("is_tty", "u32", "1 for a terminal"),
        Field("termios", "u8", "struct termios as TCGETS gives it", count=52),
    ),
)

BOOT_INFO = Struct(
    "boot_info",
    "Written once by the monitor before the guest starts.",
    (
        Field("backend", "u64", "{BACKEND_KVM} kvm, {BACKEND_PROCESS} process"),
        Field("argc", "u64", "how many arguments"),
        Field("envc", "u64", "how many environment strings"),
        Field("strings", "u64", "where both lie, each ended by a zero byte"),
        Field("strings_length", "u64", "bytes"),
        Field("realtime", "u64", "the host's real-time clock at start, nanoseconds since 1970"),
        Field("tsc_khz", "u64", "rate of the TSC, 0 when the host did not say"),
        Field("random", "u8", "fresh random bytes", count=16),
        Field("stdio", "stdio_info", "standard input, output, error", count=3),
        Field(
            "nobody",
            "u64",
            "what stands for owners whom the host does not show: user, group 32 bits up; or 0",
        ),
    ),
)

GUEST_INFO = Struct(
    "guest_info",
    "Written by the plan: constants of this one guest, in a read-only page.",
    (
        _plan("entry", "the program's entry point"),
        _plan("phdr", "its program headers in memory, 0 when they are not mapped"),
        _plan("phnum", "how many"),
        _plan("phent", "size of one"),
        _plan("image_lo", "lowest address of the program"),
        _plan("image_hi", "end of its highest page"),
        _plan("text_lo", "the library OS's own code"),
        _plan("text_hi", "its end"),
        _plan("arena_lo", "memory for brk, mmap and the library OS"),
        _plan("arena_hi", "its end"),
        _plan(
            "reserve_lo", "addresses where pages of the arena can be placed, 0 when there are none"
        ),
        _plan("reserve_hi", "their end"),
        _plan("stack_lo", "lowest address of the stack; below it lies an unmapped hole"),
        _plan("stack_hi", "its end"),
        _plan("stack_top", "where the program's part of it ends: words of a start are above"),
        _plan("devices", "struct manifest: the table of devices, 0 when there are none"),
        _plan("tree", "the packed file tree"),
        _plan("tree_size", "bytes, 0 when there is none"),
        _plan("symbols", "table of symbol_entry, sorted by address"),
        _plan("symbols_count", "how many"),
        _plan("environment", "baked environment strings, each ended by a zero byte"),
        _plan("environment_count", "how many"),
        _plan("name", "path of the program in the guest, a C string"),
        _plan("vector_state", "bytes that XSAVE or FXSAVE stores on kvm at least; see CPUID"),
        _plan("start", "where it starts: its entry point, or that of its loader"),
        _plan("loader", "base of its loader, 0 where it has none"),
        _plan("placed", "table of placed_object, by inode and by address alike"),
        _plan("placed_count", "how many"),
        _plan("data", "table of span: what the program can write of itself, in whole pages"),
        _plan("data_count", "how many"),
    ),
)

SPAN = Struct(
    "span",
    "A run of addresses.",
    (
        _plan("low", "the first"),
        _plan("high", "their end"),
    ),
)

SYMBOL_ENTRY = Struct(
    "symbol_entry",
    "One function, for the line that reports a crash.",
    (
        _plan("address", "first byte"),
        _plan("name", "address of a C string"),
    ),
)

PLACED_OBJECT = Struct(
    "placed_object",
    "A shared object of the packed tree that lies in memory already.",
    (
        _plan("inode", "of its file in the packed tree"),
        _plan("base", "where its first page is"),
        _plan("length", "bytes from there to the end of its last segment"),
        _plan("alignment", "bytes, what its segments ask for"),
        _plan("segments", "table of placed_segment, ascending"),
        _plan("segment_count", "how many"),
    ),
)

PLACED_SEGMENT = Struct(
    "placed_segment",
    "A segment of a placed object, in whole pages.",
    (
        _plan("address", "its first page"),
        _plan("size", "bytes of its pages"),
        _plan("offset", "of that page in the file"),
        _plan("file_size", "bytes from there on that come from the file"),
        _plan("writable", "1 or 0"),
        _plan("late", "rights that it gets when the object is loaded, 0 where it has them already"),
    ),
)

TRAP_FRAME = Struct(
    "trap_frame",
    "What a processor exception left; written by the ring-0 stubs (kvm), and the monitor's ticks.",
    (
        Field("vector", "u64", "exception number"),
        Field("error", "u64", "its error code, or 0"),
        Field("address", "u64", "CR2"),
        Field("rip", "u64", "where it happened"),
        Field("rflags", "u64", "flags there"),
        Field("rsp", "u64", "stack pointer there"),
        Field("turn", "u64", "a tick met the library OS: another thread's when its call ends"),
    ),
)

TRACE_RECORD = Struct(
    "trace_record",
    "What the library OS tells of one call; behind it pieces, or an argument block.",
    (
        Field("size", "u32", "bytes, with what stands behind it", origin="guest"),
        Field("kind", "u32", "{TRACE_TIME} to {TRACE_SIGNAL}", origin="guest"),
        Field("thread", "s32", "whose call it is", origin="guest"),
        Field("number", "s32", "of the call", origin="guest"),
        Field("ticks", "u64", "the TSC when it began", origin="guest"),
        Field("took", "u64", "ticks until it was done", origin="guest"),
        Field("result", "s64", "what it gave", origin="guest"),
        Field(
            "arguments",
            "u64",
            "of a system call; of a signal two words of its siginfo",
            count=6,
            origin="guest",
        ),
    ),
)

TRACE_PIECE = Struct(
    "trace_piece",
    "Memory of the program's that an argument names, as it was behind the call.",
    (
        Field("argument", "u32", "which one, from 0 on", origin="guest"),
        Field("length", "u32", "bytes, which stand behind this", origin="guest"),
    ),
)

COUNTS = Struct(
    "counts",
    "How often a guest asked for what, in a page that it shares with who reports its end.",
    (
        Field("calls", "u64", "of each hypercall, by its number", count=COUNTED_MOST),
        Field("bytes_in", "u64", "that hypercalls brought"),
        Field("bytes_out", "u64", "that they took along"),
        Field("counted", "u64", "1 once whoever owns the page counts in it"),
    ),
)

MFT_ENTRY = Struct(
    "mft_entry",
    "A device of a Solo5 manifest (Solo5's include/mft_abi.h).",
    (
        Field("name", "char", "with a zero byte at its end", count=DEVICE_NAME_SIZE),
        Field("type", "u32", "{DEVICE_BLOCK} block, {DEVICE_NET} net"),
        Field(
            "capacity",
            "u64",
            "bytes of a block device; of a network the MAC, then the MTU; "
            "of a volume the user that its monitor is, and from bit 32 on the group",
        ),
        Field("block_size", "u16", "bytes of a sector"),
        Field("read_only", "u16", "1 when it cannot be written (Limpet's own)"),
        Field("pad", "u16", "zero", count=2),
        Field("handle", "u64", "the host's descriptor"),
        Field("attached", "u8", "1 once it is"),
        Field(
            "no_devices", "u8", "1 for a volume below which the host opens no device (Limpet's own)"
        ),
        Field("tail", "u8", "zero", count=6),
    ),
)

HVT_BOOT_INFO = Struct(
    "hvt_boot_info",
    "What an hvt guest is told at start (Solo5's include/hvt_abi.h).",
    (
        Field("mem_size", "u64", "bytes of memory, from address 0 on"),
        Field("kernel_end", "u64", "end of the program"),
        Field("cpu_cycle_freq", "u64", "ticks of the TSC in a second"),
        Field("cmdline", "u64", "address of a C string"),
        Field("mft", "u64", "address of the manifest"),
        Field("host_features", "u32", "zero: there is no network ring, and none is needed"),
        Field("guest_features", "u32", "zero"),
        Field("net_ring", "u64", "0"),
    ),
)

FRAME_HEAD = Struct(
    "frame_head",
    "What stands before a frame in struct frames; the next begins at a multiple of 8 behind it.",
    (
        Field("handle", "u32", "of its network", origin="guest"),
        Field("size", "u32", "bytes", origin="guest"),
    ),
)

FRAMES = Struct(
    "frames",
    "Frames between an hvt guest's shim and its monitor; the guest can write all of it.",
    (
        Field("open", "u32", "1 while the shim may gather frames: the end of that time is set"),
        Field("gathered", "u32", "bytes of frames to send", origin="guest"),
        Field("moved", "u32", "the network that the last hypercall was about, for the monitor"),
        Field("failed", "u32", "1 when the host did not take a frame: the next is not gathered"),
        Field("handle", "u32", "the network of the frames that were brought"),
        Field("brought", "u32", "bytes of them"),
        Field("taken", "u32", "of these, how many the guest has", origin="guest"),
        Field("dry", "u32", "1 when there were no more frames, since the guest went on"),
        Field("sent", "u8", "to send", count=FRAMES_ROOM, origin="guest"),
        Field("ahead", "u8", "brought", count=FRAMES_ROOM),
    ),
)

SPT_BOOT_INFO = Struct(
    "spt_boot_info",
    "What an spt guest is told at start (Solo5's include/spt_abi.h).",
    (
        Field("mem_size", "u64", "bytes of memory, from address 0 on"),
        Field("kernel_end", "u64", "end of the program"),
        Field("cmdline", "u64", "address of a C string"),
        Field("mft", "u64", "address of the manifest"),
        Field("epollfd", "s32", "set of what to wait for"),
        Field("timerfd", "s32", "timer in that set"),
    ),
)

SHARED: tuple[Struct, ...] = (
    STDIO_INFO,
    BOOT_INFO,
    GUEST_INFO,
    SYMBOL_ENTRY,
    SPAN,
    PLACED_OBJECT,
    PLACED_SEGMENT,
    TRAP_FRAME,
    TRACE_RECORD,
    TRACE_PIECE,
    COUNTS,
    MFT_ENTRY,
    HVT_BOOT_INFO,
    FRAME_HEAD,
    FRAMES,
    SPT_BOOT_INFO,
)
