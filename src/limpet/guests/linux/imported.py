"""What a dynamic program asks for by the functions of its C library that it calls."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping

from limpet.formats.image import Image
from limpet.guests.linux import unserved
from limpet.guests.linux.requests import Request
from limpet.guests.linux.unserved import Want
from limpet.loading.links import Links

_ASKING: Mapping[str, str] = {
    "posix_spawn": "fork",
    "posix_spawnp": "fork",
    "system": "fork",
    "popen": "fork",
    "execv": "execve",
    "execvp": "execve",
    "execvpe": "execve",
    "execl": "execve",
    "execlp": "execve",
    "execle": "execve",
    "fexecve": "execveat",
    "getaddrinfo": "socket",
    "gethostbyname": "socket",
    "mq_receive": "mq_timedreceive",
    "mq_send": "mq_timedsend",
}
"""The system call behind each function that is not called like it."""

_THREADS = frozenset(
    {"pthread_create", "thrd_create", "clone", "timer_create", "mq_notify", "getaddrinfo_a"}
    | {"aio_read", "aio_write", "aio_fsync", "lio_listio"}
    | {"aio_read64", "aio_write64", "aio_fsync64", "lio_listio64"}
)
"""Functions of a C library that start a thread."""

_THROUGH = re.compile(rb"\xff(?=[\x15\x25](....))", re.DOTALL)
"""``call`` and ``jmp`` through a slot; the latter is how a procedure linkage table ends."""


def want_of(function: str, table: Mapping[str, Want]) -> tuple[Want, str] | None:
    """What who calls ``function`` wants that is not served, and the system call for it."""
    call = _ASKING.get(function, function)
    if call == "socket":
        return unserved.SOCKETS, call
    want = table.get(call)
    return (want, call) if want and want.what != unserved.OTHERS else None


def imported_requests(image: Image) -> Iterator[Request]:
    """Where the code of ``image`` asks for something by way of another object."""
    table = unserved.wants_by_call()
    wanted = {
        slot: found for slot, name in image.imports.items() if (found := want_of(name, table))
    }
    for segment in image.executable if wanted else ():
        for match in _THROUGH.finditer(segment.data):
            at = segment.address + match.start()
            (offset,) = struct.unpack("<i", match[1])
            if found := wanted.get(at + 6 + offset):
                yield Request(found[0], found[1], at)


def may_start_threads(links: Links) -> bool:
    """Whether a file asks its C library for a thread."""
    return links.named is None or not _THREADS.isdisjoint(links.wanted | links.named)
