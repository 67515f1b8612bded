"""The walls behind the filter: what a monitor that fell would still be kept from."""

from __future__ import annotations

import ctypes
import os
import pty
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inspect import audit
from limpet.contract import Backend, landlock
from limpet.errors import PlanError
from limpet.running import usernet
from limpet.running.host import landlock_version
from tests.hostile.guest import Hostile
from tests.support import unikernels
from tests.support.bundles import Maker, need
from tests.support.seen import Seen, seen

NOTHING = "int main(void) { return 0; }\n"
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="*** only root can become another ***")
landlocked = pytest.mark.skipif(
    landlock_version() < landlock.NEWEST, reason="*** no Landlock here, or an old one ***"
)


def bare(found: Seen) -> dict[str, str]:
    """What is left of its rights."""
    status, limits = found.status, found.limits
    return {
        "capabilities": "".join(sorted({status[name].strip("0") for name in SETS})),
        "core": limits["Max core file size"],
        "new privileges": status["NoNewPrivs"],
        "owner of its memory": str(os.stat(f"/proc/{found.pid}/maps").st_uid),
    }


BARE = {"capabilities": "", "core": "0 0", "new privileges": "1", "owner of its memory": "0"}
KINDS = [
    pytest.param("kvm", marks=pytest.mark.kvm),
    "process",
    pytest.param("hvt", marks=pytest.mark.kvm),
    "spt",
]


def looping(make: Maker, folder: Path, kind: str, **options: object) -> list[str]:
    """The command line of a guest of that kind that does not end."""
    if kind in ("hvt", "spt"):
        guest = limpet.load(unikernels.build(folder, kind))
        chosen = limpet.Options(**options)  # type: ignore[arg-type]
        limpet.build(limpet.plan(guest, chosen)).write(folder / "bundle")
        return [str(folder / "bundle"), "bad loop"]
    backend: Backend = "kvm" if kind == "kvm" else "process"
    return [str(Hostile(make, backend).made(**options).path), "spin", "0"]


@root_only
@pytest.mark.parametrize("kind", KINDS)
def test_root_is_left_behind(make: Maker, tmp_path: Path, kind: str) -> None:
    """Started by root: nobody's user, no group, no capability, no core, no more descriptors."""
    started = ["setpriv", "--groups=4,27", *looping(make, tmp_path, kind)]
    with seen(started) as found:
        assert bare(found) == BARE
        status, limits = found.status, found.limits
        assert (status["Uid"].split(), status["Gid"].split()) == (["65534"] * 4, ["65534"] * 4)
        assert status["Groups"] == ""
        assert limits["Max open files"] == "3 3"
        if kind in ("process", "spt"):
            assert limits["Max processes"] == "0 0"


@root_only
def test_rights_of_an_ordinary_user(make: Maker, tmp_path: Path) -> None:
    """Who is not root stays who he is, and loses what else he was given."""
    given = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
    given += ["--inh-caps=+net_raw", "--ambient-caps=+net_raw"]
    bundle = tmp_path / "bundle"
    words = looping(make, tmp_path, "process")
    shutil.copy(words[0], bundle)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)  # for others to come through
    with seen([*given, str(bundle), *words[1:]]) as found:
        assert bare(found) == BARE
        assert found.status["Uid"].split() == ["1000"] * 4


@root_only
def test_a_user_of_ones_choice(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """--user; what cannot be become is refused when the bundle is made."""
    with seen(looping(make, tmp_path, backend, uid=4321, gid=1234)) as found:
        assert found.status["Uid"].split() == ["4321"] * 4
        assert found.status["Gid"].split() == ["1234"] * 4
    guest = limpet.load(make.compile(NOTHING, "nothing"))
    for uid, gid in ((0, 5), (5, 0), (2**32 - 1, 5), (2**63, 5)):
        with pytest.raises(PlanError, match="no user or group that a monitor can become"):
            limpet.plan(guest, limpet.Options(uid=uid, gid=gid))


@root_only
@pytest.mark.parametrize("kind", KINDS)
def test_strict(make: Maker, tmp_path: Path, kind: str) -> None:
    """--strict: an empty bounding set, and namespaces of its own."""
    names = ("net", "ipc", "uts", "mnt")
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in names}
    with seen(looping(make, tmp_path, kind, strict=True)) as found:
        theirs = {name: os.readlink(f"/proc/{found.pid}/ns/{name}") for name in names}
        assert not set(own.items()) & set(theirs.items())
        assert found.status["CapBnd"].strip("0") == ""


@contextmanager
def children(found: int) -> Iterator[list[Seen]]:
    """Those of a process."""
    yield [
        Seen(int(each)) for each in Path(f"/proc/{found}/task/{found}/children").read_text().split()
    ]


@root_only
def test_the_parent_that_counts_output(make: Maker, backend: Backend) -> None:
    """--max-output: parent and child are behind the same walls, and end together."""
    argv = [str(Hostile(make, backend).made(max_output=100).path), "ready"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout and parent.stdout.readline() == b"ready\n"
        with children(parent.pid) as (child,):
            for each in (Seen(parent.pid), child):
                assert bare(each) == BARE
                assert each.status["Uid"].split() == ["65534"] * 4
            parent.kill()
            assert parent.wait(10) == -signal.SIGKILL
            assert _ended(child)


SETS_MODES = """
#include <stdio.h>
#include <termios.h>
int main(void) {
    struct termios modes = {.c_cc[VMIN] = 1};
    tcsetattr(0, TCSANOW, &modes);
    puts("ready");
    fflush(stdout);
    return getchar();
}
"""


@root_only
def test_the_parent_that_keeps_a_terminal(make: Maker, backend: Backend) -> None:
    """--tty: the same, and neither has more than the standard descriptors and the vCPU."""
    program = make.compile(SETS_MODES, "sets")
    path = make(program, backend, features=("terminal",)).path
    main, side = pty.openpty()
    with subprocess.Popen([path], stdin=side, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout and parent.stdout.readline() == b"ready\n"
            with children(parent.pid) as (child,):
                for each, more in ((Seen(parent.pid), set[int]()), (child, {5})):
                    _behind_walls(each)
                    opened = {int(fd.name) for fd in Path(f"/proc/{each.pid}/fd").iterdir()}
                    assert opened == {0, 1, 2} | (more if backend == "kvm" else set())
                parent.kill()
                assert parent.wait(10) == -signal.SIGKILL
                assert _ended(child)
        finally:
            parent.kill()
            os.close(main)
            os.close(side)


def _behind_walls(process: Seen) -> None:
    """It is, or goes there soon: the parent does while the guest starts."""
    for _ in range(100):
        if bare(process) != BARE:
            time.sleep(0.05)
    assert bare(process) == BARE
    assert process.status["Uid"].split() == ["65534"] * 4


def _ended(process: Seen) -> bool:
    for _ in range(200):
        try:
            if process.status["State"].startswith("Z"):
                return True
        except FileNotFoundError:
            return True
        signal.sigtimedwait([], 0.05)
    return False


@root_only
def test_the_relay_of_a_user_network() -> None:
    """It keeps its two sockets; it ends with the guest, and passt with it."""
    need(Path(shutil.which("passt") or "/usr/bin/passt"), "passt")
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)  # orphans become ours, for this test
    try:
        guest = socket.socket(fileno=usernet.start([]))
        with children(os.getpid()) as mine:
            relay = max(mine, key=lambda each: each.pid)
        with children(relay.pid) as (passt,):
            assert bare(relay) == BARE
            assert relay.status["Uid"].split() == ["65534"] * 4
            guest.close()
            assert _ended(relay) and _ended(passt)
    finally:
        libc.prctl(36, 0, 0, 0, 0)


def _many_domains() -> None:
    """As many domains of Landlock as a process can be in."""
    libc, attributes = ctypes.CDLL(None), (ctypes.c_uint64 * 3)(0, 0, 1)
    libc.prctl(38, 1, 0, 0, 0)
    for _ in range(16):
        create = NUMBERS["landlock_create_ruleset"]
        rules = libc.syscall(create, ctypes.byref(attributes), 24, 0)
        assert libc.syscall(NUMBERS["landlock_restrict_self"], rules, 0) == 0
        os.close(rules)


@landlocked
@pytest.mark.parametrize("strict", [False, True])
def test_strict_fails_closed(make: Maker, backend: Backend, strict: bool) -> None:
    """Where Landlock refuses, a bundle starts without it, and one made with --strict does not."""
    made = make(make.compile(NOTHING, "nothing"), backend, strict=strict)
    done = subprocess.run([made.path], preexec_fn=_many_domains, capture_output=True, check=False)
    refused = b"limpet: the host refuses to take rights from the monitor: run `limpet doctor`\n"
    assert (done.returncode, done.stderr) == ((125, refused) if strict else (0, b""))


WALLS = {
    "no new privileges",
    "Landlock",
    "no core dump",
    "no more descriptors",
    "no capabilities",
    "not root",
}
STRICT_WALLS = {"bounding set empty", "namespaces of its own"}
ROOT = "root of its own"
OPENS = '#include <fcntl.h>\nint main(void) { return open("/w/a", O_RDONLY) < 0; }'


@pytest.mark.parametrize("chosen", ["kvm", "process"])
def test_audit_shows_them(make: Maker, chosen: Backend) -> None:
    """Each by the call that the code makes; those of --strict too."""
    program = make.compile(NOTHING, "nothing")
    for strict in (False, True):
        found = audit(make(program, chosen, strict=strict).path)
        present = {each.name for each in found.protections if each.present}
        assert found.findings == ()
        assert present >= WALLS
        assert (present & STRICT_WALLS) == (STRICT_WALLS if strict else set())
        assert ROOT not in present  # there is no volume


@pytest.mark.parametrize("strict", [False, True])
def test_audit_shows_a_root(make: Maker, backend: Backend, strict: bool) -> None:
    """Of a guest with volumes: one can become the root, and with --strict Landlock has it all."""
    program = make.compile(OPENS, "opens")
    found = audit(make(program, backend, devices=("volume:/w:ro",), strict=strict).path)
    present = {each.name for each in found.protections if each.present}
    assert found.findings == ()
    assert (ROOT in present) != strict and "Landlock" in present
