"""What makes a first call take milliseconds: nothing heavy is imported for a bundle that is cached.

What it needs comes with ``import limpet``, which has a time of its own to keep to
(``bench/snapshots.py``).
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from limpet.contract import Backend

HEAVY = {
    *("ast", "asyncio", "bz2", "concurrent", "copy", "ctypes", "dataclasses", "datetime", "glob"),
    *("hashlib", "importlib.metadata", "inspect", "ipaddress", "logging", "lzma", "pathlib"),
    *("queue", "random", "shutil", "socket", "tempfile", "textwrap", "tokenize", "tomllib"),
    *("urllib", "zipfile", "capstone", "click", "rich"),
    *("limpet.arch", "limpet.building", "limpet.formats", "limpet.guests", "limpet.loading"),
    *("limpet.planning", "limpet.running.host", "limpet.contract.limits", "limpet.tools.upkeep"),
}

FIRST = """
import sys
before = set(sys.modules)
import limpet
limpet
imported = set(sys.modules)
with limpet.Sandbox(backend=sys.argv[1] or None) as sandbox:
    assert sandbox.run("1+1").ok
print(*imported - before)
print(*set(sys.modules) - imported)
"""


def imports(code: str, *arguments: str) -> list[set[str]]:
    """The names on each line that a program prints."""
    argv = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=True)
    return [set(line.split()) for line in done.stdout.split("\n")]


def test_nothing_heavy(backend: Backend) -> None:
    """Neither what builds bundles and reads programs, nor what the library has for other things."""
    imports(
        FIRST, backend
    )  # looks at all files where there is one, and drops it where some changed
    imports(FIRST, backend)  # makes it then
    with_limpet, later, _ = imports(FIRST, backend)
    assert "limpet.sandbox.sandbox" in with_limpet
    assert not HEAVY & with_limpet
    assert not later, "a first call waits for these"


def test_whatever_is_best_here() -> None:
    """The same for who names no backend."""
    for _ in range(2):
        imports(FIRST, "")
    _, later, _ = imports(FIRST, "")
    assert not later, "a first call waits for these"


@pytest.mark.parametrize("argv0", ["-m", "/usr/bin/limpet", "/usr/bin/limpet-spt"])
def test_a_command_imports_what_it_uses(argv0: str) -> None:
    """A cached ``limpet run`` is not to wait for what a program's sandbox needs."""
    code = "import sys; sys.argv = sys.argv[1:]; import limpet; print(*sys.modules)"
    assert not {each for each in imports(code, argv0)[0] if each.startswith("limpet.sandbox")}
    assert "limpet.sandbox.sandbox" in imports(code, "limpet_demo.py")[0]


def test_its_names() -> None:
    """Who completes them, or looks what there is, finds also what is imported on first use."""
    text = "import limpet; print(set(limpet.__all__) <= set(dir(limpet)))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
