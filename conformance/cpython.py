"""CPython's own tests (Debian's libpython3.11-testsuite), module by module.

Natively they run with what a guest does not have taken away (``denied.c``), so that both can do the
same.  One bundle has the library and all tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import limpet
from conformance.outcome import Known, read_outcome
from conformance.runner import HERE, Runner, built, denied, made
from limpet.contract import Backend

PYTHON = Path("/usr/bin/python3.11")
LIBRARY = Path("/usr/lib/python3.11")
TESTS = LIBRARY / "test"
ASKED_FOR = ("/usr/include/**/pyconfig.h", "/usr/share/zoneinfo")
"""What tests look for beside it."""

WARM = "import unittest, test.libregrtest.main, test.support"
"""What an interpreter has imported before its moment, where one is restored for each module."""

WITH = ("-u", "network", "-v")
"""Tests over a network count: of a loopback, as there is no other here."""

APART = "test_asyncio"
"""A package whose modules take minutes as one: each of them is run by itself."""

NEEDS = "libpython3.11-testsuite"
MEMORY = 2 << 30


def known() -> Known:
    """What is known to be different."""
    return Known.read(HERE / "cpython.toml")


def modules() -> list[str]:
    """The names of all modules, in order."""
    of_a_package = {f"{APART}.{each}" for each in _within(TESTS / APART)}
    return sorted(_within(TESTS) - {APART} | of_a_package)


def _within(folder: Path) -> set[str]:
    found = (re.fullmatch(r"(test_\w+)(\.py)?", each.name) for each in folder.iterdir())
    return {each[1] for each in found if each}


def _argv(*words: str) -> Callable[[str], Sequence[str]]:
    """The program is called as Python is: some tests look for the file of that name."""
    return lambda module: [str(PYTHON), *words, *WITH, module]


def native(folder: Path) -> Runner:
    """On Linux, without what a guest does not have."""
    argv = _argv("-m", "test")
    return Runner(PYTHON, denied(folder), made(folder / "native"), argv, read_outcome)


def guest(folder: Path, backend: Backend) -> Runner:
    """In a bundle, which is built if ``folder`` has none."""
    bundle = folder / f"cpython-{backend}"
    if not bundle.exists():
        read = limpet.load(PYTHON, keep_times=True, include=[str(LIBRARY), *ASKED_FOR])
        options = limpet.Options(backends=(backend,), memory=MEMORY)
        limpet.build(limpet.plan(read, options)).write(bundle)
    return Runner(bundle, {}, made(folder / backend), _argv("-m", "test"), read_outcome)


def restored(folder: Path, backend: Backend) -> Runner:
    """In a bundle whose interpreter has started already, which is built if ``folder`` has none."""
    name = f"{backend}-restored"
    included = [word for each in (str(LIBRARY), *ASKED_FOR) for word in ("--include", each)]
    words = ["--backend", backend, "--memory", str(MEMORY), "--keep-times", *included]
    words += ["--python", str(PYTHON), "--warm", WARM, "-m", "test"]
    bundle = built(folder / f"cpython-{name}", words)
    return Runner(bundle, {}, made(folder / name), _argv(), read_outcome)


def missing() -> str:
    """What has to be installed first, nothing where all is there."""
    return "" if TESTS.is_dir() and sys.platform == "linux" else f"apt-get install {NEEDS}"
