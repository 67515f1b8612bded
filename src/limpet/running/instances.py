"""Bundles that run on this host, found in ``/proc``: no daemon, and nothing is registered.

A process is taken for a bundle's when the file that the kernel runs it from (``/proc/PID/exe``, not
what it says of itself in its name or command line) has the one form of bundles, read to the last
byte.  What such a file says of its guest is what its maker says: ``limpet verify`` tells whether it
is true.  A monitor is not dumpable, so that only root sees it.

Source: proc(5).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limpet.contract.limits import COUNTED_MOST
from limpet.contract.pages import align_up
from limpet.contract.structures import COUNTS
from limpet.errors import LimpetError
from limpet.formats import elf, manifest
from limpet.formats.bounds import is_chosen
from limpet.formats.bundle.read import BundleFile, parse
from limpet.planning.choices import CHOICE, given_word
from limpet.planning.regions import COUNTS_AT, MONITOR_BASE, MONITOR_SIZE

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_LARGEST = 512 << 20
"""Bytes of a file that is read to the last one: nobody makes this look at more."""

_PARENT, _SESSION = 3, 5  # fields of /proc/PID/stat, from 0
_USER_TIME, _SYSTEM_TIME, _START_TIME = 13, 14, 21

_COUNTS = "report"
"""The feature of a monitor that counts."""

UNKNOWN = "?"
"""What cannot be told of a bundle that another Limpet made."""

File = tuple[int, int, int, int]
"""Device, inode, size and time of change."""


@dataclass(frozen=True)
class Made:
    """What the record of a bundle's file says of it."""

    guest: str
    sha256: str
    backends: tuple[str, ...]
    counts: bool = False
    places: tuple[int, ...] = ()  # of what its start chooses


@dataclass(frozen=True)
class Instance:
    """A bundle that runs: times in seconds, ``memory`` in bytes is its share of what it uses (PSS).

    ``memory`` is ``None`` where the kernel does not tell it, and ``hypercalls``, which it has made
    so far, where no monitor counts them: it does on kvm, with the feature ``report``.  ``chosen``
    has the ports and endpoints that its start chose, from the table that its guest cannot write.
    """

    pid: int
    user: int
    guest: str
    sha256: str
    backend: str
    memory: int | None
    cpu: float
    age: float
    hypercalls: int | None = None
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Those that run, and how many processes of this user could not be looked at."""

    instances: tuple[Instance, ...]
    hidden: int


@dataclass
class Finder:
    """Finds instances; what a file is, it remembers from one look to the next."""

    proc: Path = PROC
    known: dict[File, Made | None] = field(default_factory=dict)

    def look(self) -> Found:
        """All that run now, by their numbers."""
        found: list[tuple[Instance, int, bool]] = []
        hidden, used = 0, set[File]()
        for folder in sorted(self.proc.glob("[0-9]*"), key=lambda each: int(each.name)):
            try:
                instance = self._instance(folder, used)
            except PermissionError:
                hidden += 1
                continue
            except (OSError, ValueError, IndexError):  # gone meanwhile, or a thread of the kernel
                continue
            if instance:
                found.append(instance)
        self.known = {file: made for file, made in self.known.items() if file in used}
        return Found(tuple(_guests(found)), hidden)

    def _instance(self, folder: Path, used: set[File]) -> tuple[Instance, int, bool] | None:
        """One that runs, its parent, and whether it leads a session: see :func:`_guests`."""
        before = _fields(folder)
        made = self._file(folder / "exe", used)
        if made is None:
            return None
        memory, user, backend = _memory(folder), folder.stat().st_uid, _backend(folder, made)
        now = _fields(folder)
        if now[_START_TIME] != before[_START_TIME]:
            return None  # another process has its number now
        cpu = (int(now[_USER_TIME]) + int(now[_SYSTEM_TIME])) / _TICKS
        age = _uptime(self.proc) - int(now[_START_TIME]) / _TICKS
        instance = Instance(
            int(folder.name),
            user,
            made.guest,
            made.sha256,
            backend,
            memory,
            cpu,
            max(0.0, age),
            _hypercalls(folder) if made.counts else None,
            _chosen(folder, made.places),
        )
        return instance, int(now[_PARENT]), now[_SESSION] == folder.name

    def _file(self, path: Path, used: set[File]) -> Made | None:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(stream.fileno())
            file = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            used.add(file)
            if file not in self.known:
                regular = stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST
                start = os.pread(stream.fileno(), elf.HEADER_SIZE, 0) if regular else b""
                self.known[file] = _made(stream.read()) if _may_be(start) else None
            return self.known[file]


def _guests(found: Sequence[tuple[Instance, int, bool]]) -> Iterator[Instance]:
    """Those of ``found`` that have a guest.

    The parent of a supervised one is a monitor of the same file, and so is that of a process beside
    a guest (namer, broker, porter), which leads a session of its own.
    """
    known = {each.pid for each, _, _ in found}
    beside = {each.pid for each, parent, leads in found if leads and parent in known}
    parents = {parent for each, parent, _ in found if each.pid not in beside}
    return (each for each, _, _ in found if each.pid not in parents | beside)


def _may_be(start: bytes) -> bool:
    """Whether a program that starts with these bytes can be a bundle: a cheap look."""
    if len(start) < elf.HEADER_SIZE or start[:7] != elf.IDENT:
        return False
    return MONITOR_BASE <= elf.Header.unpack(start).entry < MONITOR_BASE + MONITOR_SIZE


def _made(data: bytes) -> Made | None:
    try:
        file = parse(data, "it")
    except LimpetError:
        return None
    try:
        record = file.record
    except LimpetError:  # of another Limpet, or damaged
        return Made(UNKNOWN, "", ())
    backends, asked = record.options.get("backends"), record.options.get("features")
    counts = isinstance(asked, tuple) and _COUNTS in asked
    chosen = tuple(map(str, backends)) if isinstance(backends, tuple) else ()
    return Made(record.guest.name, record.guest.sha256, chosen, counts, _places(file))


def _places(file: BundleFile) -> tuple[int, ...]:
    """Where the table of what a start chooses has them."""
    options = file.record.options
    ways = [each for key in ("publish", "connect") for each in _words(options.get(key))]
    part = next((each for each in file.parts if each.name == "devices"), None)
    count = sum(map(is_chosen, ways))
    if part is None or not count or part.size < manifest.HEAD.size:
        return ()
    _, devices = manifest.HEAD.unpack_from(file.content(part))
    first = part.address + align_up(manifest.HEAD.size + devices * manifest.ENTRY.size, 8)
    return tuple(first + CHOICE.size * index for index in range(count))


def _words(given: object) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, tuple) else ()


def _chosen(folder: Path, places: Sequence[int]) -> tuple[str, ...]:
    """What its start was given, once it has."""
    try:
        handle = os.open(folder / "mem", os.O_RDONLY | os.O_CLOEXEC) if places else -1
        try:
            return tuple(given_word(os.pread(handle, CHOICE.size, at)) for at in places)
        finally:
            if places:
                os.close(handle)
    except (OSError, OverflowError, ValueError):
        return ()


def _hypercalls(folder: Path) -> int | None:
    """How many its monitor has counted; the guest cannot reach that page."""
    size = COUNTS.size
    try:
        handle = os.open(folder / "mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        numbers = struct.unpack(COUNTS.format, os.pread(handle, size, COUNTS_AT))
    except (OSError, struct.error):  # it is in a process, or has just ended
        return None
    finally:
        os.close(handle)
    return sum(numbers[:COUNTED_MOST]) if numbers[-1] == 1 else None


def _fields(folder: Path) -> list[str]:
    """``/proc/PID/stat``, the name replaced: it may hold spaces and brackets."""
    text = (folder / "stat").read_text("utf-8", "replace")
    return ["", "", *text.rpartition(")")[2].split()]


def _uptime(proc: Path) -> float:
    return float((proc / "uptime").read_text("ascii").split()[0])


def _memory(folder: Path) -> int | None:
    try:
        lines = (folder / "smaps_rollup").read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    return next((int(each.split()[1]) << 10 for each in lines if each.startswith("Pss:")), None)


def _backend(folder: Path, made: Made) -> str:
    """The one that it has, or of both, or where nothing is known, the one that it runs on."""
    if len(made.backends) == 1:
        return made.backends[0]
    return "kvm" if any("kvm-vcpu" in target for target in _targets(folder)) else "process"


def _targets(folder: Path) -> Iterator[str]:
    for path in (folder / "fd").iterdir():
        try:
            yield os.readlink(path)
        except OSError:
            continue
