"""A bundle while its guest runs, as the host sees it in ``/proc``."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST = 20.0
_VSYSCALL = 1 << 63


@dataclass(frozen=True)
class Seen:
    """A process of the host."""

    pid: int

    def _text(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text(encoding="utf-8")

    @property
    def status(self) -> dict[str, str]:
        """The lines of its ``status``."""
        lines = (line.partition(":") for line in self._text("status").splitlines())
        return {name: value.strip() for name, _, value in lines}

    @property
    def limits(self) -> dict[str, str]:
        """Its soft and hard limits by name."""
        rows = self._text("limits").splitlines()[1:]
        return {row[:26].strip(): " ".join(row[26:].split()[:2]) for row in rows}

    @property
    def descriptors(self) -> set[int]:
        """Those that are open."""
        return {int(each.name) for each in Path(f"/proc/{self.pid}/fd").iterdir()}

    @property
    def memory(self) -> list[tuple[int, int]]:
        """What is mapped, but for the kernel's own page, [low, high)."""
        rows = (line.split()[0].split("-") for line in self._text("maps").splitlines())
        runs = [(int(low, 16), int(high, 16)) for low, high in rows]
        return [run for run in runs if run[0] < _VSYSCALL]


@contextmanager
def seen(argv: Sequence[str | Path], **how: Any) -> Iterator[Seen]:
    """Start a bundle whose guest does not end, and wait until it is behind its filter."""
    with subprocess.Popen(argv, **how) as running:
        try:
            found, last = Seen(running.pid), time.monotonic() + _LONGEST
            while found.status["Seccomp"] != "2":
                assert running.poll() is None, f"it ended with {running.returncode}"
                assert time.monotonic() < last, "it has no filter"
                time.sleep(0.01)
            yield found
        finally:
            running.kill()
