"""Hostile guests that ask for changes of names below a volume, with every number and byte."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.audit.inspect import audit
from limpet.contract import Backend, hypercalls
from limpet.contract.limits import VOLUME_NAMES_MOST
from limpet.guests.linux.layout import Layout
from tests.hostile.guest import MEMORY, plan_of
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker

FOLDER, FILE, LINK, NOTHING, NO_FOLDER, SAME, MOVED, MODE, TIMES, OWNER = range(10)
VOLUMES = ("volume:/w", "volume:/r:ro")
"""The first of the table is nothing, so that these are 1 and 2."""

Request = tuple[int, int, int, int | None, int, bytes]
"""What, its argument, the volume, the length where it is not that of the names, where the names are
(kvm) or how long the message is (process), and the names."""


def asked(what: int, *names: bytes, argument: int = 0, volume: int = 1) -> Request:
    """As the library OS asks."""
    return what, argument, volume, None, 0, b"".join(name + b"\0" for name in names)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder with volumes in it, and what must stay as it is beside them."""
    top = tmp_path / "top"
    for folder in ("w/in", "r", "out"):
        (top / folder).mkdir(parents=True)
    for file in ("w/a", "w/in/b", "r/c", "out/secret"):
        (top / file).write_text(file)
    (top / "w/up").symlink_to("..")
    (top / "w/outside").symlink_to("../out")
    (top / "w/absolute").symlink_to(top / "out")
    (top / "w/magic").symlink_to("/proc/self/root")
    for each in top.rglob("*"):
        if not each.is_symlink():
            os.chown(each, 65534, 65534)
            each.chmod(0o777)
    for each in (top, *top.parents):
        if each != Path("/"):
            each.chmod(each.stat().st_mode | 0o555)
    return top


class Asking:
    """The hostile program as a bundle of one backend."""

    def __init__(self, make: Maker, backend: Backend, volumes: tuple[str, ...] = VOLUMES) -> None:
        source = (SUPPORT / "programs" / "asks_names.c").read_text(encoding="utf-8")
        program = make.compile(source, "asks_names", "-O1")
        self.made: Made = make(program, backend, memory=MEMORY, devices=volumes)
        place = plan_of(program, backend, volumes).layout
        assert isinstance(place, Layout)
        if backend == "kvm":
            (call,) = (each for each in hypercalls() if each.name == "volume_name")
            self.where = ("kvm", str(call.port), str(place.signal_stack))
            return
        stubs = {
            rule.call: rule.pointer[0] - 2
            for each in audit(self.made.path).filters
            for rule in each.rules
            if each.backend == "process"
        }
        self.where = ("process", str(stubs["sendto"]), str(stubs["recvfrom"]))

    def words(self, host: Path, *volumes: str) -> list[str]:
        """Of its command line."""
        return [*(f"--volume:/{name}={host / name}" for name in volumes), "--", *self.where]

    def ask(self, host: Path, requests: list[Request]) -> list[int]:
        """The result of each."""
        lines = "".join(
            f"{what} {argument} {volume} {len(names) if length is None else length} {more} "
            f"{names.hex()}\n"
            for what, argument, volume, length, more, names in requests
        )
        ran = self.made.run(*self.words(host, "w", "r"), stdin=lines.encode())
        assert (ran.status, ran.stderr) == (0, b""), ran
        return [int(line) for line in ran.stdout.split()]


@pytest.fixture
def asking(make: Maker, backend: Backend) -> Asking:
    """It."""
    return Asking(make, backend)


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """What a folder holds, with modes and times."""
    return {
        str(each): (
            each.lstat().st_mode,
            each.lstat().st_mtime_ns,
            each.read_bytes() if each.is_file() else b"",
        )
        for each in (folder, *folder.rglob("*"))
    }


def leading_out() -> Iterator[Request]:
    """Every way to name what is not below the volume."""
    secret = os.fsencode("secret")
    folders = (
        b"..",
        b"up",
        b"in/../..",
        b"outside",
        b"absolute",
        b"magic",
        b"/",
        b"/tmp",
        b"up/out",
    )
    for folder in (*folders, b"up/r", b"../r", b"../out", b"/proc/self/cwd", b"/proc/1/root"):
        path = folder + b"/" + secret
        yield asked(FOLDER, path + b"2", argument=0o777)
        yield asked(LINK, path + b"2", b"x")
        yield asked(NOTHING, path)
        yield asked(NO_FOLDER, folder + b"/out")
        yield asked(SAME, b"stolen", path)
        yield asked(SAME, path + b"2", b"a")
        yield asked(MOVED, b"stolen", path)
        yield asked(MOVED, path + b"2", b"a")
        yield asked(MOVED, path, b"a", argument=2)
        yield asked(MODE, path, argument=0)
        yield asked(TIMES, path)
        yield asked(TIMES, folder)
        yield asked(MODE, folder, argument=0)


def test_leading_out(asking: Asking, host: Path) -> None:
    """No name that is changed lies above the volume, whatever the path: ``..``, links of all kinds,
    absolute paths, hard links and moves from there and to there."""
    before = {name: state(host / name) for name in ("out", "r")}
    requests = list(leading_out())
    results = asking.ask(host, requests)
    allowed = {-errno.EXDEV, -errno.ENOENT, -errno.EINVAL, -errno.ELOOP, -errno.ENOTDIR}
    for request, result in zip(requests, results, strict=True):
        assert result in allowed, (request, result)
    assert {name: state(host / name) for name in ("out", "r")} == before
    assert sorted(os.listdir(host)) == ["out", "r", "w"]
    assert not (host / "w" / "stolen").exists()


def test_odd_names(asking: Asking, host: Path) -> None:
    """Names that end early, not at all, are too long or are none."""
    long = b"n" * 255
    deep = b"/".join([b"in"] * 1500)
    cases = [
        (asked(FOLDER, b"in/..", argument=0o700), errno.EINVAL),
        (asked(FOLDER, b".", argument=0o700), errno.EINVAL),
        (asked(FOLDER, b"", argument=0o700), errno.EINVAL),
        (asked(FOLDER, b"new/", argument=0o700), errno.EINVAL),
        (asked(FOLDER, long, argument=0o700), 0),
        (asked(FOLDER, long + b"n", argument=0o700), errno.ENAMETOOLONG),
        (asked(FOLDER, deep, argument=0o700), errno.ENAMETOOLONG),
        ((FOLDER, 0o700, 1, 0, 0, b""), errno.EINVAL),
        ((FOLDER, 0o700, 1, 3, 0, b"abc"), 0),  # no zero byte behind it
        (asked(FOLDER, b"x\ny\xff\x01", argument=0o700), 0),
        (asked(LINK, b"lk"), errno.ENOENT),  # no text
        (asked(SAME, b"again"), errno.EINVAL),  # no other
        (asked(MOVED, b"again"), errno.EINVAL),
        (asked(LINK, b"to", b"t" * 4095), 0),
        (asked(LINK, b"to2", b"t" * 4096), errno.ENAMETOOLONG),
    ]
    results = asking.ask(host, [request for request, _ in cases])
    for (request, error), result in zip(cases, results, strict=True):
        assert result == -error, (request, result)
    assert (host / "w" / "abc").is_dir() and (host / "w" / os.fsdecode(b"x\ny\xff\x01")).is_dir()


def test_odd_numbers(asking: Asking, backend: Backend, host: Path) -> None:
    """Volumes, operations, modes and flags that there are not, and one that is only to be read."""
    before = state(host / "r")
    huge = (1 << 64) - 1
    cases = [
        *((asked(FOLDER, b"n", argument=0o700, volume=v), errno.EINVAL) for v in (0, 3, 63, 64)),
        (asked(FOLDER, b"n", argument=0o700, volume=1 << 32 | 1), errno.EINVAL),
        (asked(FOLDER, b"n", argument=0o700, volume=huge), errno.EINVAL),
        *((asked(what, b"n", b"c", volume=2), errno.EROFS) for what in range(9)),
        *((asked(what, b"n", b"a"), errno.EINVAL) for what in (FILE, 10, 1 << 32, huge)),
        (asked(FOLDER, b"n", argument=0o4700), errno.EPERM),
        (asked(FOLDER, b"n", argument=1 << 32 | 0o700), errno.EPERM),
        (asked(MODE, b"a", argument=0o4755), errno.EPERM),
        (asked(MODE, b"a", argument=0o2755), errno.EPERM),
        (asked(MODE, b"a", argument=huge), errno.EPERM),
        (asked(TIMES, b"a", argument=8), errno.EPERM),
        (asked(TIMES, b"a", argument=huge), errno.EPERM),
        *((asked(MOVED, b"n", b"a", argument=flags), errno.EINVAL) for flags in (3, 4, 8, huge)),
        *((asked(SAME, b"n", b"a", argument=flags), errno.EINVAL) for flags in (4, 0x400, 0x1000)),
        ((FOLDER, 0o700, 1, VOLUME_NAMES_MOST + 1, 0, b"n"), errno.EINVAL),
        ((FOLDER, 0o700, 1, huge, 0, b"n"), errno.EINVAL),
    ]
    if backend == "kvm":  # names that lie elsewhere than in the guest's memory
        where = (1, 0xFFF, 1 << 37, (1 << 37) + 4096, 0x7FFF_FFFF_0000, 1 << 63, huge)
        cases += [((FOLDER, 0o700, 1, 8, at, b""), errno.EFAULT) for at in where]
    else:  # messages of other sizes than they say
        cases += [(asked(OWNER, name), errno.ENOENT) for name in (b"a", b"in/b", b"none", b".")]
        cases += [(asked(OWNER, name), errno.EXDEV) for name in (b"..", b"up/r/c", b"/etc/passwd")]
        cases += [(asked(OWNER, b"a", argument=way), errno.EINVAL) for way in (2, 4, 8, 16, huge)]
        cases += [(asked(OWNER, b"a", volume=v), errno.EINVAL) for v in (0, 3, 64, huge)]
        sizes = (1, 8, 71, 72, 73, 75, 72 + VOLUME_NAMES_MOST + 1)
        cases += [((FOLDER, 0o700, 1, 2, size, b"n\0"), errno.EINVAL) for size in sizes]
    results = asking.ask(host, [request for request, _ in cases])
    for (request, error), result in zip(cases, results, strict=True):
        assert result == -error, (request, result)
    assert state(host / "r") == before
    assert sorted(os.listdir(host / "w")) == ["a", "absolute", "in", "magic", "outside", "up"]


def test_nobody_to_ask(make: Maker, host: Path) -> None:
    """What takes requests takes none where there is no namer: above all no standard input."""
    asking = Asking(make, "process", VOLUMES[1:])
    own, other = socket.socketpair()
    argv = [str(asking.made.path), *asking.words(host, "r")]
    with (
        own,
        other,
        subprocess.Popen(argv, stdin=other.fileno(), stdout=subprocess.PIPE, text=True) as running,
    ):
        own.sendall(f"{OWNER} 0 1 2 0 {b'c'.hex()}\n".encode())
        own.shutdown(socket.SHUT_WR)
        assert running.stdout and running.stdout.readline() == "-1000\n"
        own.setblocking(False)
        with pytest.raises(BlockingIOError):
            own.recv(1)
        running.kill()


def test_any_bytes(asking: Asking, host: Path) -> None:
    """Requests by chance: each is answered, and nothing beside the volume changes."""
    chance = random.Random(12)
    pieces = (
        b"..",
        b"a",
        b"in",
        b"/",
        b"\0",
        b"up",
        b"\xff",
        b".",
        b"outside",
        b"out/secret",
        b"b",
    )
    requests: list[Request] = []
    for _ in range(400):
        names = b"".join(chance.choices(pieces, k=chance.randrange(9)))
        argument = chance.choice((0, 1, 2, 0o777))
        requests.append(
            (chance.randrange(12), argument, chance.choice((1, 1, 1, 2)), None, 0, names)
        )
    before = {name: state(host / name) for name in ("out", "r")}
    assert len(asking.ask(host, requests)) == len(requests)
    assert {name: state(host / name) for name in ("out", "r")} == before
    assert sorted(os.listdir(host)) == ["out", "r", "w"]
