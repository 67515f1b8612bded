"""Every number that guest, monitor, filter, Python and the documents share, declared once.

C has each under its name (``contract.h``), a ``hypercall.toml`` or ``feature.toml`` names it where
a number is wanted (``max = "MAX_TRANSFER"``), and texts name it in braces (``{MAX_TRANSFER}``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from limpet import errors


class Number(int):
    """A shared number and what it is; its name is the variable that holds it."""

    doc: str

    def __new__(cls, value: int, doc: str) -> Number:
        made = super().__new__(cls, value)
        made.doc = doc
        return made

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        """What a copy is made from."""
        return int(self), self.doc

    @property
    def words(self) -> str:
        """As documents say it: whole MiB or KiB where it is that, else the digits."""
        for size, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if self >= size and not self % size:
                return f"{self // size} {unit}"
        return str(int(self))


CONTRACT_VERSION = Number(28, "of this contract: one more whenever guest or monitor sees another")

PORT_BASE = Number(
    0x500,
    "I/O port of hypercall 0; any range would do that no in-kernel device of KVM's answers",
)

MAX_TRANSFER = Number(1 << 20, "the most bytes that a console or block hypercall moves")
HVT_MAX_TRANSFER = Number((1 << 32) - 1, "the most bytes that an hvt block hypercall moves")
UNIKERNEL_MEMORY_MOST = Number(
    4 << 30, "the end of an hvt guest's memory at most: its hypercalls have 32-bit addresses"
)
SPT_MEMORY_MOST = Number(64 << 30, "the end of an spt guest's memory at most: below its monitor")
RESTORED_MOST = Number(4096, "bytes of its data that the program can write again at once: a page")
PLACE_MOST = Number(1 << 30, "the most bytes whose rights or place change at once")
TERMINAL_SIZE = Number(40, "bytes for struct termios, which has 36, in whole words")
SEED_SIZE = Number(48, "bytes of entropy in one hypercall")
LINE_MOST = Number(256, "the most bytes of a line that a monitor writes behind its filter")
NO_REALTIME = Number(1 << 62, "of what a guest waits for: it need not be told the time of day")
EXIT_MOST = Number(255, "the highest exit status")
SIGNAL_STATUS = Number(128, "exit status of a guest that signal 0 would end; signal N is N more")

TRACE_TIME = Number(1, "kind of a record: the time; its arguments are ticks, both clocks, kHz")
TRACE_BEGUN = Number(2, "kind of a record: a system call that may not return soon, or at all")
TRACE_CALL = Number(3, "kind of a record: a system call, and pieces of memory that it is about")
TRACE_HYPERCALL = Number(4, "kind of a record: a hypercall, and its argument block")
TRACE_SIGNAL = Number(5, "kind of a record: a signal that a thread takes; its code is the result")
TRACE_STRING = Number(1, "a piece of memory: up to a zero byte")
TRACE_BYTES = Number(2, "a piece of memory: as long as another argument, or the result, says")
TRACE_TEXT_MOST = Number(256, "bytes of a string that a record has at most")
TRACE_BYTES_MOST = Number(128, "bytes of another piece that a record has at most")

COUNTED_MOST = Number(128, "hypercalls that a page of counts has room for")

TICK_MS = Number(4, "milliseconds of processor time after which a tick comes")
TICK_CLOCK = Number(2, "the clock of ticks: ITIMER_PROF, the processor time of the process")
TICK_SIGNAL = Number(27, "the signal of a tick: SIGPROF, which nothing else is used for")
TICK_VECTOR = Number(32, "trap_frame.vector of a tick: behind those of the processor")

SIGNAL_SIZE = Number(128, "bytes of a signal in its descriptor: struct signalfd_siginfo")
HEARD_SIGNALS = Number(
    0x8024A03,
    "what a guest can hear from outside: SIGHUP INT USR1 USR2 TERM CONT WINCH, each its bit",
)

REWIND_AT = Number(
    0x2000800000, "where a monitor has what it takes a guest back to: vector registers first"
)
REWIND_COPIES = Number(3 << 36, "how far behind a guest's page its copy is")
REWOUND_AT = Number(
    0x1FFC000000, "where the monitor of a process has what it takes its guest back to, read only"
)
REWOUND_SIZE = Number(32 << 20, "bytes of that")
NOTED_AT = Number(
    0x1FFDFFF000, "its last page: the faults until all of the guest's pages were known last"
)
REWOUND_WORK = Number(0x1FFE000000, "where it works when it does: nothing is there before or after")
REWOUND_WORK_SIZE = Number(128 << 10, "bytes of that")
SINGLY_FD = Number(
    123, "descriptor by which the host maps pages one by one, until a process is kept"
)
PAGES_FD = Number(124, "descriptor of what the host knows of the pages of a process")
PLACES_FD = Number(
    125,
    "descriptor of what the host knows of their places and rights; not for programs that would be "
    "started (FD_CLOEXEC) where something was mapped otherwise since a process was taken back",
)
PAGES_ASKED = Number(0xC0606610, "PAGEMAP_SCAN: which pages are not the file's")
PLACES_ASKED = Number(0xC0686611, "PROCMAP_QUERY: what is mapped next")
PAGES_DROPPED = Number(4, "MADV_DONTNEED: pages are the file's again, or zeros")

STDIN = Number(0, "descriptor")
STDOUT = Number(1, "descriptor")
STDERR = Number(2, "descriptor")
FIRST_FD = Number(3, "the first descriptor that is not a standard one")
KVM_FD = Number(3, "descriptor of /dev/kvm while the virtual machine is set up")
VCPU_FD = Number(5, "descriptor of the one vCPU")
SIGNAL_FD = Number(3, "descriptor of signals from outside, of a Linux program")
TRACE_FD = Number(4, "descriptor of the records of what a Linux program asks for")
VM_FD = Number(126, "descriptor of a virtual machine that is taken back to how it was kept")
EPOLL_FD = Number(3, "descriptor of what an spt guest waits for")
TIMER_FD = Number(4, "descriptor of an spt guest's timer")
DEVICE_FD = Number(16, "device N has the descriptor N behind this one, from 1 on")
PARKED_FD = Number(128, "from here on devices wait until all of them are attached")
NAMER_FD = Number(127, "descriptor of the pair with the process that changes names below volumes")
SLOT_FD = Number(128, "what a guest opens on the host has the descriptors from here on")
SLOT_COUNT = Number(1024, "how many of those there are at most")

BACKEND_KVM = Number(1, "boot_info.backend: a virtual machine")
BACKEND_PROCESS = Number(2, "boot_info.backend: a jailed process")

DEVICE_BLOCK = Number(1, "type of a block device in the table")
DEVICE_NET = Number(2, "type of a network in the table")
DEVICE_VOLUME = Number(3, "type of a folder of the host's in the table; its name is where it is")
MAX_DEVICES = Number(63, "the most devices of a guest; each is a bit of a word")
DEVICE_NAME_SIZE = Number(68, "bytes of a device's name, with a zero byte at its end")
INTERFACE_NAME_SIZE = Number(16, "bytes of an interface's name, with a zero byte (IFNAMSIZ)")

HOW_NO_FOLLOW = Number(1, "a way to open: the last name is no symbolic link")
HOW_FOLDER = Number(2, "a way to open, to read: only a folder")
HOW_PATH = Number(4, "a way to open, to read: only to tell what it is")
HOW_WRITES = Number(8, "the first way to open that writes")
HOW_CUTS = Number(2, "a way to open that writes: the file is empty then")
HOW_READS_TOO = Number(4, "a way to open that writes: and reads")
HOW_NEW = Number(16, "the first way to open a file that is new: to read, to write, to do both")
HOW_MODES = Number(10, "how many modes a new file can have at once; three ways for each")
HOW_COUNT = Number(46, "how many ways to open there are")
HOW_SIZE = Number(24, "bytes of struct open_how, one for each way")
VOLUME_PATH_MOST = Number(4096, "bytes of a path below a volume, with a zero byte at its end")
SEEK_HOLE_KIND = Number(4, "the highest kind of lseek: where the next hole is")
OFFSET_END = Number(1 << 63, "behind the last offset in a file; -1 would be the file's own")
VOLUME_NAMES_MOST = Number(8192, "bytes of two paths below a volume")
MODE_MOST = Number(0o1777, "the highest mode of a file or folder: no set-ID bit")
OWNER_ASKED = Number(
    9,
    "what a process beside the guest's is asked, behind NAME_* of the library OS: whose a file is",
)
LOCK_WHOLE = Number(0, "a lock of a file below a volume: flock")
LOCK_SET = Number(1, "a lock of a file below a volume: F_OFD_SETLK")
LOCK_TELL = Number(2, "a lock of a file below a volume: F_OFD_GETLK")
VOLUME_AHEAD = Number(4096, "bytes of a file that are read as it is opened, on kvm")
STAT_BYTES = Number(144, "bytes of struct stat, which is larger than struct statfs")

SECTOR_LEAST = Number(512, "bytes of the smallest sector, and of one where nothing is said")
SECTOR_MOST = Number(32768, "bytes of the largest sector")

BROKER_RESOLVER = Number(0, "what a broker is asked for: a way to ask for names")
BROKER_TCP = Number(1, "what a broker is asked for: a TCP connection")
BROKER_UDP = Number(2, "what a broker is asked for: a UDP socket that is connected")
BROKER_FAMILY = Number(3, "what a broker is told: a kind of socket that there is not, for its log")
SOCKET_TAKE = Number(0x40000000, "MSG_CMSG_CLOEXEC, with which a connection is taken")
PORTER_ASKS = Number(3, "descriptor of a porter's, over which a guest asks it for sockets")
PORTER_PORTS = Number(4, "a porter's ports of UDP have the descriptors from here on")
PORTER_PAIRS = Number(36, "and from here on those over which the guest has their datagrams")
PORTER_END = Number(68, "a porter has no descriptor from here on")
DATAGRAM_MOST = Number(65536, "more bytes than a datagram of UDP can have")
DESTINATIONS_MOST = Number(64, "the most names and networks that a guest may connect to")
SOCKETS_USUAL = Number(1024, "connections that a guest has at once where nothing is said")
SOCKETS_MOST = Number(16384, "the most connections that a guest can be given")
PUBLISHED_MOST = Number(32, "the most ports of the host that lead to a guest")
ENDPOINTS_MOST = Number(64, "the most endpoints that a guest may connect to")
INHERITED_FD = Number(192, "sockets that the starter gives wait from here on for their places")
INHERITED_BY_NAME = Number(255, "in the place of such a socket's number: it has a name")
SOCKET_ADDRESS_SIZE = Number(28, "bytes of the largest address of a socket: struct sockaddr_in6")
SOCKET_VALUE_SIZE = Number(8, "bytes of the largest value of a socket's option")
SOCKET_EVENTS_MOST = Number(64, "the most events of sockets that one hypercall tells")
SOCKET_SENDS_MOST = Number(64, "the most connections that one hypercall sends over")
SOCKET_ACCEPTS_MOST = Number(16, "the most connections that a wait takes from published ports")
SOCKET_ROOM = Number(4096, "bytes of a room for what comes with an event, with their number")
SOCKET_NOT_TAKEN = Number(1 << 32, "in a room: nothing was taken from that connection")
SOCKET_IS_STREAM = Number(1, "with a slot in an event: it is a stream, which can be taken from")
EPOLL_EVENT_SIZE = Number(12, "bytes of struct epoll_event on x86-64")
PUBLISHED_TEXT_SIZE = Number(64, "bytes of a published port in words, with a zero byte")
CHOICE_NAME_SIZE = Number(32, "bytes of a name that a start chooses for, with a zero byte")
CHOICE_TEXT_SIZE = Number(64, "bytes of what it may choose at most in words, with a zero byte")
SOCKET_FLAGS = Number(0x80800, "SOCK_NONBLOCK and SOCK_CLOEXEC, which every connection has")
SOCKET_PEEK = Number(2, "MSG_PEEK")
SOCKET_SEND = Number(0x4000, "MSG_NOSIGNAL, with which everything is sent")
SOCKET_SEND_MORE = Number(0xC000, "MSG_NOSIGNAL and MSG_MORE")
SOCKET_THEN_TELL = Number(
    2, "with a send's flags, on kvm: where it comes short, room for more is told from then on"
)
SOCKET_THEN_CLOSE = Number(
    4, "with a send's flags, in a batch: where all was sent, the connection is closed"
)
SOCKET_CLOSE = Number(3, "socket_close.how: it is closed; 0 to 2 are those of shutdown(2)")

ETHERNET_HEADER = Number(18, "bytes of a frame before its payload, a VLAN tag included")
MTU_LEAST = Number(68, "bytes of the least MTU (RFC 791)")
MTU_MOST = Number(65521, "bytes of the largest MTU of a TAP interface")
MTU_USUAL = Number(1500, "bytes of the MTU where nothing is said")
FRAME_MOST = Number(64 << 10, "the most bytes of an Ethernet frame in a hypercall")

COMMAND_LINE_MOST = Number(8191, "the most characters of a unikernel's command line")
FRAMES_ROOM = Number(64 << 10, "bytes of frames each way that an hvt guest moves without an exit")
FRAMES_US = Number(500, "microseconds that a frame waits at most while its guest computes")
FRAMES_SIGNAL = Number(26, "the signal that ends this time: SIGVTALRM, used for nothing else")
SPT_TIMER_DATA = Number(0xFFFFFFFE, "what epoll says of an spt guest's timer")

SOLO5_OK = Number(0, "solo5_result_t: done")
SOLO5_AGAIN = Number(1, "solo5_result_t: nothing there yet")
SOLO5_EINVAL = Number(2, "solo5_result_t: the request is not valid")
SOLO5_EUNSPEC = Number(3, "solo5_result_t: the host could not")

STATUS_DEADLOCK = Number(121, "exit status: the program waits for what can never happen")
STATUS_REFUSED = Number(122, "exit status: the guest broke the hypercall contract")
STATUS_OUTPUT = Number(123, "exit status: it wrote more than --max-output")
STATUS_TIMEOUT = Number(124, "exit status: it ran longer than --timeout")
STATUS_CANNOT_START = Number(errors.CANNOT_START, "exit status: it could not be started")
TENDER_STATUS = Number(1, "exit status of Solo5's tenders for whatever is wrong")


class ExitStatuses(NamedTuple):
    """With which exit status a monitor says what (docs/exit-status.md)."""

    refused: int = STATUS_REFUSED
    output: int = STATUS_OUTPUT
    timeout: int = STATUS_TIMEOUT
    cannot_start: int = STATUS_CANNOT_START


PROGRAM_STATUSES = ExitStatuses()
"""Of a Linux program's monitor."""

UNIKERNEL_STATUSES = ExitStatuses(refused=TENDER_STATUS, cannot_start=TENDER_STATUS)
"""Of a unikernel's, as Solo5's tenders end; the guest's own statuses pass through."""


@cache
def numbers() -> Mapping[str, Number]:
    """Every shared number by its name, in the order of their declaration."""
    return {name: value for name, value in globals().items() if isinstance(value, Number)}


def number(given: int | str) -> int:
    """A number that a declaration gives as such or by its name.

    Raises:
        KeyError: there is no such name.
    """
    return given if isinstance(given, int) else numbers()[given]


def text(given: str) -> str:
    """``given`` with the shared numbers that it names in braces.

    Raises:
        KeyError: there is no such name.
    """
    return given.format_map(_words())


@cache
def _words() -> Mapping[str, str]:
    return {name: each.words for name, each in numbers().items()}
