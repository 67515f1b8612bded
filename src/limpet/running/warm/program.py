"""Runs in the guest: a script as Python runs it, and its end (``Modules/main.c``, ``pythonrun.c``).

No frame lies below the script's.  The stub ends with an exception, and before Python looks at that
it flushes the standard streams (``flush_io``), as the first thing behind the stub's frame: what
stands there in the place of ``sys.stderr`` goes on.  From there C calls one step after the other,
the first of which comes to the moment.
"""

from __future__ import annotations

import _codecs
import _collections  # type: ignore[import-not-found, unused-ignore]
import _functools  # type: ignore[import-not-found, unused-ignore]
import _io
import atexit
import gc
import os as _os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # nothing is imported that the script would not find imported
    from collections.abc import Callable
    from typing import Any

    from .boot import _read  # in one namespace; by its full name all of Limpet would be packed

os: Any = _os
_partial: Any = _functools.partial
_default: Any = _collections.defaultdict

_STEPS = ("begins", "runs", "ran", "says", "said", "joins", "joined", "leaves", "ends")
_GUARDED = ("runs", "says", "joins", "leaves")
"""Of the steps those in which a script's own code is called."""

_INTERRUPTED = 130
"""The status of a program that SIGINT has ended."""


def _absolute(path: str) -> str:
    """As Python makes ``__file__``: nothing of it is made shorter."""
    return path if path.startswith("/") or sys.version_info < (3, 9) else f"{os.getcwd()}/{path}"


class _Program:
    """What this start is to run as ``__main__``."""

    def __init__(self, fresh: dict[str, Any]) -> None:
        self._fresh = fresh  # what Python itself puts into __main__
        self.flushes = True

    def made(self, words: list[str]) -> Any:
        """What runs the script that ``words`` name."""
        first = words[0] if words else ""
        if first == "-c":
            self.flushes = False
            return self._text(words[1] + "\n", "<string>", ["-c", *words[2:]])
        if first == "-m":
            self.flushes = False
            self._begin(["-m", *words[2:]], os.getcwd(), "")
            return _partial(__import__("runpy")._run_module_as_main, words[1])
        if first in ("", "-"):
            return self._text(sys.stdin.buffer.read(), "<stdin>", words or [""])
        path = _absolute(first)
        self._begin(words, os.path.dirname(os.path.realpath(first)), path)
        return self._code(_read(path), path)

    def _text(self, text: Any, name: str, words: list[str]) -> Any:
        self._begin(words, "", "")
        return self._code(text, name)

    def _begin(self, words: list[str], first: str, path: str) -> None:
        sys.argv = words
        if not getattr(sys.flags, "safe_path", sys.flags.isolated):
            sys.path[0] = first
        names = sys.modules["__main__"].__dict__
        names.clear()
        names.update(self._fresh)
        if "__annotations__" in names:
            names["__annotations__"] = {}
        if path:
            names["__file__"] = path
            names["__loader__"] = type(names["__loader__"])("__main__", path)
            return
        names["__loader__"] = sys.__spec__.loader
        for each in ("__file__", "__cached__"):
            names.pop(each, None)

    def _code(self, text: Any, name: str) -> Any:
        code = compile(text, name, "exec", dont_inherit=True)
        return _partial(exec, code, sys.modules["__main__"].__dict__)


class _Guard:
    """Calls something from C, and keeps what it raises.

    A text stream that is closed is flushed, and then its buffer is closed whatever came of it; what
    that raises has the first as its context.
    """

    closed = False

    def __init__(self, often: int) -> None:
        self._raises = StopIteration()  # with which ``next`` has its other value
        self.close = _partial(_codecs.lookup_error("strict"), self._raises)
        self._stream: Any = type("_Stream", (_io.TextIOWrapper,), {})(self, "utf-8")
        self.call: Any = _partial(next, map(_io.TextIOWrapper.close, (self._stream,) * often), None)
        self.wants(int)

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    seekable = readable

    def wants(self, function: Callable[[], object]) -> None:
        """``function`` is what is called next."""
        self._stream.flush = function

    def raised(self) -> BaseException | None:
        """What the last one has raised, once."""
        error = self._raises.__context__
        self._raises.__context__ = self._raises.__traceback__ = None
        self.wants(int)
        return error

    def forget(self) -> None:
        """Nothing is called any more."""
        self.closed = True


def _flush() -> None:
    """As Python does it where a file has ended (``flush_io``)."""
    for stream in (sys.stderr, sys.stdout):
        try:  # noqa: SIM105 (contextlib is not there)
            stream.flush()
        except Exception:  # it is said when Python ends
            pass


def _tell(text: object) -> None:
    try:  # noqa: SIM105 (contextlib is not there)
        print(text, file=sys.stderr)
    except Exception:  # there is nobody to say it to
        pass


def _say_exit(error: SystemExit) -> int:
    """The status that it means; what is no number is said (``handle_system_exit``)."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
    _tell(code)
    return 1


def _say_hook(error: BaseException, other: BaseException) -> int:
    """What a hook has raised that was to say ``error`` (``PyErr_PrintEx``), and the status."""
    if isinstance(other, SystemExit):
        return _say_exit(other)
    _tell("Error in sys.excepthook:")
    sys.__excepthook__(type(other), other, other.__traceback__)
    _tell("\nOriginal exception was:")
    sys.__excepthook__(type(error), error, error.__traceback__)
    return 1


def _finalizers() -> bool:
    """Whether the script has left something whose end would be seen: a file, a generator."""
    return any(hasattr(kind, "__del__") for kind in {type(each) for each in gc.get_objects()})


def _behind_own(trace: Any) -> Any:
    """Without the first of its frames, as far as they are those of this file."""
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    return trace


class _Run:
    """The steps from a script's beginning to its end."""

    def __init__(
        self, fresh: dict[str, Any], start: Callable[[], list[str]], teardown: bool
    ) -> None:
        self._program, self._start = _Program(fresh), start
        self._quick, self._interrupted = not teardown, False
        self._guard = _Guard(len(_GUARDED))
        self._failed: BaseException | None = None
        self._code, self.stop = 0, SystemExit()
        self._kept: dict[str, Any] = {}
        steps = [_default(getattr(self, f"_{each}", self._guard.call)) for each in _STEPS]
        text = "".join(f"{{{at}[now]}}" for at in range(len(steps)))
        self.flush = _partial(text.format, *steps)
        self._put("stderr", self)

    def _put(self, name: str, value: object) -> None:
        """In ``sys``, until it is taken back."""
        self._kept[name] = getattr(sys, name, None)
        setattr(sys, name, value)

    def _take_back(self) -> None:
        vars(sys).update(self._kept)
        self._kept.clear()

    def _begins(self) -> None:
        """Come to the moment, and find what is to be run."""
        self._take_back()
        try:
            words = self._start()
            self._guard.wants(self._program.made(words))
        except BaseException as error:
            error.__traceback__ = _behind_own(error.__traceback__)
            self._failed = error

    def _ran(self) -> None:
        """The script has ended: with a status, or a hook has to say why."""
        error = self._guard.raised() or self._failed
        if self._program.flushes:
            _flush()
        if isinstance(error, SystemExit):
            self._code, self._failed = _say_exit(error), None
        elif error is not None:
            self._code, self._failed = 1, error
            self._interrupted = isinstance(error, KeyboardInterrupt)
            trace: Any = error.__traceback__
            sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
            if sys.version_info >= (3, 12):
                sys.last_exc = error  # type: ignore[assignment, unused-ignore]
            hook = getattr(sys, "excepthook", sys.__excepthook__)
            self._guard.wants(_partial(hook, type(error), error, trace))
        elif "threading" not in sys.modules and not _exits()._ncallbacks():
            self._leave()  # at once: there is nothing to be called

    def _leave(self) -> None:
        """As Python ends, but for what it takes apart where nobody will see it."""
        if self._quick and _flushed() and not _finalizers():
            os._exit(self._code)

    def _said(self) -> None:
        """Threads come next, and then what is registered."""
        other = self._guard.raised()
        if other is not None and self._failed is not None:
            self._code = _say_hook(self._failed, other)
            self._interrupted = self._interrupted and not isinstance(other, SystemExit)
        self._quick = self._quick and not self._interrupted
        threading = sys.modules.get("threading")
        if self._quick and threading is not None:
            self._guard.wants(threading._shutdown)

    def _joined(self) -> None:
        self._quick = self._quick and self._guard.raised() is None
        if self._quick:
            self._guard.wants(_exits()._run_exitfuncs)

    def _ends(self) -> None:
        """The rest is Python's own."""
        self._quick = self._quick and self._guard.raised() is None
        self._leave()
        gc.unfreeze()  # else nothing that __main__ leads to would be garbage
        self._guard.forget()
        self.stop.code = _INTERRUPTED if self._interrupted else self._code
        del self.stop, self._failed  # with frames, which lead there as well
        self._put("stdout", self)  # Python flushes it as well, which has been done
        self.flush = self._take_back


def _exits() -> Any:
    """Where functions are registered: before Python 3.10 with the last that was imported."""
    return sys.modules.get("atexit", atexit)


def _flushed() -> bool:
    """Whether nothing is left to be written; else Python says why, and how it ends then."""
    try:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__):
            if stream is not None:
                stream.flush()
    except BaseException:
        return False
    return True


def run(fresh: dict[str, Any], start: Callable[[], list[str]], teardown: bool) -> SystemExit:
    """Run what the words of ``start`` name, and end as it ends.

    Args:
        fresh: what Python itself has put into ``__main__``.
        teardown: whether the interpreter is to take itself apart.

    Returns:
        What the stub has to raise: all else comes then, and it gets its status.
    """
    return _Run(fresh, start, teardown).stop
