"""A function of this program's as it is sent to a guest: its name, or its text.

One that can be imported there goes by its name; one of this program's own goes as its text, with
the modules, plain values and functions that it uses.  Nothing of this comes back: a guest returns
data.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

from limpet.errors import PlanError
from limpet.sandbox.guest.values import encode


def described(function: Callable[..., Any] | str) -> dict[str, Any]:
    """What the agent in the guest makes the function of.

    Raises:
        PlanError: it cannot be sent; says why.
    """
    if isinstance(function, str):
        return {"name": function}
    module = _library(function)
    if module:
        return {"name": function.__qualname__, "module": module}
    function = inspect.unwrap(function)
    if not isinstance(function, types.FunctionType):
        raise _refused(function, "it is no plain function")
    texts = _Texts()
    texts.add(function)
    return {
        "name": function.__name__,
        "source": "\n".join(["from __future__ import annotations", *texts.sources]),
        "modules": texts.modules,
        "values": texts.values,
    }


def _library(function: Any) -> str:
    """The module of the standard library that has it, which a guest has too."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not isinstance(module, str) or module.partition(".")[0] not in sys.stdlib_module_names:
        return ""
    found: Any = sys.modules.get(module) if module != "__main__" else None
    for part in name.split("."):
        found = getattr(found, part, None)
    return module if found is function else ""


def _refused(function: Any, why: str) -> PlanError:
    name = getattr(function, "__qualname__", repr(function))
    return PlanError(
        f"{name} cannot be sent to a sandbox: {why}",
        hint="send a plain function of a file, that takes what it needs as arguments",
    )


class _Texts:
    """The texts of a function and of those that it uses."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.modules: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self._known: dict[str, types.FunctionType] = {}

    def add(self, function: types.FunctionType) -> None:
        """Add one, and what it uses."""
        name = function.__name__
        if self._known.setdefault(name, function) is not function:
            raise _refused(function, f"it uses two functions of the name {name}")
        if function.__code__.co_freevars:
            used = ", ".join(function.__code__.co_freevars)
            raise _refused(function, f"it uses {used} of the function around it")
        text = _text(function)
        self.sources.append(text)
        code = compile(text, name, "exec", __future__.annotations.compiler_flag)
        for used in sorted(_names(code)):
            if used in function.__globals__:
                self._use(function, used, function.__globals__[used])

    def _use(self, function: types.FunctionType, name: str, value: Any) -> None:
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, types.ModuleType):
            self.modules[name] = value.__name__
        elif isinstance(value, types.FunctionType):
            if value.__name__ != name:
                raise _refused(function, f"it calls {value.__name__} by another name, {name}")
            if self._known.get(name) is not value:
                self.add(value)
        else:
            try:
                self.values[name] = encode(value)
            except (TypeError, ValueError) as error:
                raise _refused(function, f"it uses {name}: {error}") from None


def _names(code: types.CodeType) -> set[str]:
    """The global names that code can use, that of functions within it too."""
    found = set(code.co_names)
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            found |= _names(each)
    return found


def _text(function: types.FunctionType) -> str:
    """Its own text, without decorators."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        raise _refused(function, "its text is nowhere to be found") from None
    match tree.body:
        case [ast.FunctionDef() as found] if found.name == function.__name__:
            found.decorator_list.clear()
            return ast.unparse(found)
    raise _refused(function, "it is a lambda, a method or asynchronous")


def called(function: Callable[..., Any] | str, arguments: Any) -> dict[str, Any]:
    """A request to call that, with arguments that are plain data.

    Raises:
        PlanError: the function or an argument cannot be sent.
    """
    request = {"do": "call", "function": described(function)}
    try:
        return {**request, "arguments": encode(arguments)}
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"an argument cannot be sent to a sandbox: {error}",
            hint="send numbers, text, bytes, lists, tuples, sets and dictionaries",
        ) from None


def pickled(function: Callable[..., Any], arguments: Any) -> dict[str, Any]:
    """A request to call what has no text of its own, with arguments that are no plain data.

    Only the guest reads the pickle, where the modules that it names have to be packed.

    Raises:
        PlanError: it cannot be pickled either.
    """
    pickle: Any
    try:
        pickle = importlib.import_module("cloudpickle")
    except ImportError:
        pickle = importlib.import_module("pickle")
    try:
        data = pickle.dumps((function, *arguments))
    except Exception as error:  # of whatever the objects do
        raise _refused(function, f"it cannot be pickled: {error}") from None
    return {"do": "unpickled", "data": encode(data)}
