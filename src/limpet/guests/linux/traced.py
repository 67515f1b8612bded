"""Whether a program's library OS tells of each call."""

from __future__ import annotations

from collections.abc import Mapping

from limpet.errors import PlanError
from limpet.planning.options import Options

TRACE = "trace"
"""The feature of the monitor, and the hypercall that writes the records."""


def with_trace(
    users: Mapping[str, tuple[str, ...]], options: Options
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and those of records where they are asked for.

    Raises:
        PlanError: of a snapshot, whose records would be of two runs.
    """
    if not options.asks(TRACE):
        return dict(users)
    if options.snapshot:
        raise PlanError(
            "a snapshot cannot be traced: its clock stood still meanwhile",
            hint="trace the program itself",
        )
    why = "--feature trace, which tells of each call"
    return {**users, "wait": (*users.get("wait", ()), why), TRACE: (why,)}
