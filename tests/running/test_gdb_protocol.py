"""What a stranger can send in the place of a debugger, and what gdb relies on."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.host import REQUESTS
from limpet.errors import RunError
from limpet.guests.inside import Inside, Window
from limpet.planning.regions import KVM_RUN_AT, MONITOR_BASE
from limpet.running.debugging import description, packets
from limpet.running.debugging.about import About
from limpet.running.debugging.commands import Commands, Ordered
from limpet.running.debugging.files import OPEN_MOST, Files
from limpet.running.debugging.guest import Guest, Order
from limpet.running.debugging.machine import Access, Point, control
from limpet.running.debugging.memory import Memory
from limpet.running.debugging.packets import MOST, Mark, Packet, ProtocolError, Reader, packed
from limpet.running.debugging.places import Port, Standard, listening, place
from limpet.running.debugging.rewritten import Rewritten
from limpet.running.debugging.signals import from_gdb, to_gdb
from limpet.running.debugging.virtual import GDB_AT
from tests.support.bundles import Maker
from tests.support.still import StillMachine


def _commands(memory: bytes = bytes(range(256))) -> Commands:
    guest = Guest(StillMachine(memory), Inside(0, None, 3, None), lambda: 0)
    about = About("/bin/it", Files({"/bin/it": b"content", "/x": b""}.get), [(9, 0x1000), (0, 0)])
    return Commands(guest, about)


def test_packets_in_pieces() -> None:
    """Whatever pieces they come in, escapes undone; ^C and acknowledgements between them."""
    sent = b"+" + packed(b"m0,4") + b"\x03-" + packed(b"X1,2:}\x03a") + b"$m0,4#00"
    expected = [Mark.TAKEN, Packet(b"m0,4"), Mark.INTERRUPT, Mark.AGAIN, Packet(b"X1,2:#a")]
    for size in (1, 2, 3, 100):
        reader = Reader()
        pieces = (sent[at : at + size] for at in range(0, len(sent), size))
        found = [message for piece in pieces for message in reader.feed(piece)]
        assert found == [*expected, Mark.DAMAGED]


@pytest.mark.parametrize("sent", [b"GET /", b"$" + bytes(MOST + 1), b"$" + b"a" * MOST + b"a#00"])
def test_no_packet(sent: bytes) -> None:
    """It ends the connection, and nothing of it is kept."""
    with pytest.raises(ProtocolError):
        list(Reader().feed(sent))


def test_escaped() -> None:
    """Every byte survives."""
    data = bytes(range(256))
    (found,) = Reader().feed(packed(packets.escaped(data)))
    assert found == Packet(data)


def test_hostile_commands() -> None:
    """Any bytes get an answer that fits, and never an exception."""
    chance = random.Random(1)
    commands = _commands()
    starts = [start for start, _ in commands._HANDLERS]
    for _ in range(4000):
        rest = bytes(chance.choice(b"0123456789abcdef,;:=-rcsCSgQ\xff") for _ in range(12))
        try:
            answer = commands.taken(chance.choice(starts) + rest[: chance.randrange(12)])
        except Ordered:
            continue
        assert len(answer) <= MOST


def test_sizes_are_bounded() -> None:
    """However much is asked for, an answer is no longer than was agreed, and numbers are words."""
    commands = _commands(bytes(1 << 16))
    assert len(commands.taken(b"m0,ffffffff")) <= MOST
    for each in (b"m0", b"m,", b"m11112222333344445,4", b"Z0,1", b"G00", b"P0=0", b"pffff", b"Hx1"):
        assert commands.taken(each) == b"E01", each
    assert commands.taken(b"nonsense") == b""


def test_memory_and_breakpoints() -> None:
    """Whoever reads memory sees no INT3; what is written where one is comes when it goes."""
    commands = _commands()
    machine = commands._guest.machine
    assert commands.taken(b"Z0,10,1") == b"OK"
    assert machine.read(0x10, 1) == b"\xcc" and commands.taken(b"m10,2") == b"1011"
    assert commands.taken(b"M10,2:aabb") == b"OK" and machine.read(0x10, 2) == b"\xcc\xbb"
    assert commands.taken(b"z0,10,1") == b"OK" and machine.read(0x10, 2) == b"\xaa\xbb"
    assert commands.taken(b"Z0,ffffffff,1") == b"E01"  # there is no memory


def test_orders() -> None:
    """What is done instead of an answer."""

    def order(packet: bytes) -> Order | str:
        with pytest.raises(Ordered) as raised:
            _commands().taken(packet)
        return raised.value.order

    assert order(b"c") == Order() and order(b"vCont;c") == Order()
    assert order(b"vCont;s:1;c") == Order(step=1)
    assert order(b"vCont;r10,20:1;c") == Order(step=1, range=(0x10, 0x20))
    assert order(b"vCont;C1e:1;c") == Order(signal=10)
    assert order(b"D") == "detach" and order(b"vKill;1") == "kill"


def test_signals() -> None:
    """gdb's numbers are no system's own; SIGUSR1 is 30 there."""
    assert (to_gdb(10), to_gdb(11), to_gdb(0), to_gdb(34)) == (30, 11, 0, 46)
    assert all(from_gdb(to_gdb(number)) == number for number in range(1, 65))


def test_files_are_the_guests() -> None:
    """Its own, to be read; nothing of this host, whatever the path."""
    files = Files({"/bin/it": b"content"}.get)
    path = b"/bin/it".hex().encode()
    assert files.answer(b"open:%b,0,0" % path) == b"F3"
    assert files.answer(b"pread:3,4,2") == b"F4;nten" and files.answer(b"close:3") == b"F0"
    assert files.answer(b"open:%b,1,0" % path) == b"F-1,1e"  # to be written
    for each in (b"/etc/passwd", b"/bin/../../../etc/passwd", b"/proc/self/mem"):
        assert files.answer(b"open:%b,0,0" % each.hex().encode()) == b"F-1,2"
    for _ in range(OPEN_MOST):
        files.answer(b"open:%b,0,0" % path)
    assert files.answer(b"open:%b,0,0" % path) == b"F-1,18"
    assert files.answer(b"unlink:%b" % path) == b"F-1,1e" and files.answer(b"what") == b""


@pytest.mark.parametrize("upper", [False, True])
def test_registers(upper: bool) -> None:
    """As many bytes as the description says, and each register is what was written into it."""
    area = bytes(2696 if upper else 512)
    text = description.xml(upper, linux=True)
    found = description.registers(upper)
    bits = [int(each.partition('"')[0]) for each in text.split('bitsize="')[1:]]
    assert bits == [8 * each.size for each in found]
    for each in found:
        if each.at >= 0 and each.name != "ftag":
            data = bytes(range(1, each.size + 1))
            changed = description.with_value(each, data, area)
            size = 2 if each.name in ("fctrl", "fstat", "fiseg", "foseg", "fop") else each.size
            assert (description.value(each, {}, changed) or b"")[:size] == data[:size], each


def test_rewritten_code() -> None:
    """It looks as it was, and a breakpoint in it goes to where its instruction is now."""
    code = b"\x48\x89\xc7\x0f\x05\x31\xc0"  # mov; syscall; xor
    rewritten = Rewritten(
        [
            Window(0x100, 0x103, 0x900, code),
            Window(0x200, 0x200, 0x920, b"\x0f\x05", 0x240, b"\x90" * 5),
        ]
    )
    assert rewritten.original(0xFE, bytes(12)) == bytes(2) + code + bytes(3)
    assert rewritten.original(0x23F, bytes(7)) == b"\0" + b"\x90" * 5 + b"\0"
    assert [rewritten.placed(at) for at in (0x100, 0x103, 0x105, 0x107)] == [
        *(0x100, 0x903, 0x90D, 0x107)
    ]
    assert [rewritten.shown(at) for at in (0x900, 0x903, 0x908, 0x90D, 0x90F, 0x920, 0x240)] == [
        *(0x100, 0x103, 0x103, 0x105, 0x107, 0x200, 0x200)
    ]


def test_places(tmp_path: Path) -> None:
    """Only this host reaches a port, only its maker a socket, and nothing is replaced."""
    assert place(":5") == Port("127.0.0.1", 5) and place("[::1]:7") == Port("::1", 7)
    assert place("-") == Standard() and place("a/b:c") == Path("a/b:c")
    for text in ("", "host:", "a:b", "127.0.0.1:99999", "/" + "x" * 200):
        with pytest.raises(ValueError):
            place(text)
    with listening(Port("127.0.0.1", 0)) as (made, name):
        assert made.getsockname()[0] == "127.0.0.1" and name.startswith("127.0.0.1:")
    there = tmp_path / "there"
    there.write_text("precious")
    with pytest.raises(RunError, match="no socket can be there"), listening(there):
        pass
    assert there.read_text() == "precious"
    with listening(tmp_path / "socket"):
        assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o600


def test_debug_registers() -> None:
    """DR7 of Intel SDM volume 3, figure 18-1."""
    points = [Point(8, 8, Access.WRITE), Point(4, 4, Access.BOTH)]
    assert control(points) == 0b1111_1001 << 16 | 0b101


def test_only_with_the_feature(make: Maker, tmp_path: Path) -> None:
    """The filter of a monitor lets KVM be asked for registers where that was wanted, only."""
    guest = limpet.load(make.compile("int main(void) { return 0; }", "nothing"))
    asks = {REQUESTS["KVM_GET_XSAVE"], REQUESTS["KVM_SET_XSAVE"]}

    def rules(*features: str) -> list[tuple[tuple[int, ...], ...]]:
        options = limpet.Options(backends=("kvm",), features=features)
        filter_ = limpet.plan(guest, options).filters["kvm"]
        found = (rule.pins for rule in filter_.rules if rule.call == "ioctl")
        return [tuple(pin.values for pin in pins) for pins in found if asks & set(pins[1].values)]

    assert rules() == []
    assert rules("gdb") == [
        ((5,), (REQUESTS["KVM_GET_XSAVE"], REQUESTS["KVM_SET_XSAVE"]), (GDB_AT,))
    ]
    assert rules("dumpcore") == [((5,), (REQUESTS["KVM_GET_XSAVE"],), (GDB_AT,))]


def test_words() -> None:
    """``--gdb`` alone is the usual place; behind the program it is the program's own word."""
    from limpet.cli.run import command

    def given(*words: str) -> tuple[object, object, object]:
        found = command.make_context("run", list(words)).params
        return found["gdb"], found["app"], found["arguments"]

    usual = Port("127.0.0.1", 1234)
    assert given("--gdb", "--memory", "64M", "x", "--gdb") == (usual, Path("x"), ("--gdb",))
    assert given("--memory", "64M", "--gdb", "x") == (usual, Path("x"), ())
    assert given("--gdb=:5", "x") == (Port("127.0.0.1", 5), Path("x"), ())
    assert given("--env", "--gdb", "x") == (None, Path("x"), ())


def test_the_monitors_memory() -> None:
    """It is nobody's to see, nor is what the host has put behind it; a run ends where it begins."""
    memory = Memory(os.getpid())
    below, inside = MONITOR_BASE - 16, MONITOR_BASE + 4096
    assert [memory.guests(at, 32) for at in (0, below, MONITOR_BASE, inside)] == [32, 16, 0, 0]
    assert memory.guests(KVM_RUN_AT, 1) == 0 and memory.guests((1 << 47) - 8192, 8) == 0
    memory.close()
