"""Odd values for sandboxes, pools and functions: each error says what is wrong with them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet import Pool, Sandbox, SandboxSnapshot
from limpet.contract import Backend
from limpet.errors import CodeRaised, PlanError, RunError


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"memory": (64 << 20) + 1}, "memory: 67108865 bytes: give some of whole pages"),
        ({"memory": -1}, "memory: -1 bytes: give some of whole pages, and at least 1 MiB"),
        ({"memory": True}, "memory: True is no number of bytes"),
        ({"memory": 1.5}, "memory: 1.5 is no number of bytes"),
        ({"python": "/no/such/python"}, "/no/such/python: no such file"),
        ({"python": "/bin/ls"}, "/bin/ls: not a Python that Limpet knows"),
    ],
)
def test_arguments(named: dict[str, Any], said: str) -> None:
    """Before anything is packed."""
    with pytest.raises(PlanError, match=said):
        Sandbox(**named)


def test_an_interpreter_by_its_name(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell finds it."""
    recipe = sandbox._there().recipe
    monkeypatch.setenv("PATH", str(recipe.interpreter.parent))
    found = limpet.sandbox.given.interpreter(recipe.interpreter.name)
    assert found == str(recipe.interpreter)


def test_too_little_memory(backend: Backend) -> None:
    """It says so, and how much may be enough, which is."""
    with pytest.raises(PlanError, match="memory: 1048576 bytes are too few to start") as error:
        Sandbox(backend=backend, memory=1 << 20)
    name, _, enough = (error.value.hint or "").partition("=")
    assert name == "memory"
    assert enough == "32 << 20"
    with Sandbox(backend=backend, memory=32 << 20) as sandbox:
        assert sandbox.run("import json; json.dumps([1])").value


def test_too_little_memory_for_what_is_warm(backend: Backend) -> None:
    """What it is too little for is named."""
    with pytest.raises(PlanError, match="with its packages and warm code") as error:
        Sandbox(backend=backend, memory=32 << 20, warm="held = bytearray(30 << 20)")
    assert error.value.hint == "memory=64 << 20"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import mmap; mmap.mmap(-1, 4096, prot=7)",
            "PermissionError: .*asked for executable memory without --jit",
        ),
        ("import sys; sys.exit(3)", "warm: its code ends with status 3$"),
    ],
)
def test_warm_code_that_ends(code: str, said: str) -> None:
    """Its last words, and its monitor's, which knows more."""
    with pytest.raises(RunError, match=said):
        Sandbox(backend="process", warm=code)


@pytest.mark.parametrize("numbers", [("a",), (2, "a"), (1.5,), (None,), (0,), (2, 0)])
def test_pools(sandbox: Sandbox, backend: Backend, numbers: tuple[Any, ...]) -> None:
    """Numbers that are none."""
    with pytest.raises(PlanError, match=r"a pool of .* sandboxes"):
        Pool(Sandbox.prepare(backend=backend), *numbers)


@pytest.mark.parametrize("given", [5, "print(1)"])
def test_decorated(given: Any) -> None:
    """What is no function is one at no call either."""
    with pytest.raises(PlanError, match="sandboxed takes a function, and not"):
        limpet.sandboxed(timeout=5)(given)


def test_told(sandbox: Sandbox) -> None:
    """Who is to be told of output is looked at before code runs, and the guest lives on."""
    with pytest.raises(PlanError, match="5 cannot be told what is written"):
        sandbox.run("print(1)", on_stderr=5)  # type: ignore[arg-type]
    assert sandbox.alive


@pytest.mark.parametrize("path", [5, None, b"/x"])
def test_what_is_no_path(sandbox: Sandbox, path: Any) -> None:
    """An error that says so; and so for contents."""
    for ask in (sandbox.get, sandbox.listdir, lambda at: sandbox.put(at, b"1")):
        with pytest.raises(PlanError, match="is no path in a guest"):
            ask(path)
    with pytest.raises(PlanError, match=r"data: .* is no contents"):
        sandbox.put("/x", bytearray(b"1"))  # type: ignore[arg-type]
    assert sandbox.alive


def test_paths(sandbox: Sandbox) -> None:
    """As texts or not; what the guest has not there is an error of its own."""
    sandbox.put(Path("/a/x"), "text")
    assert sandbox.get(Path("/a/x")) == b"text"
    assert sandbox.listdir(Path("/a")) == ["x"]
    for path in ("", "/a\0b", "/proc/1/x"):
        with pytest.raises(CodeRaised):
            sandbox.get(path)
    assert sandbox.run("1").value


@pytest.fixture
def few_files() -> Iterator[None]:
    """This process may have 300 files open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_than_can_be(snapshot: SandboxSnapshot, few_files: None) -> None:
    """Nothing is started; what is said to fit does."""
    said = r": 1000000000 sandboxes at a time, and no more than (\d+) can be: .* 300 files open"
    with pytest.raises(PlanError, match=f"min{said}") as error:
        Pool(snapshot, min=10**9)
    assert 1 < int((error.value.hint or "").split("=")[1].split(",")[0]) < 100
    with pytest.raises(PlanError, match=f"max{said}"):
        Pool(snapshot, min=1, max=10**9)
    with snapshot.start() as sandbox:
        with pytest.raises(PlanError, match=f"count{said}") as error:
            sandbox.fork(10**9)
        most = int((error.value.hint or "").split("=")[1].split(",")[0])
        others = sandbox.fork(most)
        assert others[-1].run("print(1)").stdout == "1\n"
        for each in others:
            each.close()


def test_as_many_as_can_be(
    snapshot: SandboxSnapshot, few_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host with many processors, for who names no number."""
    monkeypatch.setattr("os.cpu_count", lambda: 512)
    with Pool(snapshot, min=1) as pool:
        assert 1 < pool.max < 100 and pool.call("abs", -1) == 1


def test_more_than_this_host_has_memory_for(
    snapshot: SandboxSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever may be open."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    with pytest.raises(PlanError, match="each takes at least 1 MiB of this host's memory"):
        Pool(snapshot, min=10**9)
