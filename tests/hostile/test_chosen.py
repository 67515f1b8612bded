"""A hostile guest whose start chose an endpoint: it writes, moves and replaces what was chosen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.formats.manifest import declared
from limpet.planning.choices import CHOICE, choices_at
from tests.hostile.guest import WROTE, End, Hostile, fault
from tests.hostile.test_sockets import KILLED, stubs_of
from tests.support.bundles import Made, Maker

FAULT = 2**64 - 14
CONNECT = ("api=127.0.0.0/8:1024-65535/tcp", "db=127.0.0.0/8:1024-65535/tcp")


@dataclass(frozen=True)
class Given:
    """All attacks, and the table of what was chosen."""

    hostile: Hostile
    made: Made
    words: tuple[str, ...]
    listener: socket.socket

    @property
    def table(self) -> int:
        """The place of the first."""
        return choices_at(self.hostile.place.devices, declared(()))


@pytest.fixture
def given(make: Maker, backend: Backend) -> Iterator[Given]:
    """Both lead where nobody listens; a listener of ours is within their bound."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        hostile = Hostile(make, backend)
        made = hostile.made(connect=CONNECT, sockets=8)
        words = ("--connect:api=127.0.0.1:1024", "--connect:db=127.0.0.1:1025", "--")
        yield Given(hostile, made, words, there)
        there.settimeout(0)
        with pytest.raises(BlockingIOError):
            there.accept()


def test_the_table(given: Given) -> None:
    """No write of the guest's or for the guest's changes it, by whatever name it goes."""
    table, evil = given.table, b"\2\0\x04\x00"
    tries: list[tuple[End, tuple[object, ...]]] = [(fault(WROTE, table), ("poke", table))]
    efault = End(0, "", "-14\nsurvived\n")
    tries.append((efault, ("call", NUMBERS["read"], 0, table, 4)))
    if given.hostile.backend == "kvm":
        ports = {call.name: call.port for call in limpet.contract.hypercalls()}
        at = given.hostile.place.state_end - 4096
        refused = End(0, "", f"{table:x} 4 {FAULT:x} 0\nsurvived\n")
        tries.append((refused, ("block", ports["console_in"], at, table, 4, 0, 0)))
    for end, words in tries:
        ran = given.made.run(*given.words, *map(str, words), stdin=evil, timeout=20)
        line = end.line.replace("FUNCTION", "(do_)?poke").replace("BACKEND", given.hostile.backend)
        assert End(end.status, line, end.stdout).met(ran), ran


def test_calls_of_a_process(given: Given) -> None:
    """The stub connects to places of the table alone: not between, behind or beside them."""
    if given.hostile.backend == "kvm":
        pytest.skip("no stubs")
    (at,) = stubs_of(given.made)["connect"]
    slot, table, size = 129, given.table, CHOICE.size
    own = given.hostile.place.arena[0] + (16 << 20)
    slot = next(
        low
        for rule in limpet.audit.inspect.audit(given.made.path).filters[0].rules
        if rule.call == "connect"
        for low, _ in rule.arguments[0]
    )
    for place in (own, table + 2, table - 16, table + 2 * size, table + size // 2):
        words = map(str, (at, NUMBERS["connect"], slot, place, 16))
        ran = given.made.run(*given.words, "jump_call", *words, timeout=20)
        assert (ran.status, ran.stdout) == (KILLED, b""), place
    for place in (table, table + size):  # an empty slot
        words = map(str, (at, NUMBERS["connect"], slot, place, 16))
        ran = given.made.run(*given.words, "jump_call", *words, timeout=20)
        assert ran.stdout == b"-9\nsurvived\n", ran
    for call in ("mprotect", "mmap", "munmap", "mremap", "madvise", "brk", "process_vm_writev"):
        words = map(str, (at, NUMBERS[call], table // 4096 * 4096, 4096, 3))
        ran = given.made.run(*given.words, "jump_call", *words, timeout=20)
        assert (ran.status, ran.stdout) == (KILLED, b""), call


def test_nothing_to_choose(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """Where a start chooses nothing such a word is refused, and not the program's."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    made = Hostile(make, backend, ("block:data",)).made()
    for word in ("--connect:api=192.0.2.1:443", "-p:web=80", "--publish:web=80"):
        ran = made.run(f"--block:data={disk}", word, "ready")
        assert (ran.status, ran.stdout) == (125, b"")
        assert ran.stderr.decode().startswith(f"limpet: {word}: a start chooses nothing here")
