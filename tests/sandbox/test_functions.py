"""A function goes to a guest as its name or its text, with what it uses, or not at all."""

from __future__ import annotations

import json
import math
import sys
from functools import partial
from typing import Any

import pytest

from limpet import Sandbox
from limpet.errors import CodeRaised, PlanError
from limpet.sandbox.functions import described
from limpet.sandbox.guest.interpreter import Interpreter

FACTOR = 3
BUNDLE = object()


def tripled(number: int) -> int:
    """Uses a value."""
    return number * FACTOR


def floored(number: float) -> int:
    """Uses a function, and a module."""
    return tripled(math.floor(number))


def endless(number: int) -> int:
    """Uses itself."""
    return number and 1 + endless(number - 1)


def opaque() -> Any:
    """Uses what cannot be sent."""
    return BUNDLE


def there(function: Any) -> Any:
    """What an agent makes of it."""
    return Interpreter().function(json.loads(json.dumps(described(function))))


def test_sent() -> None:
    """It does there what it does here."""
    assert there(floored)(2.5) == 6
    assert there(endless)(5) == 5
    assert there(math.gcd)(12, 18) == 6
    assert there(json.dumps)([1]) == "[1]"


def test_names() -> None:
    """A name is one of what the guest has."""
    interpreter = Interpreter()
    interpreter.run("class A:\n    def f(x): return x + 1")
    assert interpreter.function(described("A.f"))(1) == 2


def _closure(number: int) -> Any:
    def inner() -> int:
        return number

    return inner


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x, "lambda"),
        (_closure(1), "uses number of the function around it"),
        (partial(tripled, 1), "no plain function"),
        (opaque, "uses BUNDLE"),
        (TypeError("x").add_note, "no plain function"),
    ],
    ids=["lambda", "closure", "partial", "value", "method"],
)
def test_refused(function: Any, why: str) -> None:
    """The error says why, before anything is sent."""
    with pytest.raises(PlanError, match=why):
        described(function)


class Ours:
    """Pickled by its name."""


def test_what_only_this_program_has(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that names it has a hint, as no other exception of that kind has."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    monkeypatch.setattr(Ours, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Ours", Ours, raising=False)
    with pytest.raises(CodeRaised, match="Can't get attribute 'Ours'") as caught:
        sandbox.call_pickled(Ours)
    assert 'packages=["cloudpickle"], which sends them whole' in (caught.value.hint or "")
    with pytest.raises(CodeRaised) as caught:
        sandbox.listdir("/nowhere")
    assert caught.value.hint == CodeRaised.next_step
