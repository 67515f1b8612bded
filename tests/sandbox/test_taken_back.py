"""Calls of a pool that share a guest: nothing of one is left for the next, whatever it tries."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from limpet import Pool, Sandbox, SandboxSnapshot
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.contract.limits import PAGES_ASKED, PLACES_ASKED
from limpet.errors import BadAnswer, Killed, NeverRan, PlanError
from limpet.sandbox.answers import Value
from limpet.sandbox.guest.values import encode
from limpet.sandbox.instance import Instance
from tests.support.bundles import BACKENDS
from tests.support.refusing import refusing

FOUND = """
import gc, os, random, signal, sys, threading, time
(sorted(globals()), sorted(sys.modules), os.listdir('/'), os.listdir('/proc/self/fd'),
 threading.active_count(), str(signal.getsignal(signal.SIGALRM)), signal.getitimer(0)[0],
 os.getcwd(), os.umask(0o22), sorted(os.environ), sys.stdout.fileno(), gc.isenabled(),
 sys.getrecursionlimit(), open('/proc/self/maps').read(), hasattr(sys, 'left'))
"""
CHANCE = "import os, random\n(os.urandom(8), random.random())"

LEAVES = """
import builtins, ctypes, gc, mmap, os, random, signal, sys, threading, time
sys.left, name, random.random = 1, 2, lambda: 0.5
os.urandom = lambda count: b'0' * count
os.chdir('/tmp'); os.umask(0); os.environ['LEFT'] = '1'
open('/left', 'w').write('left'); handles = [open('/left') for _ in range(10)]
signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 60)
gc.disable(); sys.setrecursionlimit(50000); builtins.print = None; sys.stdout = None
kept = mmap.mmap(-1, 8 << 20); kept[:] = b'x' * (8 << 20); more = bytearray(32 << 20)
ctypes.memset(id(7) + 24, 8, 1)  # 7 is 8, everywhere
"""

THREADS = """
def compute():
    while True: pass
threading.Thread(target=compute, daemon=True).start()
"""
"""What a virtual machine is taken back from; a process may end, since its stacks were elsewhere."""

WORD = """
import sys
frame = sys._getframe()
while 'request' not in frame.f_locals: frame = frame.f_back
request = frame.f_locals['request']
def send(data):
    import json, os
    data = json.dumps({'id': request['id'], **data}).encode()
    os.write(901, b'a' + len(data).to_bytes(4, 'little') + data)
def rewind(word):
    open('/dev/limpet/rewind', 'wb', 0).write(word.to_bytes(8, 'little'))
"""


@pytest.fixture(params=BACKENDS)
def pool(alone: Path, request: pytest.FixtureRequest) -> Iterator[Pool]:
    """Of one guest."""
    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        snapshot: SandboxSnapshot = Sandbox.prepare(
            backend=request.param, timeout=30, output=1 << 20
        )
    with Pool(snapshot, 1, 1) as made:
        yield made


@pytest.mark.parametrize("asked", [PLACES_ASKED, PAGES_ASKED], ids=["mapped", "written"])
def test_an_older_kernel(alone: Path, monkeypatch: pytest.MonkeyPatch, asked: int) -> None:
    """One that does not tell what is mapped, or was written: each call has a guest of its own."""
    older = refusing(NUMBERS["ioctl"], errno.ENOTTY, asked)
    monkeypatch.setattr("subprocess.Popen", partial(subprocess.Popen, preexec_fn=older))
    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        snapshot = Sandbox.prepare(backend="process", timeout=30)
    with Pool(snapshot, 1, 1) as made:
        pids = [made.use(whose) for _ in range(2)]
        assert len(set(pids)) == 2 and not snapshot._prepared.rewinds
        assert made.run("import sys\nsys.left = 1").ok
        assert value(made, "import sys\nhasattr(sys, 'left')") is False


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call waits for its guest on the slowest host, too: the test is about that one."""
    monkeypatch.setattr("limpet.sandbox.pool._SOON", 30)
    monkeypatch.setattr("limpet.sandbox.pool._LATE", 30)


def process(pool: Pool) -> subprocess.Popen[bytes]:
    """Of the guest that waits."""
    instance = pool._ready[0]._own._instance
    assert isinstance(instance, Instance)
    return instance._process


def pid(pool: Pool) -> int:
    """The same, as a number."""
    return process(pool).pid


def whose(sandbox: Sandbox) -> int:
    """The process of one that is nobody's turn, but its own."""
    assert isinstance(sandbox._instance, Instance)
    return sandbox._instance.pid


def value(pool: Pool, code: str) -> Any:
    """Of code that goes well."""
    found = pool.run(code)
    assert found.value, found
    return found.value.data


@pytest.mark.usefixtures("patient")
def test_nothing_is_left(pool: Pool) -> None:
    """Names, modules, files, descriptors, threads, timers, memory, chance: all in one guest."""
    same, first = pid(pool), value(pool, FOUND)
    assert not [name for name in first[0] if "rehearsed" in name]
    chances = [value(pool, CHANCE)]
    for _ in range(2):
        assert pool.run(LEAVES).ok
        assert value(pool, FOUND) == first
        assert value(pool, "7 + 0") == 7
        chances.append(value(pool, CHANCE))
    assert len({each for each, _ in chances}) == len({each for _, each in chances}) == 3
    assert pid(pool) == same
    assert pool.run(LEAVES + THREADS).ok
    assert value(pool, FOUND) == first


@pytest.mark.usefixtures("patient")
def test_nothing_new_in_memory(pool: Pool) -> None:
    """What small calls write was rehearsed, whatever their number and word are: no page is new."""

    def faults() -> int:
        return int(Path(f"/proc/{pid(pool)}/stat").read_text().rpartition(")")[2].split()[7])

    for code in ("1+1", "x = 5", "print(23)", "x = 5; x"):
        for _ in range(5):
            assert pool.run(code).ok
        before = faults()
        for _ in range(5):
            assert pool.run(code).ok
        assert faults() == before or pool._snapshot._prepared.recipe.backend == "kvm"


@pytest.mark.usefixtures("patient")
def test_nothing_rehearsed_is_written(pool: Pool) -> None:
    """What the code has in the place of standard output has nothing of the rehearsal, nor hooks."""
    with pool._snapshot.start() as sandbox:
        assert sandbox.run("import io, sys\nsys.stdout = io.StringIO()").ok
        assert sandbox.run("import snapshot_restore_py as hooks\nseen = []").ok
        assert sandbox.run("hooks.register_after_restore(seen.append, 1)").ok
        snapshot = sandbox.snapshot()
    with Pool(snapshot, 1, 1) as other:
        assert value(other, "[sys.stdout.getvalue(), len(seen)]") == ["", 2]  # start and kept


@pytest.mark.usefixtures("patient")
def test_what_asks_for_much(pool: Pool) -> None:
    """Many things in one turn, with files; then the turn is over for who has kept it."""
    held: list[Sandbox] = []

    def work(sandbox: Sandbox) -> bytes:
        held.append(sandbox)
        sandbox.put("/in", b"1234")
        sandbox.run("open('/out', 'wb').write(open('/in', 'rb').read() * 2)")
        return sandbox.get("/out")

    same = pid(pool)
    assert pool.use(work) == pool.use(work) == b"12341234"
    assert "out" not in value(pool, "import os\nos.listdir('/')") and pid(pool) == same
    with pytest.raises(NeverRan):
        held[0].run("1")
    held[0].kill()
    held[0].interrupt()
    assert not held[0].alive and value(pool, "1") == 1 and pid(pool) == same


@pytest.mark.usefixtures("patient")
def test_what_comes_late(pool: Pool) -> None:
    """Behind its one thing a call asks no more, and an interrupt is not the next call's."""
    asked: list[str] = []

    def work(sandbox: Sandbox) -> None:
        asked.append("once")
        sandbox.run("1")
        sandbox.run("1")

    same = pid(pool)
    with pytest.raises(PlanError, match="for one call"):
        pool.once(work)
    assert asked == ["once"] and value(pool, "1") == 1 and pid(pool) == same

    def interrupted(sandbox: Sandbox) -> None:
        sandbox.run("1")
        sandbox.interrupt()

    pool.once(interrupted)
    assert value(pool, "1") == 1 and pid(pool) != same


HOSTILE = {
    "goes back before it answers": "rewind(request['word'])",
    "goes back by another word": "rewind(1)",
    "goes back by another word behind its answer": "send({'ok': None}); rewind(1)",
    "never goes back": "send({'ok': None})\nwhile True: pass",
    "answers twice": "send({'ok': None}); send({'ok': None})",
    "ends behind its answer": "send({'ok': None})\nimport os; os._exit(1)",
    "answers, writes, goes back": (
        "send({'ok': None})\nimport os\nos.write(2, b'x' * 1000)\nos.write(901, b'a' * 1000)\n"
        "rewind(request['word'])"
    ),
    "calls what it was not given": (
        "import os, json\ndata = json.dumps({'id': request['id'], 'tool': 'f', 'arguments': "
        "[[], {}]}).encode()\nos.write(901, b'c' + len(data).to_bytes(4, 'little') + data)\n"
        "send({'ok': None}); rewind(request['word'])"
    ),
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE)
def test_hostile(pool: Pool, code: str) -> None:
    """Only the call itself is hurt: the next is right, and finds nothing."""
    asks = "'tool'" in code  # behind the last word nobody is told anything
    with pytest.raises(BadAnswer) if asks else suppress(BadAnswer):
        pool.run(WORD + code, timeout=3)
    for _ in range(2):
        found = pool.run("import sys\nhasattr(sys, 'left'), 'request' in globals()")
        assert found.value and found.value.data == (False, False) and not found.stderr


def test_another_word(pool: Pool) -> None:
    """A guest that goes back by a word of its own may have left something for itself to read."""
    same = pid(pool)
    assert pool.run(WORD + HOSTILE["goes back by another word behind its answer"]).ok
    assert value(pool, "1") == 1 and pid(pool) != same


UNREAD = (
    WORD
    + """
def receive():
    size = int.from_bytes(os.read(900, 4), 'little')
    rewind(json.loads(os.read(900, size - 1) + b'}')['word'])
import json, os
while 'agent' not in frame.f_globals.get('__name__', '') and 'self' not in frame.f_locals:
    frame = frame.f_back
frame.f_locals['self']._channel.receive = receive
1
"""
)


def test_what_is_not_read(pool: Pool) -> None:
    """A guest that goes back by its word, and has left the end of what told it for the next."""
    same = pid(pool)
    assert pool.use(lambda sandbox: sandbox.run(UNREAD)).ok
    assert value(pool, "1") == 1 and pid(pool) != same


def test_one_that_is_reset(alone: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, it begins anew once, and is taken back from then on, with its files and tools."""
    monkeypatch.setattr("limpet.sandbox.rewinding._BACK", 30)
    started: list[Sandbox] = []

    def reset() -> None:
        started[0].reset()

    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tools = {"half": half, "reset": reset}
        snapshot = Sandbox.prepare(backend=backend, files={"/in": b"1"}, tools=tools)
    with snapshot.start() as sandbox:
        pids = []
        for _ in range(3):
            sandbox.reset()
            assert sandbox.run("half(7), hasattr(__import__('sys'), 'left')").value == ours(
                (3, False)
            )
            assert sandbox.run("import os\n[*os.listdir('/')].count('left')").value == ours(0)
            assert sandbox.get("/in") == b"1" and sandbox.run(LEAVES).ok
            pids.append(whose(sandbox))
        assert len(set(pids)) == 1
        sandbox.kill()
        sandbox.reset()
        monkeypatch.setattr("limpet.sandbox.rewinding._BACK", 0.2)
        stays = whose(sandbox)
        assert sandbox.run(WORD + STAYS).ok and stays not in pids
        sandbox.reset()
        assert sandbox.run("half(9)").value == ours(4) and whose(sandbox) != stays
        started.append(sandbox)
        with pytest.raises(Killed):
            sandbox.run(MEANWHILE)
        assert sandbox.run("2").value == ours(2)


def half(number: int) -> int:
    """A tool."""
    return number // 2


def ours(data: Any) -> Value:
    """As a value of a guest's comes here."""
    return Value(repr(data), data, True, {})


STAYS = """
while 'agent' not in frame.f_globals.get('__name__', '') and 'self' not in frame.f_locals:
    frame = frame.f_back
frame.f_locals['self']._rewind = lambda word: None
"""
"""Never goes back, though it is asked to."""

MEANWHILE = f"""{WORD}
while 'agent' not in frame.f_globals.get('__name__', '') and 'self' not in frame.f_locals:
    frame = frame.f_back
line = frame.f_locals['self']._channel
line.send(b'c', {{'id': request['id'], 'tool': 'reset', 'arguments': {encode([[], {}])!r}}})
rewind(line.receive()['word'])
"""
"""Goes back while the host does something for it, and would be told of that behind."""


def test_who_computes_unasked(pool: Pool) -> None:
    """A guest that answers and goes on is ended, though nobody makes a call."""
    started = process(pool)
    assert pool.run(WORD + "send({'ok': None})\nwhile True: pass").ok
    assert started.wait(30) == -9
    wait_for_guest(pool)
    assert value(pool, "1") == 1


def wait_for_guest(pool: Pool) -> None:
    """Until it has one that nobody has, which it starts where one has ended."""
    deadline = time.monotonic() + 30
    while not pool._ready and time.monotonic() < deadline:
        time.sleep(0.05)


def test_interrupted(pool: Pool) -> None:
    """A ^C before a call has begun, wherever it comes: no turn is lost, and no guest is left."""
    begun = False

    def work(sandbox: Sandbox) -> None:
        nonlocal begun
        sys.setprofile(None)
        begun = True

    for steps in range(1, 200):
        wait_for_guest(pool)
        there = process(pool)
        with suppress(KeyboardInterrupt), interrupted_in(steps):
            pool.once(work)
        assert not pool._used and pool._turns == 1, steps
        if not pool._ready or process(pool) is not there:
            there.wait(10)
        if begun:
            break
    assert begun and steps > 10 and value(pool, "1") == 1


@contextmanager
def interrupted_in(steps: int) -> Iterator[None]:
    """A ^C so many calls from here: behind a call, or as one begins, Python looks for it."""

    def look(frame: FrameType, event: str, called: Any) -> None:
        nonlocal steps
        name = getattr(called, "__name__", "")
        if event not in ("call", "c_return") or name == "__enter__":  # Python does not look there
            return
        steps -= 1
        if not steps:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)
