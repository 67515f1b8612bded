"""A folder of the host's: each of 10,000 files is opened, read and closed.

Of each hundred files the fastest of some turns, the same program natively in between: whoever else
wants the processor is not in those.  Who started, whether the volume may be written, and whose the
folder is decides which walls there are, and so has a row each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import limpet
from bench.rows import Row, backends, program
from limpet.contract import Backend

TURNS = 15
FILES = 10_000
USER = 1000
OTHER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--")
MOST = 1 / 0.9


def _once(argv: Sequence[str]) -> list[int]:
    """Nanoseconds for each hundred files."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [int(each) for each in done.stdout.split()]


def _least(turns: Sequence[Sequence[int]]) -> float:
    """Microseconds for a file, from the fastest turn of each hundred."""
    least: int = sum(map(min, zip(*turns, strict=True)))
    return least / 1e3 / FILES


def _made(native: Path, backend: Backend, volume: str, data: Path) -> list[str]:
    """A command that has the folder of files as a volume."""
    made = native.parent / f"files.{backend}{volume.count(':ro')}"
    if not made.exists():
        options = limpet.Options(backends=(backend,), devices=(volume,))
        limpet.build(limpet.plan(limpet.load(native), options)).write(made)
        made.chmod(0o755)
    return [str(made), f"--volume:/data={data}", "--", "/data", str(FILES)]


def _commands(native: Path, folder: Path) -> Iterator[tuple[str, list[str], str, float]]:
    """Ways to open the files: a name, how, beside which one of them, and the floor."""
    argv = [str(native), str(folder / "data"), str(FILES)]
    yield "native", argv, "", 0
    users: dict[str, Sequence[str]] = {"": ()}
    if os.geteuid() == 0 and shutil.which("setpriv"):
        users[", of another user"] = OTHER
        yield "native of another user", [*OTHER, *argv], "", 0
        theirs = _made(native, "process", "volume:/data:ro", folder / "theirs")
        beside = "native of another user"
        yield "process, of another user in root's folder", [*OTHER, *theirs], beside, float("inf")
    for who, before in users.items():
        beside = "native of another user" if who else "native"
        for volume, how in ("volume:/data:ro", ""), ("volume:/data", ", written"):
            yield (
                f"process{how}{who}",
                [*before, *_made(native, "process", volume, folder / "data")],
                beside,
                MOST,
            )
    if "kvm" in backends():
        yield (
            "kvm",
            _made(native, "kvm", "volume:/data:ro", folder / "data"),
            "native",
            float("inf"),
        )


def rows(folder: Path) -> Iterator[Row]:
    """Microseconds a file."""
    folder.chmod(0o755)
    data, theirs = folder / "data", folder / "theirs"
    data.mkdir()
    theirs.mkdir()
    for number in range(FILES):
        (data / str(number)).write_bytes(b"x" * 200)
        os.link(data / str(number), theirs / str(number))
    if os.geteuid() == 0:
        os.chown(data, USER, USER)
    native = program("files", folder)
    native.chmod(0o755)
    commands = list(_commands(native, folder))
    turns = [{name: _once(argv) for name, argv, _, _ in commands} for _ in range(TURNS)]
    best = {name: _least([turn[name] for turn in turns]) for name in turns[0]}
    for name, _, beside, most in commands:
        if beside:
            row = f"a file opened, read and closed, {name}"
            yield Row(row, best[name], best[beside], most, "us")
