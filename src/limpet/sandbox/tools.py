"""Functions of the host's that a guest may call: arguments are checked, and errors carried over."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from limpet.errors import PlanError
from limpet.sandbox.answers import ToolCall
from limpet.sandbox.guest.values import encode

Tool = Callable[..., Any]
_MOST_TEXT = 4096


class Tools:
    """The functions by the names that the guest calls them by.

    Args:
        given: the functions.

    Raises:
        PlanError: a name is none, or a value is no function.
    """

    def __init__(self, given: Mapping[str, Tool]) -> None:
        if not isinstance(given, Mapping):
            raise PlanError(f"tools: {given!r} is no dict", hint='tools={"search": search}')
        for name, tool in given.items():
            if (
                not isinstance(name, str)
                or not name.isidentifier()
                or not name.isascii()
                or not callable(tool)
            ):
                raise PlanError(
                    f"tools: {name!r} is not a function with the name of one",
                    hint='for example tools={"search": search}',
                )
        self._given = dict(given)
        self._known = {name: _Checked(name, tool) for name, tool in given.items()}

    @property
    def names(self) -> list[str]:
        """What the guest gets."""
        return sorted(self._given)

    def with_more(self, given: Mapping[str, Tool]) -> Tools:
        """These and others.

        Raises:
            PlanError: as making them.
        """
        return Tools({**self._given, **given})

    def serve(self, asked: ToolCall) -> dict[str, Any]:
        """Call what the guest asks for: the reply for it, an exception too.

        ``SystemExit`` is one: whoever chooses the arguments would else end the host's program.
        What else is no ``Exception``, as Ctrl-C, is for who asked the guest.
        """
        tool = self._known.get(asked.tool)
        if tool is None:
            return _raised(NameError(f"there is no tool {asked.tool}"))
        try:
            return {"ok": encode(tool(asked.arguments, asked.named))}
        except (Exception, SystemExit) as error:
            return _raised(error)


def _raised(error: BaseException) -> dict[str, Any]:
    """The type and text of an exception: where it happened is the host's own."""
    alone = len(error.args) == 1 and isinstance(error.args[0], str)
    try:
        text = error.args[0] if alone else str(error)  # a KeyError would quote it twice
    except Exception:
        text = "an exception without a text"
    return {"raised": [type(error).__name__, text[:_MOST_TEXT]]}


class _Checked:
    """A function that is called only with arguments of the number and types that it declares."""

    def __init__(self, name: str, tool: Tool) -> None:
        self._name, self._tool = name, tool
        self._signature = _signature(tool)

    def __call__(self, arguments: list[Any], named: dict[str, Any]) -> Any:
        if self._signature:
            try:
                bound = self._signature.bind(*arguments, **named)
            except TypeError as error:
                raise TypeError(f"{self._name}(): {error}") from None
            for name, value in bound.arguments.items():
                self._check(self._signature.parameters[name], value)
        return self._tool(*arguments, **named)

    def _check(self, parameter: inspect.Parameter, value: Any) -> None:
        values = [value]
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            values = list(value)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values = list(value.values())
        for each in values:
            if not fits(each, parameter.annotation):
                wanted = inspect.formatannotation(parameter.annotation)
                raise TypeError(
                    f"{self._name}(): {parameter.name} is a {type(each).__name__}, not {wanted}"
                )


def _signature(tool: Tool) -> inspect.Signature | None:
    """What it declares, ``None`` for one that declares nothing, as some of C do."""
    try:
        return inspect.signature(tool, eval_str=True)
    except (ValueError, NameError, TypeError, SyntaxError):
        pass
    try:
        return inspect.signature(tool)
    except (ValueError, TypeError):
        return None


def fits(value: Any, annotation: Any) -> bool:
    """Whether plain data is what an annotation says; what it cannot say of plain data, it is not.

    An annotation that is no plain type (a protocol, a string that names nothing) says nothing.
    """
    if annotation in (inspect.Parameter.empty, Any, object) or isinstance(annotation, str):
        return True
    if annotation is None:
        return value is None
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is typing.Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    kind = origin or annotation
    if not isinstance(kind, type):
        return True
    if kind is float:
        return type(value) in (int, float)
    if isinstance(value, bool) and kind is not bool:
        return False
    if not isinstance(value, kind):
        return False
    return _inner_fit(value, inner)


def _inner_fit(value: Any, inner: tuple[Any, ...]) -> bool:
    """Whether what a container holds fits too."""
    if isinstance(value, dict) and len(inner) == 2:
        return all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if isinstance(value, tuple) and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(map(fits, value, inner))
    if isinstance(value, list | set | frozenset | tuple) and inner:
        return all(fits(each, inner[0]) for each in value)
    return True
