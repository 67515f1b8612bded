"""What a guest may ask of the host's functions: what they declare, and nothing else."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from limpet.errors import PlanError
from limpet.sandbox.answers import ToolCall
from limpet.sandbox.checked import fits
from limpet.sandbox.tools import Tools


def search(words: list[str], most: int = 3, *, kind: Literal["a", "b"] = "a") -> dict[str, int]:
    """A tool."""
    if most < 0:
        raise LookupError("less than nothing")
    return {each: most for each in words if kind}


def served(*arguments: Any, **named: Any) -> dict[str, Any]:
    """What the guest hears."""
    return Tools({"search": search}).serve(ToolCall(1, "search", list(arguments), named))


def test_called() -> None:
    """With arguments that fit."""
    assert served(["x"], 2) == {"ok": {"x": 2}}
    assert served(words=["x"], kind="b") == {"ok": {"x": 3}}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), {}),
        ((1,), {}),
        (([1],), {}),
        ((["x"], True), {}),
        ((["x"],), {"kind": "c"}),
        ((["x"],), {"more": 1}),
    ],
)
def test_refused(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """The function is not called."""
    kind, text = served(*arguments, **named)["raised"]
    assert kind == "TypeError" and text.startswith("search(): ")


def test_errors() -> None:
    """An exception goes over with its type and text, and none of the host's places."""
    assert served(["x"], -1) == {"raised": ["LookupError", "less than nothing"]}
    assert Tools({}).serve(ToolCall(1, "search", [], {}))["raised"][0] == "NameError"
    told = Tools({"f": object}).serve(ToolCall(1, "f", [], {}))
    assert told == {"raised": ["TypeError", "a value of type object is not plain data"]}


class Textless(Exception):
    """It has no text."""

    def __str__(self) -> str:
        raise LookupError


def test_an_error_without_a_text() -> None:
    """It ends neither the sandbox nor whoever asked it."""

    def fails() -> None:
        raise Textless

    found = Tools({"fails": fails}).serve(ToolCall(1, "fails", [], {}))
    assert found == {"raised": ["Textless", "an exception without a text"]}


def test_what_is_no_exception() -> None:
    """A tool that exits says so to the code that chose its arguments; Ctrl-C is the host's."""

    def ends(code: int) -> None:
        raise SystemExit(code) if code else KeyboardInterrupt

    tools = Tools({"ends": ends})
    assert tools.serve(ToolCall(1, "ends", [2], {})) == {"raised": ["SystemExit", "2"]}
    with pytest.raises(KeyboardInterrupt):
        tools.serve(ToolCall(1, "ends", [0], {}))


def test_what_fits() -> None:
    """A whole number is a number, and a truth is none."""
    assert fits(1, float) and not fits(True, float) and not fits(True, int) and not fits(1, bool)
    assert fits((1, "a"), tuple[int, str]) and not fits((1,), tuple[int, str])
    assert fits({"a": [1]}, dict[str, list[int]]) and not fits({"a": ["1"]}, dict[str, list[int]])
    assert fits(None, int | None) and fits(None, None) and not fits(0, None)


@pytest.mark.parametrize("given", [{"a b": print}, {"f": 1}, {"é": print}, {5: print}, [print]])
def test_no_tools(given: Any) -> None:
    """What cannot be called by that name is refused at once."""
    with pytest.raises(PlanError, match=r"not a function|is no dict"):
        Tools(given)
