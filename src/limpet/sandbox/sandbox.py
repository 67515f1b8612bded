"""``Sandbox``: an interpreter in a guest, which is asked one thing after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from limpet.errors import BadAnswer, MemoryLimit, NeverRan, PlanError, SandboxError
from limpet.sandbox import room
from limpet.sandbox.answers import Answer, expect_done, plain_of, shown_of, value_of
from limpet.sandbox.exchange import Heard, Limits
from limpet.sandbox.given import File, read
from limpet.sandbox.given import path as path_of
from limpet.sandbox.guest.channel import MOST_ANSWER
from limpet.sandbox.guest.values import encode
from limpet.sandbox.instance import Instance
from limpet.sandbox.kept import Kept
from limpet.sandbox.memory import Memory
from limpet.sandbox.prepared import Prepared
from limpet.sandbox.recipe import Recipe
from limpet.sandbox.result import Result, Timings
from limpet.sandbox.rewinding import Goes, Turn
from limpet.sandbox.told import Told, decoded
from limpet.sandbox.tools import Tool

if TYPE_CHECKING:
    from limpet.contract import Backend

_MEMORY = 256 << 20
_OUTPUT = 16 << 20
_FILE = MOST_ANSWER // 4 * 3 - 4096
"""Bytes of the largest file that :meth:`Sandbox.get` brings."""


class Sandbox:
    """A Python interpreter of its own machine, for code that nobody trusts.

    It has no network, none of the host's files and none of its environment.  It remembers what code
    defines, from one :meth:`run` to the next, and ends with the ``with`` block.

    Args:
        backend: ``kvm`` or ``process``; by default ``kvm`` where it works.
        python: the interpreter of this host that is packed, or an environment's folder; by default
            the one that runs this, of its environment where ``packages`` are wanted.
        packages: modules that code may import, beside the standard library, or what pip knows
            them by: ``sklearn`` or ``scikit-learn``.
        warm: code that has run already when a sandbox starts, ``"import json"``; five minutes once.
        memory: bytes that it has.
        timeout: seconds that one request may take, 0 for any time.
        cpu: seconds that one request may compute, 0 for any time.
        output: bytes that one request may write.
        files: contents, or files of this host, by the path that they get in the guest.
        tools: functions of this program's that the code may call by these names.  What they raise
            is raised there, ``SystemExit`` as a RuntimeError; Ctrl-C ends the sandbox.
        connect: where the code may connect to, as ``limpet run --connect`` takes it.
        volumes: folders of this host, as ``limpet run --volume`` takes them.  With these, or with
            ``connect``, each start starts an interpreter, and there is no :meth:`snapshot`.
        jit: whether the code may run code that it makes (numba, polars), as ``limpet run --jit``:
            a page at a time, and never what can be written.  No guest is taken back then: a reset,
            and each call of a pool, starts another one.

    Raises:
        PlanError: an argument cannot be honoured.
        NeverRan: the guest cannot be started.
        LimpetError: its bundle cannot be made.
    """

    def __init__(
        self,
        *,
        backend: Backend | None = None,
        python: str | os.PathLike[str] = "",
        packages: Sequence[str] = (),
        warm: str = "",
        memory: int = _MEMORY,
        timeout: float = 0,
        cpu: float = 0,
        output: int = _OUTPUT,
        files: Mapping[str, File] | None = None,
        tools: Mapping[str, Tool] | None = None,
        connect: Sequence[str] = (),
        volumes: Sequence[str] = (),
        jit: bool = False,
    ) -> None:
        recipe = Recipe.of(
            backend=backend,
            python=python,
            packages=packages,
            warm=warm,
            memory=memory,
            connect=connect,
            volumes=volumes,
            jit=jit,
        )
        self._start(Prepared(recipe, Limits(timeout, cpu, output), files or {}, tools or {}))

    def _start(self, prepared: Prepared) -> None:
        self._prepared: Prepared | None = prepared
        self._limits, self._tools = prepared.limits, prepared.tools
        self._kept: Goes | None = None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self, *, keeps: bool = False) -> None:
        """Start the guest, to be taken back later where it ``keeps``, and give it what it gets."""
        prepared = self._there().rewinding() if keeps else self._there()
        began = time.monotonic()
        self._instance: Instance | Turn = prepared.start()
        self._starting = time.monotonic() - began
        if prepared.memory:
            self._look()
        else:
            self._tell_tools()
            for name, data in prepared.files.items():
                self.put(name, data)
        self._kept = Goes.kept(prepared, self._instance, self._tools) if keeps else None

    def _look(self) -> None:
        """See whether a guest that was given memory goes on.

        Raises:
            NeverRan: it does not.
        """
        try:
            self._done({"do": "tools", "names": self._tools.names})
        except SandboxError as error:
            raise NeverRan(f"a sandbox does not go on from a snapshot: {error.message}") from error

    def _there(self) -> Prepared:
        if self._prepared is None:
            raise NeverRan("the sandbox was closed", hint="make another")
        return self._prepared

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the guest; nothing of it is left."""
        self._prepared = None
        if hasattr(self, "_instance"):
            self._instance.close()

    @property
    def alive(self) -> bool:
        """Whether it can be asked more; a guest that was ended can be :meth:`reset`."""
        return self._prepared is not None and self._instance.alive

    def run(
        self,
        code: str,
        *,
        on_stdout: Told | None = None,
        on_stderr: Told | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run code, and say how it ended; an exception of the code's is part of that.

        Args:
            code: of any length; what it defines stays.
            on_stdout: told what it writes, while it runs.
            on_stderr: the same for its standard error.
            timeout: seconds, in place of the sandbox's own.

        Raises:
            LimitReached: it took more of something than it may.
            NeverRan: nothing of it was run.
            OutcomeUnknown: the guest ended, or broke its word.
        """
        if not isinstance(code, str):
            raise PlanError(f"code is text, and not {type(code).__name__}", hint="decode it first")
        heard = Heard(on_stdout and decoded(on_stdout), on_stderr and decoded(on_stderr))
        request = {"do": "run", "code": code, "stream": on_stdout is not None}
        answer, timings = self._asked(request, heard, timeout)
        stdout = heard.stdout.decode("utf-8", "replace")
        stderr = heard.stderr.decode("utf-8", "replace")
        value = None if answer.value is None else self._of(value_of, answer.value)
        shown = self._of(shown_of, answer.shown) if answer.shown else ()
        return Result(stdout, stderr, value, answer.raised, answer.exit, timings, shown)

    def call(self, function: Callable[..., Any] | str, /, *arguments: Any, **named: Any) -> Any:
        """Call a function in the guest, and return what it returns.

        Arguments and result are plain data: numbers, text, bytes, lists, tuples, sets and
        dictionaries.

        Args:
            function: the name of one that code defined, or a function of this program's, which is
                sent as its text.

        Raises:
            CodeRaised: it raised an exception, or returned what is not plain data.
            PlanError: the function or an argument cannot be sent.
            LimpetError: as :meth:`run`.
        """
        from limpet.sandbox.functions import called

        return self._done(called(function, [list(arguments), named]))

    def call_pickled(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """As :meth:`call`, of anything that can be pickled, with any arguments.

        Only the guest reads the pickle: the modules that it names have to be there.  The result is
        plain data, as ever.

        Raises:
            CodeRaised: it cannot be made there of the pickle, or as :meth:`call`.
            PlanError: it cannot be pickled.
            LimpetError: as :meth:`run`.
        """
        from limpet.sandbox.functions import pickled

        return self._done(pickled(function, (arguments, named)))

    def put(self, path: str | os.PathLike[str], data: File) -> None:
        """Write a file in the guest, with the folders above it.

        Args:
            path: where, in the guest.
            data: its contents, or a Path of this host's that has them.

        Raises:
            CodeRaised: it cannot be written there.
            LimpetError: as :meth:`run`.
        """
        data = read("data", data)
        self._done({"do": "put", "path": path_of(path), "data": encode(data)})

    def get(self, path: str | os.PathLike[str]) -> bytes:
        """The contents of a file in the guest.

        Raises:
            CodeRaised: there is none, or it is larger than an answer may be.
            LimpetError: as :meth:`run`.
        """
        data = self._done({"do": "get", "path": path_of(path), "most": _FILE})
        if not isinstance(data, bytes):
            raise self._broken("the guest sent something else than a file")
        return data

    def listdir(self, path: str | os.PathLike[str] = ".") -> list[str]:
        """The names in a folder of the guest, those of folders with a slash behind them.

        Raises:
            CodeRaised: there is none.
            LimpetError: as :meth:`run`.
        """
        names = self._done({"do": "listdir", "path": path_of(path)})
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise self._broken("the guest sent something else than names")
        return names

    def add_tools(self, tools: Mapping[str, Tool]) -> None:
        """Let the code call more functions of this program's, or others by the same names.

        Raises:
            PlanError: a name or a function is none.
            LimpetError: as :meth:`run`.
        """
        self._tools = self._tools.with_more(tools)
        self._tell_tools()

    def _tell_tools(self) -> None:
        if self._tools.names:
            self._done({"do": "tools", "names": self._tools.names})

    def interrupt(self) -> None:
        """Raise ``KeyboardInterrupt`` in code, which may catch it: :meth:`kill` really ends it."""
        self._instance.interrupt()

    def kill(self) -> None:
        """End the guest at once, from any thread: whoever waits for it gets ``Killed``."""
        self._instance.kill()

    @classmethod
    def prepare(cls, **given: Any) -> SandboxSnapshot:
        """A snapshot of what ``Sandbox(**given)`` starts from, for many starts.

        Raises:
            LimpetError: as making a sandbox.
        """
        with cls(**given) as first:
            return SandboxSnapshot(first._there())

    def snapshot(self) -> SandboxSnapshot:
        """All that the sandbox has now: what code defined and imported, its files, its threads.

        The sandbox goes on; whatever is started from the snapshot goes on from the same state, with
        random numbers and time of its own.  ``snapshot_restore_py`` has hooks for code that holds
        what must not be there twice.

        Raises:
            CodeRaised: a hook did.
            PlanError: it has ``connect`` or ``volumes``.
            LimpetError: as :meth:`run`.
        """
        prepared = self._there()
        memory = prepared.room()
        answer, _ = self._asked({"do": "memory"}, Heard(), memory=memory)
        expect_done(answer)
        if not memory.is_whole:
            raise self._broken("the guest sent something else than its memory")
        return SandboxSnapshot(prepared.with_memory(memory, self._tools))

    def fork(self, count: int = 1) -> list[Sandbox]:
        """So many others that go on from where this one is.

        Raises:
            LimpetError: there cannot be so many; or as :meth:`SandboxSnapshot.start`.
        """
        if not isinstance(count, int) or count < 0:
            raise PlanError(f"count: {count!r} is no number of sandboxes", hint="fork(2)")
        room.check("count", count)
        snapshot = self.snapshot()
        with ExitStack() as begun:
            made = [begun.enter_context(snapshot.start()) for _ in range(count)]
            begun.pop_all()
        return made

    def reset(self) -> None:
        """Forget everything: the sandbox is as it was when it was made.

        The first time another guest is started, which is taken back from then on, where it can be.

        Raises:
            NeverRan: it was closed, or cannot be started again.
        """
        if self._kept and self._prepared and self._kept.goes_back():
            if self._tools is not self._kept.tools:
                self._tell_tools()
            return
        self._instance.close()
        self._begin(keeps=True)
        if not self._instance.alive:  # this host does not let it be kept
            self._begin()

    def _asked(
        self,
        request: dict[str, Any],
        heard: Heard,
        timeout: float | None = None,
        memory: Memory | None = None,
    ) -> tuple[Answer, Timings]:
        prepared, limits, instance = self._there(), self._limits, self._instance
        if timeout is not None:
            limits = Limits(timeout, limits.cpu, limits.output)
        began = time.monotonic()
        answer = instance.ask(request, limits, heard, self._tools.serve, memory)
        wall, cpu = time.monotonic() - began, instance.cpu() - instance.before
        starting, self._starting = self._starting, 0.0
        if answer.raised and answer.raised.type == "MemoryError":
            most = prepared.recipe.memory
            raise heard.by(MemoryLimit(f"it wanted more than {most} bytes"))
        return answer, Timings(wall, max(cpu, 0.0), starting)

    def _done(self, request: dict[str, Any]) -> Any:
        """What a request other than code gives.

        Raises:
            CodeRaised: it did not go well in the guest.
        """
        answer, _ = self._asked(request, Heard())
        expect_done(answer)
        return self._of(plain_of, answer.value)

    def _of(self, read: Callable[[Any], Any], sent: Any) -> Any:
        try:
            return read(sent)
        except BadAnswer:
            self._instance.kill()
            raise

    def _broken(self, what: str) -> BadAnswer:
        self._instance.kill()
        return BadAnswer(what)


class SandboxSnapshot(Kept):
    """A warm interpreter that is kept: whatever is started from it goes on from the same state."""

    def start(self) -> Sandbox:
        """A sandbox of its own, with random numbers and time of its own.

        Raises:
            NeverRan: it cannot be started.
        """
        made = Sandbox.__new__(Sandbox)
        made._start(self._prepared)
        return made
