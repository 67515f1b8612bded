"""A sandbox runs code and remembers, brings values and files, and stops what takes too much."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from limpet import Sandbox
from limpet.errors import (
    CodeRaised,
    CpuLimit,
    Died,
    Killed,
    MemoryLimit,
    NeverRan,
    OutputLimit,
    PlanError,
    TimeLimit,
)
from tests.support.bundles import need


def data(sandbox: Sandbox, code: str) -> Any:
    """The value of code that goes well."""
    result = sandbox.run(code)
    assert result.value and result.value.is_data, result
    return result.value.data


def doubled(number: int) -> int:
    """What is sent to the guest."""
    return 2 * number


def test_it_remembers(sandbox: Sandbox) -> None:
    """From one piece of code to the next, until it is reset."""
    assert sandbox.run("x = 20\nprint('written')").stdout == "written\n"
    result = sandbox.run("x + 1")
    assert result.ok and result.value and result.value.data == 21 and result.value.text == "21"
    took = sandbox.run("for _ in range(1_000_000): pass").timings
    assert 0 < took.cpu <= took.wall + 0.05
    sandbox.reset()
    error = sandbox.run("x").error
    assert error and error.type == "NameError"


def test_errors_are_results(sandbox: Sandbox) -> None:
    """With a traceback of the code alone, and a status where it exits."""
    result = sandbox.run("def f():\n    return 1 / 0\nf()")
    assert not result.ok and result.error
    assert result.error.type == "ZeroDivisionError"
    assert "    return 1 / 0" in result.error.traceback
    assert "limpet" not in result.error.traceback
    assert sandbox.run("import sys; sys.exit(7)").exit == 7
    wrong = sandbox.run("if").error
    assert wrong and wrong.type == "SyntaxError" and "ast.py" not in wrong.traceback
    text = "class E(Exception):\n    def __str__(self):\n        raise KeyboardInterrupt\nraise E"
    wrong = sandbox.run(text).error
    assert wrong and wrong.message == "<its text cannot be made>"
    assert sandbox.run("1").ok


def test_code_awaits(sandbox: Sandbox) -> None:
    """As in a notebook: in one loop, which tasks of one piece and the next are in."""
    assert data(sandbox, "import asyncio\nasync def f(x):\n    return x + 1\nawait f(1)") == 2
    sandbox.run("task = asyncio.create_task(f(7)); await asyncio.sleep(0)")
    assert data(sandbox, "await task") == 8
    assert data(sandbox, "await f(2)") == 3
    error = sandbox.run("await (f(1) / 0)").error
    assert error and error.type == "TypeError"
    assert "asyncio" not in error.traceback and "limpet" not in error.traceback


def test_code_is_compiled_as_it_is(sandbox: Sandbox) -> None:
    """Nothing that the agent's own modules ask of their compiler holds for it."""
    assert data(sandbox, "def f(x: int): ...\nf.__annotations__['x'] is int")


def test_output_from_everywhere(sandbox: Sandbox) -> None:
    """C code, threads and bytes: in the order in which they were written, and no frame is torn."""
    result = sandbox.run(
        "import ctypes, os, sys, threading\n"
        "libc = ctypes.CDLL(None)\n"
        "print('first')\n"
        "sys.stdout.flush()\n"
        "libc.puts(b'second'); libc.fflush(None)\n"
        "os.write(1, b'a\\x05\\0\\0\\0third\\n')\n"
        "thread = threading.Thread(target=print, args=('fourth',)); thread.start(); thread.join()\n"
        "os.write(2, b'raw error\\n'); print('error', file=sys.stderr)\n"
    )
    assert result.stdout == "first\nsecond\na\x05\0\0\0third\nfourth\n"
    assert result.stderr == "raw error\nerror\n"
    assert sandbox.run("input()").error.type == "EOFError"  # type: ignore[union-attr]


def test_output_while_it_runs(sandbox: Sandbox) -> None:
    """A callback is told before the code has ended."""
    told: list[tuple[str, float]] = []
    sandbox.run(
        "import time\nprint('é', flush=True)\ntime.sleep(0.3)\nprint('end')",
        on_stdout=lambda text: told.append((text, time.monotonic())),
    )
    assert "".join(text for text, _ in told) == "é\nend\n"
    assert told[-1][1] - told[0][1] > 0.2


def test_output_of_the_codes_own(sandbox: Sandbox) -> None:
    """What it has put in the place of its output, and can do less, is no end of it."""
    told: list[str] = []
    for code in ("sys.stdout = io.StringIO()", "sys.stdout = None", "del sys.stdout"):
        assert sandbox.run(f"import io, sys\n{code}", on_stdout=told.append).ok
        assert sandbox.run("sys.stdout = sys.__stdout__").ok
        assert sandbox.run(code).ok
        ran = sandbox.run("sys.stdout = sys.__stdout__\nprint(1)", on_stdout=told.append)
        assert (ran.stdout, told.pop()) == ("1\n", "1\n")


def test_pictures(sandbox: Sandbox) -> None:
    """A value brings its pictures; one that is broken is left out."""
    result = sandbox.run(
        "class Picture:\n"
        "    def _repr_png_(self): return b'\\x89PNG'\n"
        "    def _repr_html_(self): raise ValueError\n"
        "Picture()"
    )
    assert result.value and result.value.mime == {"image/png": b"\x89PNG"}
    assert not result.value.is_data


def test_display(sandbox: Sandbox) -> None:
    """What code shows while it runs comes with its result, however it ends."""
    result = sandbox.run("display('a', [1])\ndisplay(None)\n7")
    assert [each.text for each in result.shown] == ["'a'", "[1]"]
    assert result.shown[1].data == [1] and result.value and result.value.data == 7
    result = sandbox.run("display(1)\n1 / 0")
    assert [each.text for each in result.shown] == ["1"] and result.error
    assert not sandbox.run("2").shown
    result = sandbox.run("for _ in range(20):\n    display(b'x' * 1_000_000)\n1 / 0")
    assert not result.shown and "too large for an answer" in result.stderr
    assert result.error and result.error.type == "ZeroDivisionError"
    error = sandbox.run("display(*range(1001))").error
    assert error and error.message == "no more than 1000 values can be shown"


def test_calls(sandbox: Sandbox) -> None:
    """A function of the code's, one of the host's as text, and what cannot come back."""
    sandbox.run("def f(*a, **k): return a, k")
    assert sandbox.call("f", 1, b"\0", x={2: 3}) == ((1, b"\0"), {"x": {2: 3}})
    assert sandbox.call(doubled, 21) == 42
    with pytest.raises(CodeRaised, match="NameError: name 'missing' is not defined"):
        sandbox.call("missing.part")
    with pytest.raises(PlanError, match="code is text, and not bytes"):
        sandbox.run(b"1")  # type: ignore[arg-type]
    assert sandbox.run("1", timeout=1e30).ok
    with pytest.raises(CodeRaised, match="not plain data"):
        sandbox.call("object")
    with pytest.raises(PlanError, match="argument cannot be sent"):
        sandbox.call("f", object())


def test_too_large(sandbox: Sandbox) -> None:
    """What is too long for an answer is said so, and the guest lives on."""
    value = sandbox.run("b'x' * 20_000_000").value
    assert value and not value.is_data and len(value.text) == 1 << 20
    for function in ("bytes", "add"):
        with pytest.raises(CodeRaised, match="too large"):
            sandbox.call(function, 20_000_000 if function == "bytes" else "x" * 20_000_000)
    assert sandbox.run("1").ok


def test_tools(sandbox: Sandbox) -> None:
    """The code calls the host, whose errors are raised there."""
    code = "try:\n    add(-1)\nexcept ValueError as error:\n    caught = str(error)\n"
    found = data(sandbox, code + "add(add(1, 2), second=3), caught")
    assert found == (6, "it is negative")
    error = sandbox.run("add('1')").error
    assert error and error.type == "TypeError" and "first is a str, not int" in error.message


def test_a_tool_that_takes_too_long(sandbox: Sandbox) -> None:
    """What the guest says of it afterwards is no answer to the next request."""
    sandbox.add_tools({"slow": lambda: time.sleep(0.3)})
    with pytest.raises(TimeLimit):
        sandbox.run("slow()", timeout=0.1)
    with pytest.raises(NeverRan, match="since it was killed"):
        sandbox.run("1")
    sandbox.reset()
    assert sandbox.run("1").ok


def test_files(sandbox: Sandbox) -> None:
    """They go there and come back."""
    sandbox.put("/data/in.bin", bytes(range(256)) * 1000)
    sandbox.run(
        "data = open('/data/in.bin', 'rb').read(); open('/data/out', 'wb').write(data[::-1])"
    )
    assert sandbox.get("/data/out") == (bytes(range(256)) * 1000)[::-1]
    assert sandbox.listdir("/data") == ["in.bin", "out"]
    assert "data/" in sandbox.listdir("/")
    with pytest.raises(CodeRaised, match="FileNotFoundError"):
        sandbox.get("/none")


def test_time_zones(sandbox: Sandbox) -> None:
    """Those of the host are there, as everywhere, but not which of them is its own."""
    need(Path("/usr/share/zoneinfo/Europe/Berlin"), "tzdata")
    code = "from datetime import *\nfrom zoneinfo import *\n"
    code += "str(datetime(2026, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')).utcoffset())"
    assert data(sandbox, code) == "2:00:00"


def test_nothing_of_the_host(sandbox: Sandbox) -> None:
    """No files, no network, and of the environment what Python and the agent themselves set."""
    code = f"import os; os.path.exists({__file__!r}), sorted(os.environ)"
    assert data(sandbox, code) == (False, ["LC_CTYPE", "MPLBACKEND"])
    code = "import socket; socket.create_connection(('1.1.1.1', 53), 1)"
    error = sandbox.run(code).error
    assert error and error.type in (
        "OSError",
        "PermissionError",
        "ConnectionRefusedError",
        "TimeoutError",
    ), error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("while True: pass", TimeLimit),
        ("import time; time.sleep(60)", TimeLimit),
        ("while True: print('x' * 1000)", OutputLimit),
        ("import os\nwhile True: os.write(2, b'x' * 1000)", OutputLimit),
    ],
    ids=["computing", "sleeping", "writing", "errors"],
)
def test_limits(sandbox: Sandbox, code: str, kind: type[Exception]) -> None:
    """Each ends the guest, and says which it was."""
    sandbox.run("1")
    began = time.monotonic()
    with pytest.raises(kind):
        sandbox.run(code, timeout=1)
    assert time.monotonic() - began < 20
    assert not sandbox.alive
    with pytest.raises(NeverRan):
        sandbox.run("1")
    sandbox.reset()
    assert sandbox.run("1").ok


def test_memory(sandbox: Sandbox) -> None:
    """What wants too much fails, and the rest goes on."""
    sandbox.run("x = 1")
    with pytest.raises(MemoryLimit):
        sandbox.run("y = bytearray(1 << 30)")
    assert data(sandbox, "x") == 1


def test_cpu(sandbox: Sandbox) -> None:
    """Sleeping costs nothing of it, computing does."""
    sandbox._limits = type(sandbox._limits)(30, 0.2, 0)
    assert sandbox.run("import time; time.sleep(0.4)").ok
    with pytest.raises(CpuLimit):
        sandbox.run("while True: pass")


AWAITS = """import asyncio
try:
    print('on', flush=True)
    await asyncio.sleep(60)
finally:
    await asyncio.sleep(0)
    print('cleaned')"""


COMPUTES = "print('on', flush=True)\nwhile True: pass"
SLEEPS = "import time\nprint('on', flush=True)\ntime.sleep(60)"


@pytest.mark.parametrize("code", [COMPUTES, SLEEPS, AWAITS])
def test_interrupted(sandbox: Sandbox, code: str) -> None:
    """Code that computes, sleeps or awaits gets a KeyboardInterrupt, and cleans up before the end
    of its call; the traceback shows its line, and the guest lives on."""
    begun = threading.Event()

    def interrupt() -> None:
        begun.wait(20)
        sandbox.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = sandbox.run(code, on_stdout=lambda _: begun.set())
    thread.join()
    assert result.error and result.error.type == "KeyboardInterrupt"
    assert re.search(r'File "<input 1>", line \d, in <module>', result.error.traceback)
    assert "run_forever" not in result.error.traceback
    assert ("cleaned" in code) == ("cleaned" in result.stdout)
    assert sandbox.run("1").ok


TOLD_WHILE_IT_WAITS = """import ctypes, signal, threading, time
tell = ctypes.pythonapi.PyErr_SetInterruptEx
threading.Timer(0.2, tell, [signal.SIGUSR1]).start()
print('on', flush=True)
time.sleep(20)"""
"""As a signal whose handler in C has run right before the wait."""


def test_interrupted_right_before_it_waits(sandbox: Sandbox) -> None:
    """Python knows of it, and would look when the wait is over."""
    before = time.monotonic()

    def interrupt(_: str) -> None:
        sandbox._instance._interrupted = True

    result = sandbox.run(TOLD_WHILE_IT_WAITS, on_stdout=interrupt)
    assert result.error and result.error.type == "KeyboardInterrupt"
    assert time.monotonic() - before < 15
    assert sandbox.run("import time; time.sleep(2.5)").ok


def test_ended(sandbox: Sandbox) -> None:
    """A guest that ends, or is ended, is told from one that never began."""
    with pytest.raises(Died) as caught:
        sandbox.run("import os; os._exit(3)")
    assert caught.value.status == 3
    with pytest.raises(NeverRan):
        sandbox.run("1")
    sandbox.reset()
    with pytest.raises(Died):
        sandbox.run("import ctypes; ctypes.string_at(0)")
    sandbox.reset()
    threading.Timer(0.3, sandbox.kill).start()
    with pytest.raises(Killed):
        sandbox.run("while True: pass")
    sandbox._instance.close()
    with pytest.raises(NeverRan, match="was killed"):
        sandbox.run("1")
    # As who asks sees it, right before another thread closes it.
    vars(sandbox._instance)["_killed"] = False
    with pytest.raises(Killed, match="closed"):
        sandbox.run("1")
    sandbox.close()
    with pytest.raises(NeverRan, match="closed"):
        sandbox.run("1")


def test_starts_differ(sandbox: Sandbox) -> None:
    """Nothing is random twice."""
    code = "import os, random, uuid\n(os.urandom(8), random.random(), str(uuid.uuid4()))"
    first = sandbox.run(code).value
    sandbox.reset()
    second = sandbox.run(code).value
    assert first and second
    assert all(one != other for one, other in zip(first.data, second.data, strict=True))
