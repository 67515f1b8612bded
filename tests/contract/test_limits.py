"""A number of the contract is written once, and everybody has it from there."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.contract import c_header, hvt_hypercalls, hypercalls, limits
from limpet.contract.limits import PROGRAM_STATUSES, UNIKERNEL_STATUSES, numbers
from limpet.errors import HostError, RunError
from limpet.sources import C_ROOT

ROOT = Path(__file__).parents[2]
PACKAGE = C_ROOT.parent
DECLARATION = Path(limits.__file__)

UNMISTAKABLE = (
    *("MTU_MOST", "COMMAND_LINE_MOST", "SPT_TIMER_DATA"),
    *(
        "STATUS_REFUSED",
        "STATUS_OUTPUT",
        "STATUS_TIMEOUT",
        "STATUS_CANNOT_START",
    ),
)
"""Numbers that are used for nothing else, so that their digits give them away."""

_C_NUMBER = re.compile(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]*\b")
_DECLARED_IN_C = re.compile(r"#define ([A-Z]\w+) |\b([A-Z]\w+) = (?:0x)?\d")
_DECLARED_IN_PYTHON = re.compile(r"^([A-Z]\w+)(?:: \w+)? = ", re.MULTILINE)


def _sources(*endings: str) -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in endings and path != DECLARATION:
            yield path, path.read_text(encoding="utf-8")


def digits_in_c(text: str) -> set[int]:
    """Every number in C or TOML, comments aside."""
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    octal = re.compile(r"0[0-7]+")
    return {int(found, 0) for found in _C_NUMBER.findall(bare) if not octal.fullmatch(found)}


def digits_in_python(text: str) -> set[int]:
    """Every number in Python's own code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = (each.string for each in tokens if each.type == tokenize.NUMBER)
    return {int(each, 0) for each in found if re.fullmatch(r"0[xob]\w+|[\d_]+", each)}


def test_the_search_sees_numbers() -> None:
    """What the tests below look with finds what they are for."""
    assert digits_in_c("max = 1048576 /* 7 */\nif (a > 0xfffeU || b < 077)") == {1048576, 0xFFFE}
    assert digits_in_python("a = 0x500 + 1_000  # 7\nb = '9'") == {0x500, 1000}


@pytest.mark.parametrize("name", UNMISTAKABLE)
def test_a_limit_is_written_once(name: str) -> None:
    """No other file has the digits of one that cannot be anything else."""
    value = int(numbers()[name])
    of_c = _sources(".c", ".h", ".S", ".toml")
    found = [path for path, text in of_c if value in digits_in_c(text)]
    found += [path for path, text in _sources(".py") if value in digits_in_python(text)]
    allowed = {PACKAGE / "errors.py"} if name == "STATUS_CANNOT_START" else set()
    assert set(found) <= allowed


def test_a_transfer_is_written_once() -> None:
    """Of MAX_TRANSFER too, in what guest and monitor are made of."""
    for path, text in _sources(".c", ".h", ".S", ".toml"):
        assert not re.search(rf"\b{int(limits.MAX_TRANSFER)}|\b1 MiB", text), path


def test_a_name_is_declared_once() -> None:
    """No C or Python file declares a name of the contract again."""
    for path, text in _sources(".c", ".h"):
        names = {one or other for one, other in _DECLARED_IN_C.findall(text)}
        assert not names & numbers().keys(), path
    for path, text in _sources(".py"):
        assert not set(_DECLARED_IN_PYTHON.findall(text)) & numbers().keys(), path


def test_c_has_the_same_numbers() -> None:
    """The header defines each, with its digits for messages."""
    text = c_header()
    for name, value in numbers().items():
        assert re.search(rf"^#define {name} {int(value)}(UL)? ", text, re.MULTILINE), name
        assert f'#define {name}_TEXT "{int(value)}"\n' in text


def test_pins_name_limits() -> None:
    """In a hypercall.toml a maximum is a name: its number is not the reader's to guess."""
    for path in C_ROOT.glob("hypercalls/*/hypercall.toml"):
        for given in re.findall(r"max = ([^ ,}]+)", path.read_text()):
            assert given.startswith('"') or int(given) <= 2, path
    pins = [p for c in (*hypercalls(), *hvt_hypercalls()) for h in c.host for p in h.pins]
    assert any(pin.max == limits.MAX_TRANSFER for pin in pins)


def test_a_name_that_is_unknown_is_refused() -> None:
    """A declaration with a typing error does not become a limit of nothing."""
    with pytest.raises(KeyError):
        limits.number("MAX_TRANSFERS")
    with pytest.raises(KeyError):
        limits.text("at most {MAX_TRANSFERS}")


def test_exit_statuses_are_documented() -> None:
    """docs/exit-status.md has the statuses of the one declaration, and no others."""
    page = (ROOT / "docs" / "exit-status.md").read_text(encoding="utf-8")
    table = page.partition("A Solo5 unikernel")[0]
    declared = {*PROGRAM_STATUSES, limits.STATUS_DEADLOCK}
    assert set(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE))) == declared
    assert f"| {limits.SIGNAL_STATUS} + N |" in table
    for number, name in {
        4: "SIGILL",
        5: "SIGTRAP",
        6: "SIGABRT",
        11: "SIGSEGV",
        31: "SIGSYS",
    }.items():
        assert f"{limits.SIGNAL_STATUS + number} {name}" in table
    assert UNIKERNEL_STATUSES.refused == UNIKERNEL_STATUSES.cannot_start
    refused, never = PROGRAM_STATUSES.refused, PROGRAM_STATUSES.cannot_start
    said = f"with {UNIKERNEL_STATUSES.refused} where the table says {refused} or {never}"
    assert said in " ".join(page.split())
    assert HostError.exit_status == RunError.exit_status == never
