"""Terminal modes: a guest sets the host's, and in the end they are always what they were."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.guests.linux.terminal import TERMINAL
from tests.support.bundles import BUSYBOX, Maker, need

pytestmark = pytest.mark.slow

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct termios before, raw, now;
    struct winsize size;
    char byte = 0;
    if (tcgetattr(0, &before))
        return puts("no terminal"), 3;
    raw = before;
    cfmakeraw(&raw);
    if (tcsetattr(0, TCSADRAIN, &raw))
        return puts("refused"), 4;
    tcgetattr(0, &now);
    printf("raw %d %s\r\n", !memcmp(&now, &raw, sizeof raw), ttyname(0));
    for (;;) {
        fflush(stdout);
        read(0, &byte, 1);
        if (byte == 'x') /* leaves it as it is */
            return 5;
        if (byte == 'c')
            abort();
        if (byte == 'i')
            printf("sti %d\r\n", ioctl(0, TIOCSTI, "x"));
        ioctl(0, TIOCGWINSZ, &size);
        printf("got %d, %d rows\r\n", byte, size.ws_row);
    }
}
"""


@dataclass
class Terminal:
    """A program on a pseudo-terminal of its own, as a shell would start it."""

    process: subprocess.Popen[bytes]
    main: int
    side: int
    before: list[object]

    def until(self, wanted: bytes) -> bytes:
        """What it writes up to ``wanted``."""
        found = b""
        while wanted not in found:
            found += self.reads()
        return found

    def reads(self) -> bytes:
        """Some of what it writes."""
        return os.read(self.main, 4096)

    def says(self, seconds: float) -> bool:
        """Whether it writes something within that time."""
        return bool(select.select([self.main], [], [], seconds)[0])

    def type(self, keys: bytes) -> None:
        """As somebody at the keyboard."""
        os.write(self.main, keys)

    def modes(self) -> list[object]:
        """Of the terminal, as the host has them."""
        return termios.tcgetattr(self.side)

    @property
    def is_raw(self) -> bool:
        """Neither lines nor echo."""
        return not termios.tcgetattr(self.side)[3] & (termios.ICANON | termios.ECHO)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextlib.contextmanager
def terminal(path: Path, *words: str) -> Iterator[Terminal]:
    """``path`` started on one."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (30, 90))
    before: list[object] = termios.tcgetattr(side)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, for all
    try:
        process = subprocess.Popen(
            [path.name, *words],
            executable=path,
            stdin=side,
            stdout=side,
            stderr=side,
            env={"TERM": "vt100"},
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509
        )
    finally:
        signal.signal(signal.SIGHUP, hang_up)
    try:
        yield Terminal(process, main, side, before)
    finally:
        process.kill()
        process.wait()
        os.close(main)
        os.close(side)


@pytest.fixture
def raw(make: Maker, backend: Backend) -> Path:
    """A program that makes its terminal raw, allowed to."""
    return make(make.compile(SOURCE, "raw"), backend, features=(TERMINAL,)).path


def test_modes_reach_the_terminal(raw: Path) -> None:
    """Each key at once, without echo; a new size is seen; its end gives back what was."""
    with terminal(raw) as on:
        on.until(b"raw 1 /dev/pts/0")
        assert on.is_raw
        on.type(b"a")
        assert b"got 97, 30 rows" in on.until(b"rows")
        termios.tcsetwinsize(on.side, (44, 90))
        on.type(b"\x03")  # Ctrl-C is a byte now
        assert b"got 3, 44 rows" in on.until(b"rows")
        on.type(b"i")
        assert b"sti -1" in on.until(b"rows")
        on.type(b"x")
        assert on.process.wait(20) == 5
        assert on.modes() == on.before


def test_crash(raw: Path) -> None:
    """A guest that aborts."""
    with terminal(raw) as on:
        on.until(b"raw 1")
        on.type(b"c")
        assert on.process.wait(20) == 128 + signal.SIGABRT
        assert on.modes() == on.before


def _guest_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed(raw: Path, number: signal.Signals) -> None:
    """The guest's process killed from outside."""
    with terminal(raw) as on:
        on.until(b"raw 1")
        os.kill(_guest_of(on.process.pid), number)
        assert on.process.wait(20) == 128 + number
        assert on.modes() == on.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_told_to_end(raw: Path, number: signal.Signals) -> None:
    """A signal to the process that was started ends the guest, and then it."""
    with terminal(raw) as on:
        on.until(b"raw 1")
        guest = _guest_of(on.process.pid)
        on.process.send_signal(number)
        assert on.process.wait(20) == 128 + number
        assert on.modes() == on.before
        assert not Path(f"/proc/{guest}").exists()


def test_timeout(make: Maker, backend: Backend) -> None:
    """--timeout ends it."""
    made = make(make.compile(SOURCE, "raw"), backend, features=(TERMINAL,), timeout=1500)
    with terminal(made.path) as on:
        on.until(b"raw 1")
        assert on.process.wait(20) == 124
        assert on.modes() == on.before


def test_parent_killed(raw: Path, tmp_path: Path) -> None:
    """The guest does not outlive it, and not only where the terminal ends with it."""
    shell = tmp_path / "shell"
    shell.write_text(f"#!/bin/sh\n{raw}\nsleep 60\n")
    shell.chmod(0o755)
    with terminal(shell) as on:
        on.until(b"raw 1")
        parent = _guest_of(on.process.pid)
        guest = Path(f"/proc/{_guest_of(parent)}")
        os.kill(parent, signal.SIGKILL)
        for _ in range(100):
            if not guest.exists():
                break
            time.sleep(0.05)
        assert not guest.exists()


def test_stopped_and_gone_on(raw: Path) -> None:
    """A stop from the terminal stops both, as a shell expects; both go on."""
    with terminal(raw) as on:
        on.until(b"raw 1")
        group = on.process.pid
        os.killpg(group, signal.SIGSTOP)
        _, status = os.waitpid(group, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.killpg(group, signal.SIGCONT)
        on.type(b"q")
        assert b"got 113" in on.until(b"rows")
        on.type(b"x")
        assert on.process.wait(20) == 5


EACH = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv) {
    for (int fd = 0; fd < 3; fd++) {
        struct termios raw;
        cfmakeraw(memset(&raw, 0, sizeof raw));
        if (isatty(fd) && tcsetattr(fd, TCSANOW, &raw))
            return 4;
    }
    dprintf(argc > 1 ? 2 : 1, "ready\n");
    read(0, argv, 1);
    abort();
}
"""


@pytest.fixture
def each(make: Maker, backend: Backend) -> Path:
    """A program that makes each of its terminals raw, allowed to, and ends badly."""
    return make(make.compile(EACH, "each"), backend, features=(TERMINAL,)).path


def _ends_raw(argv: list[str | Path], sides: list[int], *streams: int, told: int) -> None:
    """It makes all of ``sides`` raw, tells ``told``, and is killed; then they are as before."""
    before = [termios.tcgetattr(side) for side in sides]
    stdin, stdout, stderr = streams
    with subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr) as process:
        try:
            found = b""
            while b"ready" not in found:
                assert select.select([told], [], [], 60)[0]
                more = os.read(told, 100)
                assert more
                found += more
            assert all(not termios.tcgetattr(side)[3] & termios.ECHO for side in sides)
            os.kill(_guest_of(process.pid), signal.SIGKILL)
            assert process.wait(20) == 128 + signal.SIGKILL
        finally:
            process.kill()
    assert [termios.tcgetattr(side) for side in sides] == before


def test_three_terminals(each: Path) -> None:
    """The standard descriptors can be different terminals; each gets its modes back."""
    pairs = [pty.openpty() for _ in range(3)]
    sides = [side for _, side in pairs]
    try:
        _ends_raw([each], sides, *sides, told=pairs[1][0])
    finally:
        for fd in (fd for pair in pairs for fd in pair):
            os.close(fd)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_in_a_pipeline(each: Path, at: int) -> None:
    """Two of three are pipes: what is a terminal is kept, wherever it is."""
    main, side = pty.openpty()
    pipes = [os.pipe() for _ in range(3)]
    streams = [pipes[0][0], pipes[1][1], pipes[2][1]]
    streams[at] = side
    told = {1: main, 0: pipes[1][0], 2: pipes[1][0]}[at]
    try:
        _ends_raw([each], [side], *streams, told=told)
    finally:
        for fd in (main, side, *(fd for pair in pipes for fd in pair)):
            os.close(fd)


def test_not_asked_for(make: Maker, backend: Backend) -> None:
    """Without --tty the modes are remembered, and the terminal stays as it is."""
    made = make(make.compile(SOURCE, "raw"), backend)
    with terminal(made.path) as on:
        on.until(b"raw 1")
        assert on.modes() == on.before


def test_no_terminal(raw: Path) -> None:
    """Without one there is no second process, and nothing changes."""
    done = subprocess.run([raw], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"no terminal\n")


def test_who_cannot_set_modes_has_nothing_of_it(make: Maker, backend: Backend) -> None:
    """Neither the hypercall nor the parent: its ioctl only asks for the size."""
    program = make.compile('#include <stdio.h>\nint main(void) { return puts("x") < 0; }\n', "puts")
    plan = limpet.plan(limpet.load(program), limpet.Options((backend,), features=(TERMINAL,)))
    assert "ioctl" in {call.name for call in plan.calls}
    assert TERMINAL not in {call.name for call in plan.hypercalls}
    assert "keep_terminal" not in plan.sources["monitor.c"]


def test_vi(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """An editor: text typed, a line deleted, what it saves read back by the next command."""
    made = make(need(BUSYBOX, "busybox-static"), backend, features=(TERMINAL,), name="busybox")
    path = tmp_path / "busybox"
    path.symlink_to(made.path)
    with terminal(path, "vi", "/tmp/note") as on:
        on.until(b"/tmp/note")
        assert on.is_raw
        on.type(b"ihello\x1b")
        on.until(b"hello")
        on.type(b":q!\r")
        assert on.process.wait(20) == 0
        assert on.modes() == on.before
    with terminal(path, "stty", "-a") as on:
        assert b"30; columns 90" in on.until(b"columns 90")
