"""A folder of the host's: each of 10,000 files is opened, read and closed.

The fastest of a few turns, the same program natively in between.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import limpet
from bench.rows import Row, backends, program

TURNS = 5
FILES = 10_000


def _once(argv: list[str]) -> float:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1e3 / FILES


def rows(folder: Path) -> Iterator[Row]:
    """Microseconds a file on each backend."""
    data = folder / "data"
    data.mkdir()
    for number in range(FILES):
        (data / str(number)).write_bytes(b"x" * 200)
    native = program("files", folder)
    commands = {"native": [str(native), str(data), str(FILES)]}
    for backend in backends():
        options = limpet.Options(backends=(backend,), devices=("volume:/data:ro",))
        made = folder / f"files.{backend}"
        limpet.build(limpet.plan(limpet.load(native), options)).write(made)
        words = [f"--volume:/data={data}", "--", "/data", str(FILES)]
        commands[backend] = [str(made), *words]
    turns = [{name: _once(argv) for name, argv in commands.items()} for _ in range(TURNS)]
    best = {name: min(turn[name] for turn in turns) for name in commands}
    floors = {"process": 1 / 0.9, "kvm": float("inf")}
    for backend in backends():
        name = f"a file opened, read and closed, {backend}"
        yield Row(name, best[backend], best["native"], floors[backend], "us")
