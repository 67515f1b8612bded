"""What a start chooses is told with its bound only where the table is seen to hold still."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.chosen import reopens
from limpet.audit.monitor_code import NO_FILTER, Call
from limpet.contract import BACKENDS, Backend
from limpet.contract.pages import PAGE
from tests.support import SUPPORT
from tests.support.audited import EVERY
from tests.support.bundle_edit import Edited
from tests.support.bundles import Maker

ECHO = SUPPORT / "programs" / "echo.c"
CONNECT = ("api=10.0.0.0/8:443/tcp", "192.0.2.1:80/tcp")
TOLD = {"chosen at start as api, at most 10.0.0.0/8:443", "192.0.2.1:80"}
UNTOLD = {"anywhere", "192.0.2.1:80"}
_WRITES = 2


def edited(make: Maker, backend: Backend) -> Edited:
    """A bundle of a program with threads, whose memory changes its rights."""
    program = make.compile(ECHO.read_text(encoding="utf-8"), "echo", "-pthread")
    return Edited(make(program, backend, connect=CONNECT).path)


def table(of: Edited) -> int:
    """Where what a start fills is."""
    return next(each.address for each in of.bundle.parts if each.name == "devices")


@EVERY
def test_as_it_is_made(make: Maker, backend: Backend) -> None:
    """Closed before the filter, and nothing opens it again."""
    assert set(edited(make, backend).audit().endpoints) == TOLD


@EVERY
def test_not_closed(make: Maker, backend: Backend) -> None:
    """A monitor that makes less of it read-only, or only part of a place."""
    changed = edited(make, backend)
    (call,) = (each for each in changed.audit().calls if each.calls == ("mprotect",))
    code = changed.bundle.memory(call.address - 64, 64)
    (size,) = (len(_content(changed)),)
    at = code.rindex(b"\xbe" + struct.pack("<I", size))  # mov $SIZE, %esi
    for less in (8, size - 1):
        changed.poke(call.address - 64 + at + 1, struct.pack("<I", less))
        assert set(changed.audit().endpoints) == UNTOLD


def _content(of: Edited) -> bytes:
    """The table without what fills its page."""
    part = next(each for each in of.bundle.parts if each.name == "devices")
    content = of.bundle.content(part)
    (count,) = struct.unpack_from("<I", content, 4)
    assert count == 1
    return content[: 8 + 104 + 150] if content else content


@pytest.mark.parametrize("name", ["mprotect", "mmap", "munmap", "mremap", "remap_file_pages"])
def test_opened_again(make: Maker, name: str) -> None:
    """A monitor that closes it, and gives it other rights or pages as well: what unmapped does."""
    changed = edited(make, "process")
    unmaps = b"\xb8\x0b\0\0\0\xbf"  # mov $11, %eax; mov $..., %edi
    takes = b"\xb8" + struct.pack("<I", NUMBERS[name]) + b"\xbf"
    places = (each.address - 12 for each in changed.audit().calls if each.calls == ("munmap",))
    at = next(each for each in places if changed.bundle.memory(each, 6) == unmaps)
    changed.poke(at, takes + struct.pack("<I", table(changed)))
    assert set(changed.audit().endpoints) == UNTOLD


def _call(name: str, *arguments: int | None) -> Call:
    """A call before the filter, whose other arguments are not known."""
    known = (*arguments, *(None,) * (6 - len(arguments)))
    values = tuple(frozenset() if each is None else frozenset({each}) for each in known)
    state = SimpleNamespace(filters=frozenset({NO_FILTER}))
    return Call(0, frozenset({NUMBERS[name]}), values, state)  # type: ignore[arg-type]


_FIXED, _PRIVATE = 0x10, 2


@pytest.mark.parametrize(
    ("call", "opens"),
    [
        (_call("mmap", 0, PAGE, 3, _PRIVATE), False),
        (_call("mmap", None, PAGE, 3, _PRIVATE), False),  # the kernel looks for a free place
        (_call("mmap", None, PAGE, 3, None), True),
        (_call("mmap", None, PAGE, 1, _PRIVATE | _FIXED), True),
        (_call("mmap", 3 * PAGE, PAGE, 3, _PRIVATE | _FIXED), True),
        (_call("mmap", 4 * PAGE, PAGE, 3, _PRIVATE | _FIXED), False),
        (_call("mmap", 0, 3 * PAGE, 3, _PRIVATE | _FIXED), False),
        (_call("mmap", 0, 3 * PAGE + 1, 3, _PRIVATE | _FIXED), True),
        (_call("munmap", 0, 4 * PAGE), True),
        (_call("munmap", 0, PAGE), False),
        (_call("mremap", 0, PAGE, PAGE, 1), False),
        (_call("mremap", 0, PAGE, PAGE, 3, 3 * PAGE), True),
        (_call("mremap", 0, PAGE, PAGE, 3, 4 * PAGE), False),
        (_call("mremap", 3 * PAGE, PAGE, PAGE, 1), True),
        (_call("mprotect", 3 * PAGE, PAGE, 1), False),
        (_call("mprotect", 3 * PAGE, PAGE, 3), True),
        (_call("shmat"), True),
        (_call("write"), False),
    ],
)
def test_what_opens(call: Call, opens: bool) -> None:
    """What may have other rights, or other pages, at the fourth page."""
    assert reopens(call, 3 * PAGE, 4 * PAGE) is opens


@pytest.mark.parametrize("backend", [each for each in BACKENDS if each == "process"])
def test_filter_that_opens_it(make: Maker, backend: Backend) -> None:
    """A filter that lets rights be changed from the table on."""
    changed = edited(make, backend)
    facts = changed.audit().filters[0]
    low = min(low for rule in facts.rules if rule.call == "mremap" for low, _ in rule.arguments[0])
    program = changed.bundle.memory(facts.address, 8 * facts.instructions)
    at = 0
    while (at := program.find(struct.pack("<I", low & 0xFFFFFFFF), at)) >= 0:
        if at % 8 == 4:
            changed.poke(facts.address + at, struct.pack("<I", table(changed) & 0xFFFFFFFF))
        at += 1
    assert set(changed.audit().endpoints) == UNTOLD


@pytest.mark.parametrize("backend", [each for each in BACKENDS if each == "kvm"])
def test_pages_that_the_guest_writes(make: Maker, backend: Backend) -> None:
    """A machine whose guest can write it."""
    changed = edited(make, backend)
    changed.flip(changed.leaf(table(changed) // PAGE * PAGE), _WRITES)
    assert set(changed.audit().endpoints) == UNTOLD


@EVERY
def test_wider_bounds(make: Maker, backend: Backend) -> None:
    """What stands beside the place is what is told, and it is not what was made."""
    changed = edited(make, backend)
    content, at = changed.bundle.memory(table(changed), 512), table(changed)
    name = content.index(b"api\0")
    changed.poke(at + name - 18, b"\0")  # the prefix, before the kind and the network
    found = changed.audit()
    assert "chosen at start as api, at most 10.0.0.0/0:443" in found.endpoints
    assert changed.findings()
