"""``SandboxExecutor``: calls in sandboxes for whoever takes a ``concurrent.futures.Executor``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from limpet.errors import Killed, PlanError
from limpet.sandbox.pool import Pool
from limpet.sandbox.sandbox import Sandbox

T = TypeVar("T")


class Call(Future[T]):
    """A call that is made; to cancel it while it runs ends its sandbox."""

    def __init__(self) -> None:
        super().__init__()
        self._sandbox: Sandbox | None = None
        self._unwanted = False

    def cancel(self) -> bool:
        """Let it not be made; of one that runs the sandbox is ended, and it is ``Killed``."""
        if super().cancel():
            return True
        self._unwanted = True
        running = self._sandbox
        if running is not None and not self.done():
            running.kill()
        return False

    def made(self, work: Callable[[Sandbox], T], sandbox: Sandbox) -> T:
        """What ``work`` returns, which is given the sandbox."""
        self._sandbox = sandbox
        if self._unwanted:
            raise Killed("the call was cancelled")
        return work(sandbox)


def _called(function: Callable[..., Any], given: tuple[Any, ...], named: Any) -> Any:
    """Work that calls it in a sandbox."""

    def work(sandbox: Sandbox) -> Any:
        try:
            return sandbox.call(function, *given, **named)
        except PlanError:  # before anything was sent
            return sandbox.call_pickled(function, *given, **named)

    return work


class SandboxExecutor(Executor):
    """Makes each call in a sandbox of its own, from the same state.

    Functions and arguments are sent as :meth:`Sandbox.call` sends them; what is no plain function
    or data goes as a pickle, which only the guest reads.  Results are plain data.

    Args:
        pool: where the calls are made; it is not closed with this.
    """

    def __init__(self, pool: Pool) -> None:
        if not isinstance(pool, Pool):
            raise PlanError(
                f"an executor takes a pool, and not {type(pool).__name__}",
                hint="with limpet.Pool(...) as pool: limpet.SandboxExecutor(pool)",
            )
        self._pool = pool
        self._max_workers = pool.max  # Dask asks an executor for it by this name
        self._threads = ThreadPoolExecutor(pool.max, thread_name_prefix="limpet")
        self._calls: set[Call[Any]] = set()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Make a call as soon as one of the pool's turns is free."""
        return self.once(_called(fn, args, kwargs))

    def once(self, work: Callable[[Sandbox], T]) -> Future[T]:
        """As :meth:`Pool.once`, as soon as one of its turns is free."""
        call: Call[T] = Call()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        self._threads.submit(self._make, call, work)
        return call

    def _make(self, call: Call[Any], work: Callable[[Sandbox], Any]) -> None:
        if not call.set_running_or_notify_cancel():
            return
        try:
            found = self._pool.once(partial(call.made, work))
        except BaseException as error:
            call.set_exception(error)
        else:
            call.set_result(found)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with ``cancel_futures`` those that run are ended, too."""
        if cancel_futures:
            for each in list(self._calls):
                each.cancel()
        self._threads.shutdown(wait)
