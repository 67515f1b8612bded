"""Code that makes code: only where that is asked for."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limpet import Pool, Sandbox
from limpet.audit import audit
from limpet.cli import kernel
from limpet.contract import Backend
from limpet.errors import MemoryLimit, PlanError
from limpet.sandbox.result import Result

MAKES = """
import ctypes, mmap

libc, rooms = ctypes.CDLL(None, use_errno=True), []

def made(number):
    room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    rooms.append(room)
    room.write(b"\\xb8" + number.to_bytes(4, "little") + b"\\xc3")
    at = ctypes.addressof(ctypes.c_char.from_buffer(room))
    if libc.mprotect(ctypes.c_void_p(at), 4096, 5):
        raise OSError(ctypes.get_errno(), "mprotect")
    return ctypes.CFUNCTYPE(ctypes.c_int)(at)

first = made(42)
"""


def said(result: Result) -> str:
    """The value of its last expression."""
    return repr(result.value)


@pytest.fixture
def jit(backend: Backend, alone: Path) -> Iterator[Sandbox]:
    """One whose code may make code."""
    with alone.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sandbox = Sandbox(backend=backend, timeout=30, jit=True)
    with sandbox:
        yield sandbox


def test_not_by_itself(sandbox: Sandbox) -> None:
    """Memory that was written can be run nowhere."""
    error = sandbox.run(MAKES).error
    assert error and error.type == "PermissionError"
    with pytest.raises(MemoryLimit) as limit:  # as numba has it
        sandbox.run("raise MemoryError")
    assert "jit=True" in (limit.value.hint or "")


def test_what_it_made(jit: Sandbox) -> None:
    """It runs, in what goes on from it as well, and is forgotten with the rest."""
    assert said(jit.run(MAKES + "first()")) == "42"
    with jit.snapshot().start() as other:
        assert said(other.run("first(), made(7)()")) == "(42, 7)"
    for _ in range(2):
        jit.reset()
        assert said(jit.run("'first' in globals()")) == "False"
        assert said(jit.run(MAKES + "first()")) == "42"


def test_each_call_by_itself(jit: Sandbox, backend: Backend) -> None:
    """Each call of a pool has a guest of its own."""
    with Pool(Sandbox.prepare(backend=backend, timeout=30, jit=True), min=1) as pool:
        for _ in range(3):
            assert said(pool.run("'first' in globals()")) == "False"
            assert said(pool.run(MAKES + "first()")) == "42"


def test_it_is_shown(jit: Sandbox, sandbox: Sandbox) -> None:
    """In an audit of what is started."""
    for each, shown in ((jit, True), (sandbox, False)):
        found = audit(each._there().bundle)
        assert not found.findings
        assert ("execute" in {each.name for each in found.hypercalls}) is shown
        if shown:
            barriers = {each.name: each.present for each in found.protections}
            assert not barriers["code fixed at the start"]


def test_saved(jit: Sandbox, backend: Backend, tmp_path: Path) -> None:
    """Its memory goes on only where code may be made."""
    jit.run(MAKES)
    jit.snapshot().save(tmp_path / "kept")
    with Sandbox.prepare(backend=backend, jit=True).load(tmp_path / "kept").start() as other:
        assert said(other.run("first()")) == "42"
    with pytest.raises(PlanError, match="taken of another interpreter, with jit=True"):
        Sandbox.prepare(backend=backend).load(tmp_path / "kept")


@pytest.mark.parametrize("wrong", [1, "yes", None])
def test_odd_values(wrong: Any) -> None:
    """A right is never given by what only looks like one."""
    with pytest.raises(PlanError, match=f"jit: {wrong!r} is neither True nor False"):
        Sandbox(jit=wrong)


@pytest.mark.parametrize("words", [[], ["--jit"]])
def test_a_kernel_has_it(words: list[str]) -> None:
    """What Jupyter starts is what was installed."""
    given = kernel.install.make_context("install", list(words)).params
    installed = kernel._words(
        {name: given[name] for name in given if name not in ("name", "prefix")}
    )
    again = kernel.run.make_context("run", installed[installed.index("-f") :]).params
    assert again["jit"] is given["jit"] is bool(words)
