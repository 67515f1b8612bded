"""Where the host refuses the filter, no guest code runs: not even the handler of a fault."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.bundles import Maker

SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
ALLOW, EPERM = 0x7FFF0000, 0x50001
SAYS = '#include <stdio.h>\nint main(void) { return puts("ran"); }\n'


def refuse_filters() -> None:
    """From here on ``seccomp`` gives EPERM to this process and what it starts."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, NUMBERS["seccomp"]), (6, 0, 0, EPERM), (6, 0, 0, ALLOW)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    described = struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(program))
    libc = ctypes.CDLL(None)
    if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER, described):
        os._exit(99)


def test_no_filter_no_guest(make: Maker, backend: Backend) -> None:
    """It ends with 125; in a process nothing can be said any more."""
    made = make(make.compile(SAYS, "says"), backend)
    assert made.run().stdout == b"ran\n"
    done = subprocess.run([made.path], preexec_fn=refuse_filters, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (125, b"")
    line = b"limpet: the host refuses the system call filter\n"
    assert done.stderr == (line if backend == "kvm" else b"")
