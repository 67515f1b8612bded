"""A guest that is kept in a process, and comes to the code of its monitor in every wrong way."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import limpet
from limpet.contract.limits import NOTED_AT, REWOUND_AT, REWOUND_WORK
from limpet.guests.linux.layout import RESERVE, Layout
from limpet.running.snapshot import snapshot
from tests.support import SUPPORT
from tests.support.bundles import Maker, once

PROGRAM = SUPPORT / "programs" / "jumped.c"
OPTIONS = limpet.Options(
    backends=("process",),
    snapshot=True,
    features=("rewind", "signals", "rights"),
    memory=32 << 20,
)
END = bytes(8)
LABELS = (
    "rewound_go",
    "host_rewind_write",
    "host_rewind_sendto",
    "rewound_high",
    "host_place_mremap",
    "host_protect_mprotect",
    "host_rewind_madvise",
    "host_rewind_ioctl",
    "host_rewind_pkey_mprotect",
    "host_rewind_still",
)
INSIDE = (
    "host_rewind_fcntl",
    "signal_entry",
    "host_rewind_write",
    "trap_entry_process",
    "host_rewind_pkey_mprotect",
    "host_rewind_still",
    "host_protect_mprotect",
    "host_rewind_ioctl",
    "host_rewind_getrusage",
    "host_rewind_sendto",
)
"""Where a signal meets it, and where it may go and may not; where a number is noted, and that all
is mapped as it was; where that becomes other; where the kernel is asked what is mapped, and for the
number; and its end."""


@dataclass(frozen=True)
class Made:
    """A snapshot of the guest that can be kept, and the addresses that it is told."""

    path: Path
    addresses: bytes
    inside: tuple[int, ...]  # of INSIDE


def made_by(make: Maker) -> Made:
    """One for all attacks."""
    guest = make.compile(PROGRAM.read_text(encoding="utf-8"), "jumped", "-O1")
    told, inside = make.folder / "jumped.addresses", make.folder / "jumped.inside"

    def make_it(new: Path) -> None:
        bundle = snapshot(limpet.plan(limpet.load(guest), OPTIONS), [hex(REWOUND_WORK)]).bundle
        known = {**bundle.symbols, **bundle.monitor.symbols}
        place = bundle.plan.layout
        assert isinstance(place, Layout)
        own = place.boot_info, place.state_end
        assert own[0] < own[1]  # or nothing is looked at
        others = (*own, RESERVE[0] + (1 << 20), REWOUND_AT, REWOUND_WORK)
        labels = (known[each] for each in LABELS)
        told.write_bytes(struct.pack("<17Q", *labels, *others, place.arena[0], NOTED_AT))
        inside.write_bytes(struct.pack(f"<{len(INSIDE)}Q", *(known[each] for each in INSIDE)))
        bundle.write(new)

    path = once(make.folder / "jumped.process", make_it)
    return Made(path, told.read_bytes(), struct.unpack(f"<{len(INSIDE)}Q", inside.read_bytes()))


@dataclass
class Guest:
    """One that is kept, and the other end of its standard input."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    addresses: bytes

    def finds(self) -> bytes:
        """What it says as it goes on."""
        assert self.process.stdout
        out, found = self.process.stdout.fileno(), b""
        while not found.endswith(b"\n") and select.select([out], [], [], 30)[0]:
            found += os.read(out, 4096) or b"the end\n"
        return found

    def told(self, how: str, more: bytes = b"") -> bytes:
        """What comes out of its standard input when it has been told how to come there."""
        self.line.sendall(how.encode().ljust(8) + self.addresses + more)
        return heard_of(self.line)


def heard_of(line: socket.socket) -> bytes:
    """What comes out of its standard input, up to a word and its end."""
    found = b""
    with suppress(OSError):
        while len(found) < 16 and (part := line.recv(16 - len(found))):
            found += part
    return found


@contextmanager
def kept(
    made: Made, before: str = ".", refuses: Callable[[], None] | None = None
) -> Iterator[Guest]:
    """The guest, kept once it has done something before, on a host that refuses something."""
    ours, theirs = socket.socketpair()
    pipe = subprocess.PIPE
    with (
        ours,
        subprocess.Popen(
            [made.path],
            stdin=theirs.fileno(),
            stdout=pipe,
            stderr=pipe,
            preexec_fn=refuses,  # noqa: PLW1509
        ) as run,
    ):
        theirs.close()
        ours.settimeout(30)
        try:
            guest = Guest(run, ours, made.addresses)
            guest.finds()
            if before:
                assert guest.told(before) == b"keep it\0" + END
            yield guest
        finally:
            run.kill()
