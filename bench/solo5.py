"""Unikernels beside Solo5's tenders, where a built Solo5 is named by the variable SOLO5.

The guests are the tests' own and run unchanged under both.  Without SOLO5 only the rows against a
plain ``pread`` remain.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import limpet
from bench.rows import Row, backends, program
from tests.support import network, unikernels

TURNS = 5
DISK_MIB = 256


class _Guests:
    """One ABI's guests, ours and Solo5's way of starting them."""

    def __init__(self, target: str, folder: Path) -> None:
        self.target = target
        self.plain = unikernels.build(folder, target)
        self.devices = unikernels.build(folder, target, devices=True)
        self.bundles = {guest: self.bundle(guest) for guest in (self.plain, self.devices)}
        tender = Path(os.environ.get("SOLO5", "/nonexistent"), "tenders", target)
        self.tender = tender / f"solo5-{target}"

    def bundle(self, guest: Path) -> Path:
        path = guest.with_suffix(f".{self.target}.bundle")
        limpet.build(limpet.plan(limpet.load(guest))).write(path)
        return path

    def ours(self, guest: Path, *words: str) -> list[str | Path]:
        return [self.bundles[guest], *words]

    def theirs(self, guest: Path, *words: str) -> list[str | Path]:
        options = [word for word in words if word.startswith("--")]
        return [self.tender, *options, guest, *words[len(options) :]]


def _start(guests: _Guests, spawn: Path, folder: Path) -> Row:
    """Solo5's own hello, spawn to exit."""
    name = f"test_hello.{guests.target}"
    hello = folder / name
    hello.write_bytes(Path(os.environ["SOLO5"], "tests", "test_hello", name).read_bytes())
    guests.bundles[hello] = guests.bundle(hello)
    words = "Hello_Solo5"
    argv = [*guests.ours(hello, words), "--", *guests.theirs(hello, words)]
    done = subprocess.run([spawn, *argv], capture_output=True, text=True, check=True)
    mine, theirs = map(float, done.stdout.split())
    most = {"spt": 0.5, "hvt": 0.34}[guests.target]
    return Row(f"{guests.target} hello beside its tender", mine, theirs, most, "us")


def _number(argv: list[str | Path]) -> float:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _block(guests: _Guests, tap: network.Tap, folder: Path) -> list[Row]:
    disk = folder / "disk"
    disk.write_bytes(os.urandom(1 << 20) * DISK_MIB)  # more than caches hold
    plain = program("pread", folder)
    found = []
    for how, size in (("random", 4096), ("sequential", 32768)):
        words = [f"--block:storage={disk}", f"--block-sector-size:storage={size}"]
        words += [f"--net:service={tap.name}", how]
        commands = {"ours": guests.ours(guests.devices, *words)}
        if guests.tender.exists():
            commands["theirs"] = guests.theirs(guests.devices, *words)
        commands["pread"] = [plain, how, disk, str(size)]
        best = {name: min(_number(c) for _ in range(TURNS)) for name, c in commands.items()}
        name = f"{guests.target} block, {how} {size >> 10} KiB"
        if "theirs" in best:
            found.append(Row(f"{name} beside its tender", best["ours"], best["theirs"], 1, "ns"))
        if guests.target == "spt":
            found.append(Row(f"{name} beside pread", best["ours"], best["pread"], 1 / 0.9, "ns"))
    return found


def _compute(guests: _Guests, folder: Path) -> Row:
    """A loop of twenty million turns, timed by the guest, beside the same natively."""
    plain = program("compute", folder, ("-O2",))
    commands: list[list[str | Path]] = [guests.ours(guests.plain, "compute"), [plain]]
    turns = [[_number(command) for command in commands] for _ in range(3 * TURNS)]
    mine, theirs = (min(column) / 1e6 for column in zip(*turns, strict=True))
    return Row(f"{guests.target} compute beside native", mine, theirs, 1.05, "ms")


_KINDS = (("requests", 3000, 64, 1), ("bulk", 20000, 1514, 32))
_PATIENCE = 60
"""Seconds for one exchange: where a frame is lost, it never ends."""


@contextmanager
def _counted(pid: int) -> Iterator[Callable[[], int]]:
    """Counts runs of the virtual processor of ``pid``, where there is ``perf``; else 0."""
    perf = shutil.which("perf")
    words = ["stat", "-x,", "-e", "syscalls:sys_enter_ioctl", "-p", str(pid)]
    if not perf:
        print("*** perf is not installed: exits are not counted ***")
        yield lambda: 0
        return
    with subprocess.Popen([perf, *words], stderr=subprocess.PIPE, text=True) as counter:
        assert counter.stderr
        stream = counter.stderr

        def count() -> int:
            counter.send_signal(signal.SIGINT)
            found = stream.read().split(",")[0]
            return int(found) if found.isdigit() else 0

        time.sleep(0.3)  # it has to begin
        yield count


def _exchange(
    argv: list[str | Path], tap: network.Tap, kind: tuple[str, int, int, int], folder: Path
) -> tuple[float, float]:
    """Nanoseconds and exits for each frame that goes to a guest and back."""
    _, count, size, window = kind
    sender: list[str | Path] = ["timeout", str(_PATIENCE), program("frames", folder), tap.name]
    sender += map(str, (count, size, window))
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as guest:
        assert guest.stdout
        guest.stdout.readline()
        with _counted(guest.pid) as exits:
            done = subprocess.run(sender, capture_output=True, text=True, check=False)
            found = exits() / count
        guest.kill()
    return float(done.stdout or "nan"), found


def _network(guests: _Guests, tap: network.Tap, folder: Path) -> list[Row]:
    disk = folder / "disk"
    found = []
    words = [f"--block:storage={disk}", f"--net:service={tap.name}", "echo"]
    for kind in _KINDS:
        commands = [guests.ours(guests.devices, *words)]
        if guests.tender.exists():
            commands.append(guests.theirs(guests.devices, *words))
        turns = [[_exchange(each, tap, kind, folder) for each in commands] for _ in range(TURNS)]
        (mine, exits), *theirs = (
            [median(figures) for figures in zip(*column, strict=True)]
            for column in zip(*turns, strict=True)
        )
        name = f"{guests.target} network, {kind[0]}"
        if theirs:
            found.append(Row(f"{name}, a frame", mine, theirs[0][0], 1, "ns"))
        if guests.target == "hvt" and exits:
            beside = theirs[0][1] if theirs else None
            most = 1.0 if theirs else _EXITS_MOST[kind[0]]
            found.append(Row(f"{name}, exits of a frame", exits, beside, most, ""))
    return found


_EXITS_MOST = {"requests": 2.0, "bulk": 0.5}


def rows(folder: Path) -> list[Row]:
    """Start, block devices and networks of both ABIs."""
    found = []
    spawn = program("spawn", folder)
    for target in ("spt", "hvt") if "kvm" in backends() else ("spt",):
        guests = _Guests(target, folder)
        if not guests.tender.exists():
            print(f"*** SOLO5 names no built Solo5: no rows beside solo5-{target} ***")
        found.append(_compute(guests, folder))
        with network.tap() as tap:
            found += [_start(guests, spawn, folder)] if guests.tender.exists() else []
            found += _block(guests, tap, folder)
            found += _network(guests, tap, folder)
    return found
