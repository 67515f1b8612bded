"""Code of which only the end is looked at, is what it is by its tree."""

from __future__ import annotations

import contextlib
import types
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.sandbox.guest.interpreter import _parsed, _pieces

USUAL = {
    "1 + 1": 2,
    "x = 1": None,
    "x = 1\nx": 1,
    "def f(x):\n    return x + 1\n\nf(3)": 4,
    "x = [\n  1,\n]\nsum(\n    x\n)  # all\n\n# of it": 1,
    "try:\n    10\nexcept ValueError:\n    x = 7\nelse:\n    8\nfinally:\n    x = 9": None,
    "if 0:\n    x = 1\nelif 1:\n    x = 2\nelse:\n    x = 3\nx": 2,
    "'text'\n'\\n'": "\n",
    "import sys as x\nx.left = '''\none\ntwo\n'''\nx.left": "\none\ntwo\n",
    "for x in 1, 2:\n    pass\nelse:\n    x = 3": None,
}
UNUSUAL = {
    "x = 1; x": 1,
    "*'ab', 'c'": ("a", "b", "c"),
    "'''\n1\n'''": "\n1\n",
    "x = 1\n'''\nx = 1 # '''": "\nx = 1 # ",
    "len('''a\nb''')": 3,
    "@str\ndef f(): pass": None,
    "x = 2\nx = 1 + \\\n2": None,
    "8\n\\\n # there is nothing more": 8,
    "x = 3\r'end'": "end",
    "x = 4\n  \f'end'": "end",
    "from __future__ import annotations\nx: no = 1": None,
    "x = 5\nx = '\\d'": None,
    "def f():\n    global x\n    x = 1\n\nx = 2": None,
    "x = 6\rx = 7\nx": 7,
}
WRONG = (
    "x = ",
    "x = 1\n 2",
    "x = (\n1",
    "a\0b",
    "x = 1\nfrom __future__ import division",
    "else: 1",
    "x = 1\nglobal x",
    "x = 1\nglobal x\nx",
)
LINES = [
    *("x = 1", "x", "(", ")", "[x,", "]", "'''", '"""', "'''x", "x = '''", "if x:", "    x = 2"),
    *("else:", "  # x", "# '''", "x; 7", "*x,", "@str", "def f(): pass", "\\", "x \\", "'", "\f"),
    *("try:", "    x = 3", "except: x = 4", "finally: x = 5", "f'{x}'", "", "\r", " \f7", "-x"),
]


def ran(codes: list[types.CodeType]) -> tuple[Any, Any]:
    """The value of the last, and what they all leave."""
    names: dict[str, Any] = {"x": 0}
    value: Any = None
    with contextlib.suppress(TypeError, NameError):  # of a value that cannot do what is asked
        for code in codes:
            value = None
            value = eval(code, names)
    return repr(value)[:9], repr(names.get("x"))[:9]


@pytest.mark.parametrize("code", [*USUAL, *UNUSUAL])
@pytest.mark.filterwarnings("ignore")
def test_both(code: str) -> None:
    """The value is that of the last expression, if it ends with one, either way."""
    expected, pieces = {**USUAL, **UNUSUAL}[code], _pieces(code, "<here>")
    assert (pieces is not None) == (code in USUAL)
    for codes in filter(None, (pieces, _parsed(code, "<here>"))):
        names: dict[str, Any] = {}
        values = [eval(each, names) for each in codes]
        assert values[-1] == expected


@pytest.mark.parametrize("code", WRONG)
def test_wrong(code: str) -> None:
    """What is none is told by who sees all of it."""
    assert _pieces(code, "<here>") is None
    with pytest.raises((SyntaxError, ValueError)):
        _parsed(code, "<here>")


@pytest.mark.parametrize(
    "code", ["x = '\\d'\n@str\ndef f(): pass", "x = '\\d'\nx = 1 + \\\n2", "'\\d'"]
)
def test_warned_once(code: str) -> None:
    """Whatever is tried, an escape that is none is told once."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert _pieces(code, "<here>") or _parsed(code, "<here>")
    assert len(told) == 1


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=6))
def test_any(lines: list[str]) -> None:
    """Whatever is not told by its tree is the same by it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if pieces := _pieces("\n".join(lines), "<here>"):
            assert ran(pieces) == ran(_parsed("\n".join(lines), "<here>"))


@pytest.mark.parametrize(
    "code", ["x = 1\n\n1 / 0", "if 1:\n    1\nx = 1 / 0", "\n\n\nx = [\n\n 1 / 0]"]
)
def test_lines(code: str) -> None:
    """A traceback has the line of all the code."""
    pieces, told = _pieces(code, "<here>"), []
    assert pieces
    for codes in (pieces, _parsed(code, "<here>")):
        with pytest.raises(ZeroDivisionError) as caught:
            ran(codes)
        told.append(caught.traceback[-1].lineno)
    assert told[0] == told[1] > 0
