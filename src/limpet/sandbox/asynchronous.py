"""``AsyncSandbox`` and ``AsyncPool``, for asyncio.  What is cancelled is ended."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from limpet.sandbox.executor import SandboxExecutor
from limpet.sandbox.pool import Pool
from limpet.sandbox.result import Result
from limpet.sandbox.sandbox import Sandbox, SandboxSnapshot
from limpet.sandbox.told import Told

T = TypeVar("T")
Entered = TypeVar("Entered", Sandbox, Pool)


class AsyncSandbox:
    """As :class:`Sandbox`, with the same arguments, in ``async with``.

    Each request waits in a thread.  Where the task that waits is cancelled, the guest is ended.
    """

    def __init__(self, snapshot: SandboxSnapshot | None = None, /, **given: Any) -> None:
        self._make: Callable[[], Sandbox] = snapshot.start if snapshot else lambda: Sandbox(**given)
        self._sandbox: Sandbox | None = None

    async def __aenter__(self) -> AsyncSandbox:
        self._sandbox = await _entered(self._make)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._of.close()

    @property
    def _of(self) -> Sandbox:
        if self._sandbox is None:
            raise RuntimeError("use it with: async with AsyncSandbox() as sandbox")
        return self._sandbox

    async def run(
        self,
        code: str,
        *,
        on_stdout: Told | None = None,
        on_stderr: Told | None = None,
        timeout: float | None = None,
    ) -> Result:
        """As :meth:`Sandbox.run`; the callbacks are called in the loop's thread."""
        out, err = _in_loop(on_stdout), _in_loop(on_stderr)
        work = self._of.run
        return await self._done(lambda: work(code, on_stdout=out, on_stderr=err, timeout=timeout))

    async def call(self, function: Callable[..., Any] | str, /, *given: Any, **named: Any) -> Any:
        """As :meth:`Sandbox.call`."""
        return await self._done(lambda: self._of.call(function, *given, **named))

    async def put(self, path: str, data: bytes | Path) -> None:
        """As :meth:`Sandbox.put`."""
        await self._done(lambda: self._of.put(path, data))

    async def get(self, path: str) -> bytes:
        """As :meth:`Sandbox.get`."""
        return await self._done(lambda: self._of.get(path))

    async def listdir(self, path: str = ".") -> list[str]:
        """As :meth:`Sandbox.listdir`."""
        return await self._done(lambda: self._of.listdir(path))

    async def snapshot(self) -> SandboxSnapshot:
        """As :meth:`Sandbox.snapshot`; ``AsyncSandbox(snapshot)`` goes on from it."""
        return await self._done(self._of.snapshot)

    async def fork(self, count: int = 1) -> list[AsyncSandbox]:
        """As :meth:`Sandbox.fork`: each is there already, and is closed by ``async with``."""
        return [_begun(each) for each in await self._done(lambda: self._of.fork(count))]

    async def reset(self) -> None:
        """As :meth:`Sandbox.reset`."""
        await self._done(self._of.reset)

    def interrupt(self) -> None:
        """As :meth:`Sandbox.interrupt`."""
        self._of.interrupt()

    def kill(self) -> None:
        """As :meth:`Sandbox.kill`."""
        self._of.kill()

    async def _done(self, work: Callable[[], T]) -> T:
        """What ``work`` returns; where nobody waits for it any more the guest is ended."""
        return await _in_thread(work, self._of.kill)


class AsyncPool:
    """As :class:`Pool`, with the same arguments, in ``async with``.

    Calls wait in threads, as many as there are turns.  Where the task that waits is cancelled, the
    call is not made, or its guest is ended.
    """

    def __init__(self, snapshot: SandboxSnapshot, min: int = 2, max: int | None = None) -> None:
        self._make = partial(Pool, snapshot, min, max)
        self._pool: Pool | None = None

    async def __aenter__(self) -> AsyncPool:
        self._pool = await _entered(self._make)
        self._executor = SandboxExecutor(self._pool)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            await _in_thread(self._pool.close)
            await _in_thread(self._executor.shutdown)

    async def run(self, code: str, *, timeout: float | None = None) -> Result:
        """As :meth:`Pool.run`."""
        return await self.once(lambda sandbox: sandbox.run(code, timeout=timeout))

    async def call(self, function: Callable[..., Any] | str, /, *given: Any, **named: Any) -> Any:
        """As :meth:`Pool.call`."""
        return await self.once(lambda sandbox: sandbox.call(function, *given, **named))

    async def once(self, work: Callable[[Sandbox], T]) -> T:
        """As :meth:`Pool.once`."""
        if self._pool is None:
            raise RuntimeError("use it with: async with AsyncPool(snapshot) as pool")
        return await asyncio.wrap_future(self._executor.once(work))

    async def map(
        self, function: Callable[..., Any] | str, /, *given: Iterable[Any]
    ) -> AsyncGenerator[Any, None]:
        """What the function returns for each of ``given``, in their order, as it comes.

        All calls are begun at once; who stops early, or gets an exception, ends the others.
        """
        waiting = [
            asyncio.ensure_future(self.call(function, *each)) for each in zip(*given, strict=False)
        ]
        try:
            for each in waiting:
                yield await each
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _entered(make: Callable[[], Entered]) -> Entered:
    """What ``make`` makes; what nobody waits for is closed."""
    found = list[Entered]()
    try:
        await _in_thread(lambda: found.append(make()))
    except asyncio.CancelledError:
        for each in found:
            await _in_thread(each.close)
        raise
    return found[0]


async def _in_thread(work: Callable[[], T], unwanted: Callable[[], None] | None = None) -> T:
    """What ``work`` returns; ``unwanted`` is called where nobody waits for it any more.

    A thread cannot be cancelled, so its end is waited for however often this task is.  It is no
    task either, which the end of a loop would cancel.
    """
    run = contextvars.copy_context().run
    waiting = asyncio.get_running_loop().run_in_executor(None, run, work)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if unwanted:
            unwanted()
        while not waiting.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([waiting])
        waiting.exception()  # nobody is told
        raise


def _begun(sandbox: Sandbox) -> AsyncSandbox:
    made = AsyncSandbox()
    made._make, made._sandbox = lambda: sandbox, sandbox
    return made


def _in_loop(told: Told | None) -> Told | None:
    if told is None:
        return None
    loop, call = asyncio.get_running_loop(), told

    def tell(text: str) -> None:
        loop.call_soon_threadsafe(call, text)

    return tell
