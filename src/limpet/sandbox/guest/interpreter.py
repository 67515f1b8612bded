"""An interpreter that remembers: code runs in one namespace; its last expression is its value."""

from __future__ import annotations

import ast
import base64
import builtins
import importlib
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .channel import MOST_SHOWN
from .values import decode, encode

MOST_TEXT = 1 << 20
"""Characters of a value's text."""

_PATIENCE = 1.0
"""Seconds that code which was interrupted may take to clean up, while it awaits."""

_TREE: int = ast.PyCF_ONLY_AST
_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_AWAITS = 0x80
"""In ``co_flags``: code that has ``await`` outside of any function (``inspect.CO_COROUTINE``)."""

_CLAUSES = ("else:", "elif ", "elif(", "except:", "except ", "except(", "except*", "finally:")
_GOES_ON = (" ", "\t", "\n", "\r", "\f", "#", ")", "]", "}", *_CLAUSES)
"""With which no line begins that begins a statement."""

_ESCAPES = "nrt'\"xabfv0\n"
"""What stands behind a backslash in texts and bytes alike."""

_TOGETHER = ("__future__", "global", "\r")
"""Code with one of these is not what its parts are: a name may be used before it is said to be
global, and a line may end with a carriage return alone."""

_ANNOTATES = "__annotate__"
"""What all annotations of a module are told by, from Python 3.14 on."""

_FOLDER = __file__.rpartition("/")[0]
_OWN = "_awaited"
"""The method that awaits code, in a traceback."""

_IMAGES = {
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "image/svg+xml": "_repr_svg_",
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
}
_WITHOUT_PICTURES = frozenset((bool, int, float, complex, str, bytes, list, tuple, dict, set))


displayed: list[dict[str, Any]] = []
"""What was shown, and has not been told."""


def display(*values: Any) -> None:
    """Show ``values`` to whom the code runs for, as a notebook does.

    Raises:
        ValueError: that are too many.
    """
    found = [each for value in values if (each := shown(value))]
    if len(displayed) + len(found) > MOST_SHOWN:
        raise ValueError(f"no more than {MOST_SHOWN} values can be shown")
    displayed.extend(found)


class Interpreter:
    """One namespace, that of ``__main__``."""

    def __init__(self) -> None:
        self._main = types.ModuleType("__main__")
        self.names = self._main.__dict__
        self._count = 0
        self._loop: Any = None

    def enter(self) -> None:
        """Become the program's main module, in place of what started it."""
        setattr(builtins, display.__name__, display)
        sys.modules["__main__"] = self._main

    def forget(self) -> None:
        """What has run last was nothing."""
        linecache.cache.pop(f"<input {self._count}>", None)
        self._count -= 1

    def run(self, code: str, name: str = "") -> Any:
        """Run ``code``; the value of its last expression, or ``None``.

        It may ``await``, in one event loop for all that runs here.  What has no ``name`` for
        tracebacks is counted.
        """
        if not name:
            self._count += 1
            name = f"<input {self._count}>"
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        return self._done(*(_pieces(code, name) or _parsed(code, name)))

    def _done(self, *codes: types.CodeType) -> Any:
        """The value of the last."""
        for code in codes:
            if code.co_flags & _AWAITS:
                return self._until_done(self._awaited(codes))
        value = None
        for code in codes:
            value = eval(code, self.names)
        return value

    async def _awaited(self, codes: Sequence[types.CodeType]) -> Any:
        value = None
        for code in codes:
            value = eval(code, self.names)
            value = await value if code.co_flags & _AWAITS else value
        return value

    def _until_done(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        import asyncio

        self._loop = self._loop or asyncio.new_event_loop()
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt as error:
            interrupt = error
        waits = _waiting(coroutine) if _in_loop(interrupt) else interrupt.__traceback__
        if task.cancel():  # now, not while the next code awaits
            self._loop.run_until_complete(asyncio.wait((task,), timeout=_PATIENCE))
        raise interrupt.with_traceback(waits)

    def function(self, given: dict[str, Any]) -> Callable[..., Any]:
        """What the host means: a name here, one of a module, or a text."""
        names = self.names
        if "module" in given:
            found: Any = importlib.import_module(given["module"])
        elif "source" in given:
            names = {"__name__": "__main__", **{k: decode(v) for k, v in given["values"].items()}}
            for name, module in given["modules"].items():
                names[name] = importlib.import_module(module)
            label = f"<function {given['name']}>"
            linecache.cache[label] = (0, None, given["source"].splitlines(True), label)
            exec(compile(given["source"], label, "exec"), names)
            found = types.SimpleNamespace(**names)
        else:
            first = given["name"].partition(".")[0]
            if first not in names and not hasattr(builtins, first):
                raise NameError(f"name {first!r} is not defined")
            found = types.SimpleNamespace(**{**vars(builtins), **names})
        for part in given["name"].split("."):
            found = getattr(found, part)
        function: Callable[..., Any] = found
        return function


def _in_loop(error: BaseException) -> bool:
    """Whether it came to an event loop while all code awaited."""
    import asyncio
    import selectors

    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    last = [each for each in files if not each.startswith(_FOLDER)][-1:]  # before its handler
    return any(each.startswith((selectors.__file__, asyncio.__path__[0])) for each in last)


def _waiting(coroutine: Any) -> types.TracebackType | None:
    """Where it awaits: the lines of all that await each other."""
    frames = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        frames.append(frame)
        coroutine = coroutine.cr_await
    found = None
    for frame in reversed(frames):
        found = types.TracebackType(found, frame, frame.f_lasti, frame.f_lineno)
    return found


def _pieces(code: str, name: str) -> list[types.CodeType] | None:
    """Code, of which the last is its last expression if it ends with one; each is compiled once.

    Nothing where only its tree tells: that are objects of Python's, which take several times as
    long, and what they write is more to be taken back.
    """
    start = _last_start(code)
    end = code[start:]
    if "\\" in code and _may_warn(code):
        return None  # whoever compiles it in any case warns of it, once
    try:
        if not start:
            return [_compiled(end, name)]
        if any(each in code for each in _TOGETHER):
            return None
        made = _compiled("\n" * code.count("\n", 0, start) + end, name)
        if _ANNOTATES in made.co_names:
            return None
        return [compile(code[:start], name, "exec", _FLAGS, dont_inherit=True), made]
    except (SyntaxError, ValueError):
        return None


def _last_start(code: str) -> int:
    """Where the last statement begins, if each line that is not indented begins one."""
    at = len(code)
    while at > 0:
        at = code.rfind("\n", 0, at)
        if not code.startswith(_GOES_ON, at + 1) and at + 1 < len(code):
            return at + 1
    return 0


def _may_warn(code: str) -> bool:
    """Whether there is a backslash that may be none of an escape's."""
    return any(part[:1] not in _ESCAPES for part in code.split("\\")[1:])


def _compiled(code: str, name: str) -> types.CodeType:
    """One statement, an expression or not.

    Raises:
        SyntaxError: it is none, or it may be more than one.
    """
    try:
        made: types.CodeType = compile(code, name, "eval", _FLAGS, dont_inherit=True)
    except SyntaxError:
        if ";" in code or "\r" in code or "\f" in code or code.lstrip().startswith(("*", "\\")):
            raise
        made = compile(code, name, "exec", _FLAGS, dont_inherit=True)
    return made


def _parsed(code: str, name: str) -> list[types.CodeType]:
    """The same, of any code."""
    tree: Any = compile(code, name, "exec", _TREE, dont_inherit=True)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return [compile(tree, name, "exec", _FLAGS, dont_inherit=True)]
    tree.body.pop()
    value = ast.Expression(last.value)
    return [
        compile(tree, name, "exec", _FLAGS, dont_inherit=True),
        compile(value, name, "eval", _FLAGS, dont_inherit=True),
    ]


def shown(value: Any) -> dict[str, Any] | None:
    """A value as the host gets it: its text, its data where it is plain, and its pictures."""
    if value is None:
        return None
    text = repr(value)
    pictures = {} if type(value) in _WITHOUT_PICTURES else _pictures(value)
    found = {"text": text[:MOST_TEXT], "mime": pictures}
    try:
        return {**found, "data": encode(value)}
    except (TypeError, ValueError, RecursionError):  # it is not plain
        return found


def _pictures(value: Any) -> dict[str, str]:
    found = {}
    for kind, method in _IMAGES.items():
        try:
            made = getattr(value, method, None)
            picture = made() if callable(made) and not isinstance(value, type) else None
        except Exception:  # a broken picture is none
            continue
        if isinstance(picture, (str, bytes)):
            data = picture.encode() if isinstance(picture, str) else picture
            found[kind] = base64.b64encode(data).decode("ascii")
    if not found and type(value).__name__ == "Figure" and hasattr(value, "savefig"):
        found["image/png"] = base64.b64encode(_drawn(value)).decode("ascii")
    return found


def _drawn(figure: Any) -> bytes:
    """A figure of matplotlib's, which has no picture of itself."""
    import io

    made = io.BytesIO()
    figure.savefig(made, format="png")
    return made.getvalue()


def raised(error: BaseException) -> dict[str, str]:
    """An exception as the host gets it; the frames of this package are left out."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    told = traceback.TracebackException(kind, error, error.__traceback__)
    each: Any = told
    while each is not None:
        frames = [(frame.filename.startswith(_FOLDER), frame) for frame in each.stack]
        awaits = [at for at, (ours, frame) in enumerate(frames) if ours and frame.name == _OWN]
        behind = awaits[-1] if awaits else 0  # before it are those of an event loop
        each.stack[:] = [frame for ours, frame in frames[behind:] if not ours]
        each = each.__cause__ or each.__context__
    text = "".join(told.format())
    return {"type": name, "message": _text(error)[:MOST_TEXT], "traceback": text[-MOST_TEXT:]}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # the code's own method may raise anything
        return "<its text cannot be made>"
