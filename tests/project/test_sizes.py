"""Files and functions stay small: a file is read in one sitting, a function without scrolling."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

SOURCE = ROOT / "src" / "limpet"
FILE_MOST = {".py": 400, ".c": 300, ".h": 300, ".S": 300}
FUNCTION_MOST = {"python": 42, "guest": 33, "monitor": 26}
"""Lines of all functions but one in a hundred."""

C_FOLDERS = {"guest": ("c/guest",), "monitor": ("c/monitor", "c/hypercalls", "c/broker")}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def python_functions(path: Path) -> Iterator[int]:
    """Lines of each function, without its decorators."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield node.end_lineno - node.lineno + 1


def c_functions(path: Path) -> Iterator[int]:
    """Lines of each function, as clang-format sets it: from its first line to a ``}`` alone."""
    start = 0
    for number, line in enumerate(_lines(path)):
        if line[:1].isidentifier() and not line.endswith(":"):
            start = number
        elif line == "}":
            yield number - start + 1


def of(kind: str) -> list[int]:
    """Lines of every function of a kind, ascending."""
    if kind == "python":
        return sorted(n for path in SOURCE.rglob("*.py") for n in python_functions(path))
    files = (path for name in C_FOLDERS[kind] for path in (SOURCE / name).rglob("*.[ch]"))
    return sorted(n for path in files for n in c_functions(path))


def test_files() -> None:
    """No file of the product, and no Python file of the tests, is long."""
    sizes = {
        str(path.relative_to(SOURCE)): (len(_lines(path)), FILE_MOST[path.suffix])
        for path in SOURCE.rglob("*")
        if path.suffix in FILE_MOST
    }
    sizes |= {
        str(path.relative_to(ROOT)): (len(_lines(path)), FILE_MOST[".py"])
        for path in (ROOT / "tests").rglob("*.py")
    }
    long = {name: n for name, (n, most) in sizes.items() if n > most}
    assert not long


@pytest.mark.parametrize("kind", FUNCTION_MOST)
def test_functions(kind: str) -> None:
    """The long tail is short."""
    sizes = of(kind)
    assert len(sizes) > 100
    assert sizes[math.ceil(0.99 * len(sizes)) - 1] <= FUNCTION_MOST[kind], sizes[-8:]


def test_functions_are_counted(tmp_path: Path) -> None:
    """The counters see what they should."""
    path = tmp_path / "a.c"
    path.write_text(
        "struct s {\n    int a;\n};\n\nstatic const int t[] = {\n    1,\n};\n\n"
        "static long f(int a,\n              int b) {\n    goto out;\nout:\n    return a;\n}\n"
        "int g(void) {\n#if 1\n    return 1;\n#endif\n}\n"
    )
    assert list(c_functions(path)) == [6, 5]
    path.write_text("class A:\n    @property\n    def a(self):\n        return 1\n")
    assert list(python_functions(path)) == [2]
