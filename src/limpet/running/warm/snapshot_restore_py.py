"""Runs in the guest: what is to be done around the moment from which a bundle goes on.

The names are those of the package ``snapshot-restore-py``: a program that uses it runs unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Hook = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_before: list[Hook] = []
_after: list[Hook] = []


def register_before_snapshot(
    func: Callable[..., Any], *args: Any, **kwargs: Any
) -> Callable[..., Any]:
    """``func`` is called before the moment; who came last is first."""
    _before.append((func, args, kwargs))
    return func


def register_after_restore(
    func: Callable[..., Any], *args: Any, **kwargs: Any
) -> Callable[..., Any]:
    """``func`` is called at each start, before the script; who came first is first."""
    _after.append((func, args, kwargs))
    return func


def get_before_snapshot() -> list[Hook]:
    """What was registered, in that order."""
    return list(_before)


def get_after_restore() -> list[Hook]:
    """What was registered, in that order."""
    return list(_after)
