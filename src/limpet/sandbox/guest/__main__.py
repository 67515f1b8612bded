"""The loop: a request, its answer, and the next; before the first the guest is ready.

Its first wait for the host is the moment that a snapshot is taken of.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import stat
import sys
from typing import Any

from .channel import ANSWER, CALL, LEAST_NUMBER, LEAST_WORD, Channel, standard_streams
from .interpreter import Interpreter, displayed, raised, shown
from .values import decode, encode

_renewed: Any = importlib.import_module(".renewed", __package__)  # that of warm scripts


_HOOKS = "snapshot_restore_py"
"""A module that has what is to be done before and behind a moment."""

_MOMENT = "/dev/limpet/snapshot"
"""There where a snapshot is taken; else each start does all of this again."""

_NAME = "__rehearsed__"
_STATEMENTS = f"""
import sys as {_NAME}
def {_NAME}(x):
    return [x, str(x)]
{_NAME} = {{each: 1.5 for each in {_NAME}(1)}}
print(end="")
del {_NAME}
0
"""
_OUTPUT = "print(1)"
_TREE = f"{_NAME} = 1; 0"
_USUAL = ("1 + 1", "['text' * 9, 1.5]", f"{_NAME} = 1", _TREE, _OUTPUT, _STATEMENTS)
"""What is rehearsed: expressions, and statements, of which one is tried as an expression first, and
one is not told from others without its tree.
What a call writes that nobody has rehearsed is a fault, and more to be taken back; what is
rehearsed is copied behind every call."""

_OFTEN, _AGAIN = 100, 2
"""Times that something is rehearsed: until nothing of it is compiled for what it meets any more."""


class Agent:
    """Answers requests."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._interpreter = Interpreter()
        self._interpreter.enter()
        self._number = 0
        self._stdout: Any = sys.stdout  # which the code may replace, close or delete
        self._kept = self._is_new = self._streams = False

    def warm(self) -> None:
        """Run what is to be done before the moment."""
        os.environ.setdefault("MPLBACKEND", f"module://{__package__}.figures")
        path = os.path.join(os.path.dirname(__file__), "warm.py")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                self._interpreter.run(stream.read(), "<warm>")
        displayed.clear()  # to nobody
        if os.path.exists(_MOMENT):
            asked = {"do": "run", "stream": False, "word": LEAST_WORD, "id": LEAST_NUMBER}
            for code in _USUAL:
                self._channel.rehearse({**asked, "code": code})
            self._rehearse(_OFTEN)
        before_snapshot()
        sys.stdout.flush()

    def serve(self) -> None:
        """Answer until the host ends it."""
        request = self._channel.receive()
        reseed()
        after_restore()
        while True:
            self._serve(request)
            request = self._channel.receive()

    def _serve(self, request: dict[str, Any]) -> None:
        if self._is_new:
            self._is_new = False
            after_restore()
        self._number = request["id"]
        if request.get("stream", False) is not self._streams:
            self._streams = not self._streams
            self._stream()
        if request["do"] == "memory":
            self._tell_memory()
        elif request["do"] == "rewind":
            self._rewind(request["word"])
        else:
            self._answer(self._done(request))
            if "word" in request:
                self._rewind(request["word"])

    def _stream(self) -> None:
        """Send each line when it is written, or no longer."""
        found: Any = getattr(sys, "stdout", None)
        for stream in (self._stdout, found):
            with contextlib.suppress(Exception):  # one of the code's may be anything
                stream.reconfigure(line_buffering=self._streams)

    def _tell_memory(self) -> None:
        """Let the host have all memory: whoever is started with it goes on here, and as a new one.

        Only the one that was asked answers.
        """
        try:
            before_snapshot()
            new = self._channel.tell_memory()
        except Exception as error:
            self._answer({"raised": raised(error)})
            return
        if new:
            reseed()
            after_restore()
        else:
            self._answer({"ok": None})

    def _rewind(self, word: int) -> None:
        """Have the monitor keep all this, or take it back to when it was kept.

        Each time it goes on behind the first of these, and as a new one.
        """
        if not self._kept:
            self._rehearse(_AGAIN)
            before_snapshot()
            reseed()  # so that what it writes is kept, and need not be found each time
            self._kept = True
        self._channel.rewind(word)
        reseed()
        self._is_new = True

    def _rehearse(self, often: int) -> None:
        """Do what is always done, so that the interpreter knows it, and has it in memory.

        Hooks are for a moment that there is: where code has any, they are left out.
        """
        self._kept = True  # and is not taken back meanwhile
        hooked = _HOOKS in sys.modules
        for request in self._channel.rehearsed(often):
            if request["code"] == _OUTPUT and sys.stdout is not sys.__stdout__:
                continue  # it would be there for whoever reads what is there in its place
            request["stream"], self._is_new = self._streams, not hooked
            self._serve(request)
            self._interpreter.forget()
        self._kept = self._is_new = False
        self._interpreter.names.pop(_NAME, None)  # something is not as it usually is

    def _answer(self, answer: dict[str, Any]) -> None:
        answer["id"] = self._number
        if displayed:
            answer["shown"] = displayed.copy()
            displayed.clear()
        for name in ("stdout", "stderr"):
            try:
                getattr(sys, name).flush()
            except Exception:  # the code may have closed, replaced or deleted it
                continue
        if self._channel.send(ANSWER, answer):
            return
        if answer.pop("shown", None):
            os.write(2, b"what was shown is too large for an answer: none of it is there\n")
        if not self._channel.send(ANSWER, answer):
            self._channel.send(ANSWER, self._shortened(answer))

    def _shortened(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer that is too long for the line: a value without its data, or an exception."""
        value = answer.get("ok")
        if isinstance(value, dict) and isinstance(value.get("text"), str) and "mime" in value:
            return {"id": self._number, "ok": {"text": value["text"], "mime": {}}}
        error = ValueError("what it gave is too large for an answer")
        return {"id": self._number, "raised": raised(error)}

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; everything that can go wrong is the answer."""
        try:
            self._channel.running = True
            try:
                return {"ok": _DONE[request["do"]](self, request)}
            finally:
                self._channel.running = False
        except SystemExit as error:
            return {"exit": _status(error)}
        except BaseException as error:
            return {"raised": raised(error)}

    def do_run(self, request: dict[str, Any]) -> Any:
        """Run code: its value."""
        try:
            return shown(self._interpreter.run(request["code"]))
        finally:
            if request.get("figures"):
                _show_figures()

    def do_call(self, request: dict[str, Any]) -> Any:
        """Call a function: what it returns, which has to be plain data."""
        function = self._interpreter.function(request["function"])
        arguments, named = decode(request["arguments"])
        return encode(function(*arguments, **named))

    def do_unpickled(self, request: dict[str, Any]) -> Any:
        """Call what a pickle of the host's holds."""
        import pickle

        function, arguments, named = pickle.loads(decode(request["data"]))
        return encode(function(*arguments, **named))

    def do_tools(self, request: dict[str, Any]) -> None:
        """Give the code functions of the host's."""
        for name in request["names"]:
            self._interpreter.names[name] = self._tool(name)

    def _tool(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            asked = {
                "id": self._number,
                "tool": name,
                "arguments": encode([list(arguments), named]),
            }
            reply = self._channel.ask(CALL, asked)
            if "raised" in reply:
                raise _error(*reply["raised"])
            return decode(reply["ok"])

        call.__name__ = call.__qualname__ = name
        return call

    def do_put(self, request: dict[str, Any]) -> None:
        """Write a file, with the folders above it."""
        path = request["path"]
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(decode(request["data"]))

    def do_get(self, request: dict[str, Any]) -> Any:
        """Read a file, up to so many bytes."""
        with open(request["path"], "rb") as stream:
            data = stream.read(request["most"] + 1)
        if len(data) > request["most"]:
            raise ValueError(f"{request['path']}: more than {request['most']} bytes")
        return encode(data)

    def do_listdir(self, request: dict[str, Any]) -> Any:
        """Names in a folder, those of folders with a slash behind them."""
        path = request["path"]
        names = sorted(os.listdir(path))
        return [f"{name}/" if _is_folder(os.path.join(path, name)) else name for name in names]


_DONE = {name[3:]: value for name, value in vars(Agent).items() if name.startswith("do_")}


def _show_figures() -> None:
    """Show those of matplotlib that code has left open; one that cannot be drawn is not there."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    with contextlib.suppress(Exception):
        if pyplot is not None:
            pyplot.show()


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _status(error: SystemExit) -> int:
    """The exit status that Python would end with."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 255
    print(error.code, file=sys.stderr)
    return 1


def _error(name: str, message: str) -> Exception:
    """An exception of the host's: the same built-in one, or one that names it."""
    import builtins

    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # one that takes more than a message
            pass
    return RuntimeError(f"{name}: {message}")


def reseed() -> None:
    """Make anew what each start has to have for itself."""
    _renewed.renew_modules()


def after_restore() -> None:
    """Run what modules want to be done behind a moment."""
    for function, given, named in _hooks("get_after_restore"):
        function(*given, **named)


def before_snapshot() -> None:
    """Run what modules want to be done before a moment."""
    for function, given, named in reversed(_hooks("get_before_snapshot")):
        function(*given, **named)


def _hooks(which: str) -> Any:
    module = sys.modules.get(_HOOKS)
    return list(getattr(module, which)()) if module is not None else ()


def _has_connected() -> bool:
    """Whether this is before the moment, and what no start would have is in memory already."""
    try:
        with open(_MOMENT) as device:
            return device.read() == "0 connected\n"
    except OSError:  # there is no moment
        return False


def main() -> None:
    """Get ready, and serve."""
    sys.path[:] = [each for each in sys.path if each != ""]
    channel = Channel()
    standard_streams(channel)
    agent = Agent(channel)
    agent.warm()
    if _has_connected():
        os._exit(1)  # each start begins anew
    agent.serve()


main()
