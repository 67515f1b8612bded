"""A function of the host's, called with what a guest chose: only with what it declares."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

Tool = Callable[..., Any]


class Checked:
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
