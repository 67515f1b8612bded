"""``@sandboxed``: a function whose every call is made in a sandbox of its own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from limpet.errors import PlanError
from limpet.sandbox.pool import Pool
from limpet.sandbox.sandbox import Sandbox

P = ParamSpec("P")
T = TypeVar("T")


@overload
def sandboxed(function: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def sandboxed(**given: Any) -> Callable[[Callable[P, T]], Callable[P, T]]: ...


def sandboxed(function: Any = None, /, **given: Any) -> Any:
    """Call a plain function in sandboxes: ``@sandboxed`` or ``@sandboxed(timeout=5)`` before it.

    The function goes there as its text, its arguments and its result are plain data, and nothing
    of one call is there in the next.  The first call makes the pool that all of them use.

    Args:
        function: what is decorated.
        given: arguments of :class:`Sandbox`.

    Raises:
        PlanError: it is no function; at a call: it, or an argument, cannot be sent.
        LimpetError: at a call: as :meth:`Sandbox.call`.
    """
    if function is None:
        return lambda decorated: sandboxed_with(decorated, given)
    return sandboxed_with(function, given)


def sandboxed_with(function: Callable[P, T], given: dict[str, Any]) -> Callable[P, T]:
    """``function`` in sandboxes that are made with ``given``.

    Raises:
        PlanError: it is no function.
    """
    if not callable(function):
        raise PlanError(
            f"sandboxed takes a function, and not {function!r}", hint="@sandboxed(timeout=5)"
        )
    lock = threading.Lock()
    pools: list[Pool] = []

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> T:
        with lock:
            if not pools:
                pools.append(Pool(Sandbox.prepare(**given)))
        made: T = pools[0].call(function, *arguments, **named)
        return made

    return call
