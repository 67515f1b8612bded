"""Programs that Limpet starts: what they may read, write and use."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limpet.errors import BuildError
from limpet.sources import MONITOR_INCLUDES
from limpet.tools import landlock, toolchain
from limpet.tools.freestanding import write_headers
from limpet.tools.process import MOST_OUTPUT, Bounds, run
from limpet.tools.toolchain import compile_object

PROGRAMS = ("/bin", "/usr", "/lib", "/lib64", "/etc/ld.so.cache")
confined = pytest.mark.skipif(not landlock.version(), reason="*** NO LANDLOCK IN THIS KERNEL ***")


def _run(
    script: str, folder: Path, *, memory: int = 16 << 30, size: int = 1 << 30
) -> tuple[int, str, str]:
    own = Bounds(PROGRAMS, (str(folder),), memory, size)
    done = run(["/bin/sh", "-c", script], timeout=20, check=False, bounds=own)
    return done.code, done.stdout, done.stderr


@confined
def test_reads_only_what_is_named(tmp_path: Path) -> None:
    """A file of the host's that was not named cannot be read; one that was can."""
    secret = tmp_path.parent / "secret"
    secret.write_text("secret\n")
    (tmp_path / "given").write_text("given\n")
    code, out, error = _run(f"cat {secret} /etc/passwd {tmp_path}/given", tmp_path)
    assert (code, out) == (1, "given\n")
    assert error.count("Permission denied") == 2


@confined
def test_writes_only_where_it_may(tmp_path: Path) -> None:
    """A file outside cannot be made, changed or removed."""
    outside = tmp_path.parent / "outside"
    outside.write_text("as it was")
    script = f"echo x > {outside}; rm {outside}; echo x > {outside}2; echo y > {tmp_path}/inside"
    _run(script, tmp_path)
    assert outside.read_text() == "as it was"
    assert not Path(f"{outside}2").exists()
    assert (tmp_path / "inside").read_text() == "y\n"


@confined
def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    """A folder that is named for reading stays as it was."""
    inputs, work = tmp_path / "inputs", tmp_path / "work"
    inputs.mkdir()
    work.mkdir()
    (inputs / "given").write_text("given\n")
    bounds = Bounds((*PROGRAMS, str(inputs)), (str(work),))
    script = (
        f"cat {inputs}/given; echo x > {inputs}/given; echo x > {inputs}/new; rm {inputs}/given"
    )
    done = run(["/bin/sh", "-c", script], timeout=20, check=False, bounds=bounds)
    assert done.stdout == "given\n"
    assert [(each.name, each.read_text()) for each in inputs.iterdir()] == [("given", "given\n")]


@confined
def test_this_process_stays_free(tmp_path: Path) -> None:
    """Only the program is confined, not the thread that waits for it."""
    _run("true", tmp_path)
    (tmp_path.parent / "free").write_text("x")
    assert Path("/etc/passwd").read_text()


def test_bounds_stand_from_the_start(tmp_path: Path) -> None:
    """What a program starts at once has them too: they are not put on afterwards."""
    for _ in range(20):
        _, out, _ = _run("(ulimit -f; ulimit -v)", tmp_path, size=4096, memory=64 << 20)
        assert out.split() == ["8", "65536"]


def test_weighs_with_who_asks() -> None:
    """It is apart for a terminal, but not for what shares processors among sessions: ``nice``."""
    script = "import os; print(os.getsid(0), os.getpgid(0) - os.getpid())"
    done = run([sys.executable, "-c", script], timeout=20)
    assert done.stdout.split() == [str(os.getsid(0)), "0"]


TERMINAL = r"""
import os
from limpet.tools.process import Bounds, run
os.open(os.ttyname(os.openpty()[1]), os.O_RDWR)  # whoever leads a session gets it so
for bounds in None, Bounds(("/",), ()):
    done = run(["/bin/sh", "-c", ": < /dev/tty"], timeout=20, check=False, bounds=bounds)
    print(done.code == 0)
"""


def test_what_may_be_misled_has_no_terminal() -> None:
    """A source with ``#include "/dev/tty"`` would have the compiler read what is typed."""
    argv = [sys.executable, "-c", TERMINAL]
    done = subprocess.run(argv, start_new_session=True, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_what_is_ours_is_bounded_too(tmp_path: Path) -> None:
    """A moment after its start, which then costs no copy of this process; it can give way."""
    bounds = Bounds(PROGRAMS, (str(tmp_path),), 64 << 20, 4096, ours=True)
    script = "sleep 0.2; (ulimit -f; ulimit -v; nice)"
    done = run(["/bin/sh", "-c", script], timeout=20, bounds=bounds, priority=3)
    assert done.stdout.split() == ["8", "65536", str(min(os.nice(0) + 3, 19))]
    if landlock.version():
        done = run(["/bin/cat", "/etc/passwd"], timeout=20, check=False, bounds=bounds)
        assert "Permission denied" in done.stderr


def test_who_gives_way_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it starts gives way further: to take less of that is refused to all but root."""
    given: list[int] = []
    monkeypatch.setattr(os, "getpriority", lambda *_: 7)
    monkeypatch.setattr(os, "setpriority", lambda _, __, priority: given.append(priority))
    run(["true"], timeout=20, priority=3)
    assert given == [10]


def test_only_our_own_is_bounded_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler of a user's program has its bounds from the start."""
    given: list[Bounds] = []

    def started(*_: object, bounds: Bounds, **__: object) -> None:
        given.append(bounds)
        raise BuildError("enough")

    monkeypatch.setattr(toolchain, "run", started)
    source = tmp_path / "any.c"
    source.write_text("int any;")
    with pytest.raises(BuildError):
        toolchain.compile_program([source], tmp_path / "any")
    with pytest.raises(BuildError):
        compile_object(source, tmp_path / "any.o", flags=(), include=tmp_path)
    assert [each.ours for each in given] == [False, True]


def test_sizes_are_bounded(tmp_path: Path) -> None:
    """Files, memory and what is kept of the output."""
    _run(f"yes | head -c 100000 > {tmp_path}/large", tmp_path, size=4096)
    assert (tmp_path / "large").stat().st_size == 4096
    script = "yes | head -c 300000000 | tail -c 300000000 | wc -c"
    assert _run(script, tmp_path)[1] == "300000000\n"
    code, out, error = _run(script, tmp_path, memory=64 << 20)
    assert out != "300000000\n", (code, error)
    code, out, _ = _run("yes", tmp_path, size=3 * MOST_OUTPUT)
    assert code != 0
    assert len(out) == MOST_OUTPUT


def test_an_end_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when somebody looks the next time."""
    looked = list[float]()
    monkeypatch.setattr(time, "sleep", looked.append)
    assert run(["sh", "-c", "sleep 0.1"], timeout=20).code == 0
    assert not looked


def test_a_kernel_that_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then somebody looks."""

    def unknown(pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", unknown)
    assert run(["sh", "-c", "exit 3"], timeout=20, check=False).code == 3
    with pytest.raises(BuildError, match="took longer than 0 s and was ended"):
        run(["sleep", "9"], timeout=0.1)
    monkeypatch.delattr(os, "pidfd_open")  # of a Python that was built for such a kernel
    assert run(["sh", "-c", "exit 3"], timeout=20, check=False).code == 3


ABANDONED = """
import os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from limpet import cli
from limpet.errors import PlanError
from limpet.tools import process

def begun(**_):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(process.run, ["sh", "-c", "sleep 20; true"], timeout=20)
        while not process._running:
            time.sleep(0.01)
        print(*(each.pid for each in process._running), flush=True)
        if sys.argv[1].startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[sys.argv[1]])
            time.sleep(20)
        else:
            pool.shutdown = lambda **_: None
            raise PlanError("it cannot be")

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored under nohup
cli.cli = begun
cli.main()
"""


@pytest.mark.parametrize(
    ("how", "code"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGHUP", -1), ("refused", 2)]
)
def test_nobody_waits_for_what_is_abandoned(how: str, code: int) -> None:
    """A compiler that began for a bundle is ended with the command that wanted it."""
    words = [sys.executable, "-c", ABANDONED, how]
    ended = subprocess.run(words, timeout=15, check=False, capture_output=True)
    assert ended.returncode == code
    _is_gone(int(ended.stdout))


def test_a_program_that_never_ends_is_ended(tmp_path: Path) -> None:
    """And what it started too."""
    started = tmp_path / "started"
    with pytest.raises(BuildError, match="took longer than 1 s and was ended"):
        run(["/bin/sh", "-c", f"sleep 1000 & echo $! > {started}; sleep 1000"], timeout=1)
    _is_gone(int(started.read_text()))


def _is_gone(pid: int) -> None:
    status = Path(f"/proc/{pid}/status")
    for _ in range(100):
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


@confined
def test_the_compiler_reads_its_inputs_only(tmp_path: Path) -> None:
    """C that wants a file of the host's does not get it, not even in an error message."""
    work, secret = tmp_path / "work", tmp_path / "secret.h"
    work.mkdir()
    secret.write_text("int the_secret = 42;\n#error SECRET\n")
    write_headers(work)
    source = work / "monitor.c"
    for line in (f'#include "{secret}"', f'__asm__(".incbin \\"{secret}\\"");'):
        source.write_text(line + "\n")
        with pytest.raises(Exception, match="cannot compile") as error:
            compile_object(source, work / "out.o", flags=MONITOR_INCLUDES, include=work)
        assert "SECRET" not in str(error.value)
        assert not (work / "out.o").exists()
