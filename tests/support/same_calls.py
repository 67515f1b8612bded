"""The same calls on Linux and in a bundle, with the same tree; ``programs/calls.c`` makes them."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, Ran

SLOTS = 8
"""Folders with the same contents, one for each sequence of a run."""

Line = st.SearchStrategy[str]
Calls = Mapping[str, tuple[tuple[Line, ...], ...]]
Sequences = list[list[str]]
NAME_OF = {str(number): name for name, number in NUMBERS.items()}

DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
"""Minor numbers of the devices that every guest has."""


def each(values: Iterable[int]) -> Line:
    """An integer out of ``values``."""
    return st.sampled_from([f"i{value}" for value in values])


def union(flags: list[int]) -> int:
    """All bits of ``flags``."""
    total = 0
    for flag in flags:
        total |= flag
    return total


def call_of(name: str, arguments: tuple[Line, ...]) -> Line:
    """Lines that ask for one system call."""
    return st.tuples(*arguments).map(lambda some: f"{NUMBERS[name]} {' '.join(some)}")


def any_of(calls: Calls) -> Line:
    """Lines that ask for one of ``calls``."""
    return st.one_of([call_of(name, some) for name, variants in calls.items() for some in variants])


def number_of(text: str) -> str:
    """A line with the number of the call that it names."""
    name, _, rest = text.partition(" ")
    return f"{NUMBERS[name]} {rest}"


def program_of(make: Maker) -> Path:
    """The program that makes the calls of its input."""
    text = (SUPPORT / "programs" / "calls.c").read_text(encoding="utf-8")
    return make.compile(text, "calls")


def populate(top: Path) -> None:
    """What every sequence finds, in a folder of its own."""
    for slot in range(SLOTS):
        work = top / f"s{slot}" / "w"
        (work / "d/e").mkdir(parents=True)
        (work.parent / "v").mkdir()
        (work / "a").write_bytes(b"0123456789")
        os.link(work / "a", work / "b")
        (work / "big").write_bytes(bytes(i * 11 & 255 for i in range(70000)))
        (work / "d/f").write_bytes(b"deep\n")
        (work / "x").write_bytes(b"#!/bin/sh\n")
        (work / "x").chmod(0o6755)
        (work / "q").write_bytes(b"")
        (work / "q").chmod(0)
        for name, target in {"l": "a", "k": "d", "m": "n", "o": "o", "u": "../w/d/f"}.items():
            (work / name).symlink_to(target)
        (work / "p").symlink_to(".")
    modes = {"dev": 0o755, "etc": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777}
    for name, mode_ in modes.items():
        (top / name).mkdir()
        (top / name).chmod(mode_)
    (top / "proc/self").mkdir()
    set_times(top)


def set_times(top: Path) -> None:
    """One time for everything in ``top``, as a guest finds it in its tree."""
    for place, folders, files in os.walk(top, topdown=False):
        for name in [*folders, *files, "."]:
            os.utime(Path(place, name), (1_000_000_000, 1_000_000_000), follow_symlinks=False)


class Pair:
    """The same program on Linux and in a bundle, with the same tree as its root folder."""

    def __init__(
        self, make: Maker, backend: Backend, template: Path, features: tuple[str, ...] = ()
    ) -> None:
        self._template = template
        self._bundle = make(
            template / "calls", backend, root=template, keep_times=True, features=features
        )

    def _native(self, text: bytes) -> Ran:
        with tempfile.TemporaryDirectory(dir=self._template.parent) as folder:
            top = Path(folder, "root")
            subprocess.run(["cp", "-a", self._template, top], check=True)
            for name, minor in DEVICES.items():
                os.mknod(top / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
                (top / "dev" / name).chmod(0o666)
            set_times(top)

            def enter() -> None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
                os.chroot(top)
                os.chdir("/")

            done = subprocess.run(
                ["/calls"], input=text, capture_output=True, preexec_fn=enter, env={}, check=False
            )
            return Ran(done.returncode, done.stdout, done.stderr)

    def compare(self, some: Sequences) -> None:
        """Fail at the first call that differs, with all that came before it."""
        lines = [line for slot, each_ in enumerate(some) for line in (f"= /s{slot}/w", *each_)]
        text = "".join(f"{line}\n" for line in lines).encode()
        native, ours = self._native(text), self._bundle.run(stdin=text)
        if native != ours or native.status not in (0, 1):  # 1: standard output was closed
            pytest.fail(story(lines, native, ours))


def story(lines: list[str], native: Ran, ours: Ran) -> str:
    """What every line gave on Linux and here, up to the first that differs."""
    told = []
    each_line = zip_longest(lines, native.stdout.split(b"\n"), ours.stdout.split(b"\n"))
    for line, linux, limpet in each_line:
        told.append(f"{line and shown(line)}\n    Linux:  {linux!r}\n    Limpet: {limpet!r}")
        if linux != limpet:
            break
    return "\n".join([*told, f"{native.status} {ours.status} {ours.stderr!r}"])


def check_all(
    compare: Callable[[Sequences], None], sequences: st.SearchStrategy[Sequences], examples: int
) -> None:
    """Have ``compare`` look at ``examples`` of ``sequences``, the same ones every time.

    Where LIMPET_EXAMPLES is set it is that many others.
    """

    @settings(
        max_examples=int(os.environ.get("LIMPET_EXAMPLES", examples)),
        deadline=None,
        derandomize="LIMPET_EXAMPLES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(sequences)
    def check(some: Sequences) -> None:
        compare(some)

    check()


def shown(line: str) -> str:
    """A call with its name instead of its number."""
    number, *rest = line.split(" ")
    return " ".join([NAME_OF.get(number, number), *rest])[:400]
