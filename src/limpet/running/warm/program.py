"""Runs in the guest: a script as Python runs it, and its end (``Modules/main.c``, ``pythonrun.c``).

Only the frames of this file, below the script's, are others.  Its name there lets ``warnings`` pass
over them as over those of an import.
"""

from __future__ import annotations

import atexit
import gc
import os as _os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # nothing is imported that the script would not find imported
    from typing import Any

    from .boot import _read  # in one namespace; by its full name all of Limpet would be packed

os: Any = _os


def _absolute(path: str) -> str:
    """As Python makes ``__file__``: nothing of it is made shorter."""
    return path if path.startswith("/") or sys.version_info < (3, 9) else f"{os.getcwd()}/{path}"


class _Program:
    """What this start is to run as ``__main__``."""

    def __init__(self, fresh: dict[str, Any]) -> None:
        self._fresh = fresh  # what Python itself puts into __main__

    def run(self, words: list[str]) -> None:
        """The script that ``words`` name."""
        first = words[0] if words else ""
        if first == "-c":
            self._text(words[1] + "\n", "<string>", ["-c", *words[2:]])
        elif first == "-m":
            self._begin(["-m", *words[2:]], os.getcwd(), "")
            __import__("runpy")._run_module_as_main(words[1])
        elif first in ("", "-"):
            self._text(sys.stdin.buffer.read(), "<stdin>", words or [""])
        else:
            path = _absolute(first)
            self._begin(words, os.path.dirname(os.path.realpath(first)), path)
            self._execute(_read(path), path)

    def _text(self, text: Any, name: str, words: list[str]) -> None:
        self._begin(words, "", "")
        self._execute(text, name)

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

    def _execute(self, text: Any, name: str) -> None:
        try:
            code = compile(text, name, "exec", dont_inherit=True)
            exec(code, sys.modules["__main__"].__dict__)
        finally:
            if name != "<string>":
                _flush()


def _flush() -> None:
    """As Python does it where a file has ended (``flush_io``)."""
    for stream in (sys.stderr, sys.stdout):
        try:  # noqa: SIM105 (contextlib is not there)
            stream.flush()
        except Exception:  # it is said when Python ends
            pass


def _own_frames_off(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    error.__traceback__ = trace


def _say_exit(error: SystemExit) -> int:
    """The status that it means; what is no number is said (``handle_system_exit``)."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
    print(code, file=sys.stderr)
    return 1


def _say_error(error: BaseException) -> int:
    """As Python says it (``PyErr_PrintEx``), and the status."""
    kind, trace = type(error), error.__traceback__
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error  # type: ignore[assignment, unused-ignore]
    try:
        sys.excepthook(kind, error, trace)
    except SystemExit as ends:
        return _say_exit(ends)
    except BaseException as other:
        _own_frames_off(other)
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(other), other, other.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(kind, error, trace)
    return 1


def _finished(run: Any, words: list[str]) -> tuple[int, bool]:
    """The script's status, and whether it was interrupted."""
    failed: BaseException | None = None
    try:
        run(words)
    except BaseException as error:
        failed = error
    if failed is None:
        return 0, False
    if isinstance(failed, SystemExit):
        return _say_exit(failed), False
    _own_frames_off(failed)
    return _say_error(failed), isinstance(failed, KeyboardInterrupt)


def _finalizers() -> bool:
    """Whether the script has left something whose end would be seen: a file, a generator."""
    return any(hasattr(kind, "__del__") for kind in {type(each) for each in gc.get_objects()})


def _quick_end(code: int) -> None:
    """As Python ends, but for what it takes apart: nobody will see it."""
    try:
        threading = sys.modules.get("threading")
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__):
            if stream is not None:
                stream.flush()
    except BaseException:
        return  # Python says what is wrong, and how it ends then
    if not _finalizers():
        os._exit(code)


def _end(code: int, interrupted: bool, teardown: bool) -> None:
    if not interrupted and not teardown:
        _quick_end(code)
    gc.unfreeze()  # else nothing that __main__ leads to would be garbage
    if interrupted:  # said already: Python ends by the signal
        sys.excepthook = lambda *given: None
        raise KeyboardInterrupt
    raise SystemExit(code)


def run(fresh: dict[str, Any], words: list[str], teardown: bool) -> None:
    """Run what ``words`` name, and end as it ends.

    Args:
        fresh: what Python itself has put into ``__main__``.
        teardown: whether the interpreter is to take itself apart.
    """
    code, interrupted = _finished(_Program(fresh).run, words)
    _end(code, interrupted, teardown)
