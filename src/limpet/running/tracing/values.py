"""One argument or result as a person reads it.

Whatever text is in it is the guest's: it is shown in ASCII with escapes, so that nothing of it
reaches a terminal as anything but text.
"""

from __future__ import annotations

import ipaddress
import stat
import struct
from collections.abc import Callable, Iterator, Mapping

from limpet.arch.x86_64.call_arguments import Argument, arguments
from limpet.arch.x86_64.syscalls import NAMES
from limpet.running.tracing import names
from limpet.running.tracing.records import Record
from limpet.running.tracing.signals import name as signal_name

SHOWN = 32
"""Bytes of memory that a line shows."""

_ESCAPES = {0: "\\0", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}
_AT_FDCWD = -100
_MANY = 32
"""Signals of a set from which on those are shown that are not in it."""

_FIRST_VECTOR = 16  # trace.c: VECTOR_PIECE
_HEXADECIMAL = frozenset(
    ["mmap", "mremap", "brk", "shmat"]  # what these give is an address
)
_VARIADIC: Mapping[str, Callable[[Record], int]] = {
    "open": lambda r: 3 if r.arguments[1] & 0x400040 else 2,  # O_CREAT or O_TMPFILE
    "openat": lambda r: 4 if r.arguments[2] & 0x400040 else 3,
    "fcntl": lambda r: 2 if r.arguments[1] & 0xFFFFFFFF in (1, 3, 1032) else 3,
    "mremap": lambda r: 5 if r.arguments[3] & 2 else 4,
}
"""How many arguments a call has that may have fewer."""


def name_of(record: Record) -> str:
    """The name of a call, or its number as one."""
    return record.name or NAMES.get(record.number) or f"syscall_{record.number:#x}"


def shown(data: bytes, most: int = SHOWN, *, cut: bool = False) -> str:
    """Bytes as a string of C; ``cut``: there were more of them."""
    text = "".join(_ESCAPES.get(each) or _visible(each) for each in data[:most])
    return f'"{text}"{"..." if cut or len(data) > most else ""}'


def _visible(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"


def arguments_of(record: Record, most: int = SHOWN) -> list[str]:
    """The arguments of a call, each as text."""
    name = name_of(record)
    if record.name:
        return list(record.shown)
    known = arguments().get(name)
    if known is None:
        return [_hexadecimal(each) for each in record.arguments]
    count = _VARIADIC[name](record) if name in _VARIADIC else len(known)
    return [_argument(each, index, record, most) for index, each in enumerate(known[:count])]


def result_of(record: Record) -> str:
    """What a call gave, errors by their names."""
    name = name_of(record)
    if name == "rt_sigreturn":
        return "?"
    if record.name:
        return str(record.result)
    if names.is_error(record.result):
        return names.error(record.result)
    return hex(record.result) if name in _HEXADECIMAL else str(record.result)


def _argument(argument: Argument, index: int, record: Record, most: int) -> str:
    value, piece = record.arguments[index], record.pieces.get(index)
    low = value & 0xFFFFFFFF
    match argument.kind:
        case "fd":
            return "AT_FDCWD" if _signed(low) == _AT_FDCWD else str(_signed(low))
        case "int":
            return str(_signed(low)) if low == value or value >> 32 == 0xFFFFFFFF else str(value)
        case "mode":
            return f"0{value & 0xFFFF:o}"
        case "hex":
            return _hexadecimal(value)
        case "one":
            return names.one(argument.names, low)
        case "flags":
            return names.flags(argument.names, low)
    if piece is None:
        return _hexadecimal(value)
    return _memory(argument, piece, record, most) or _hexadecimal(value)


def _memory(argument: Argument, piece: bytes, record: Record, most: int) -> str | None:
    """What a piece of memory holds; ``None``: it is too short for that."""
    if argument.kind == "path":
        text, zero, _ = piece.partition(b"\0")
        return shown(text, len(piece), cut=not zero)
    if argument.kind == "bytes":
        length = record.result if argument.names == "r" else record.arguments[int(argument.names)]
        return shown(piece, most, cut=len(piece) < length)
    if argument.kind == "vector":
        return _vectors(piece, record, most)
    try:
        return _STRUCTURES[argument.kind](piece)
    except (struct.error, ValueError):
        return None


def _vectors(piece: bytes, record: Record, most: int) -> str:
    found = []
    for index in range(len(piece) // 16):
        base, length = struct.unpack_from("<QQ", piece, 16 * index)
        data = record.pieces.get(_FIRST_VECTOR + index)
        text = _hexadecimal(base) if data is None else shown(data, most, cut=len(data) < length)
        found.append(f"{{iov_base={text}, iov_len={length}}}")
    return f"[{', '.join(found)}]"


def _hexadecimal(value: int) -> str:
    return hex(value) if value else "0"


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _pairs(form: str, *members: str) -> Callable[[bytes], str]:
    def text(piece: bytes) -> str:
        values = struct.unpack_from(form, piece)
        return "{" + ", ".join(f"{m}={v}" for m, v in zip(members, values, strict=True)) + "}"

    return text


def _twice(form: str, first: str, second: str, *members: str) -> Callable[[bytes], str]:
    each = _pairs(form, *members)
    size = struct.calcsize(form)
    return lambda piece: f"{{{first}={each(piece)}, {second}={each(piece[size:])}}}"


def _stat(piece: bytes) -> str:
    mode, size = struct.unpack_from("<24xI20xQ", piece)
    kinds = ("REG", "DIR", "CHR", "BLK", "IFO", "LNK", "SOCK")
    kind = [f"S_IF{k}" for k in kinds if stat.S_IFMT(mode) == getattr(stat, f"S_IF{k}")]
    kind = kind or [oct(stat.S_IFMT(mode))]
    return f"{{st_mode={kind[0]}|0{stat.S_IMODE(mode):o}, st_size={size}, ...}}"


def _signals(mask: int) -> str:
    others = mask.bit_count() > _MANY
    found = (signal_name(i + 1).removeprefix("SIG") for i in range(64) if (mask >> i & 1) != others)
    return f"{'~' if others else ''}[{' '.join(found)}]"


def _sigset(piece: bytes) -> str:
    return _signals(*struct.unpack_from("<Q", piece))


def _sigaction(piece: bytes) -> str:
    handler, flags, _, mask = struct.unpack_from("<QQQQ", piece)
    text = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler) or hex(handler)
    return f"{{sa_handler={text}, sa_mask={_signals(mask)}, sa_flags={flags:#x}}}"


def _pair(piece: bytes) -> str:
    return "[{}, {}]".format(*struct.unpack_from("<ii", piece))


def _number(piece: bytes) -> str:
    return "[{}]".format(*struct.unpack_from("<i", piece))


def _sockaddr(piece: bytes) -> str:
    (family,) = struct.unpack_from("<H", piece)
    name = names.one("domain", family)
    if name == "AF_UNIX":
        path = piece[2:].partition(b"\0")[0] if piece[2:3] != b"\0" else piece[2:]
        return f"{{sa_family={name}, sun_path={shown(path, 108)}}}"
    if name in ("AF_INET", "AF_INET6"):
        (port,) = struct.unpack_from(">H", piece, 2)
        packed = piece[4:8] if name == "AF_INET" else piece[8:24]
        return f"{{sa_family={name}, port={port}, address={ipaddress.ip_address(packed)}}}"
    return f"{{sa_family={name}, ...}}"


def _elements(form: str, text: Callable[..., str]) -> Callable[[bytes], str]:
    size = struct.calcsize(form)

    def every(piece: bytes) -> str:
        return f"[{', '.join(_each(form, size, text, piece))}]"

    return every


def _each(form: str, size: int, text: Callable[..., str], piece: bytes) -> Iterator[str]:
    for at in range(0, len(piece) - size + 1, size):
        yield text(*struct.unpack_from(form, piece, at))


def _pollfd(fd: int, events: int, ready: int) -> str:
    seen = f", revents={names.flags('events', ready)}" if ready else ""
    return f"{{fd={fd}, events={names.flags('events', events)}{seen}}}"


def _event(events: int, data: int) -> str:
    return f"{{events={names.flags('epoll_events', events)}, data={data:#x}}}"


_STRUCTURES: Mapping[str, Callable[[bytes], str]] = {
    "stat": _stat,
    "sigaction": _sigaction,
    "sigset": _sigset,
    "timespec": _pairs("<qq", "tv_sec", "tv_nsec"),
    "timeval": _pairs("<qq", "tv_sec", "tv_usec"),
    "itimerspec": _twice("<qq", "it_interval", "it_value", "tv_sec", "tv_nsec"),
    "itimerval": _twice("<qq", "it_interval", "it_value", "tv_sec", "tv_usec"),
    "rlimit": _pairs("<QQ", "rlim_cur", "rlim_max"),
    "pair": _pair,
    "number": _number,
    "sockaddr": _sockaddr,
    "address": _sockaddr,
    "pollfd": _elements("<iHH", _pollfd),
    "events": _elements("<IQ", _event),
    "event": lambda piece: _event(*struct.unpack_from("<IQ", piece)),
}
