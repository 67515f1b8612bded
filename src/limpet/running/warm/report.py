"""What a guest says of its moment: made by what it imported, so that none of it is trusted."""

from __future__ import annotations

import ast
from dataclasses import dataclass

_MARK = b"\0limpet"
_OWN = b"limpet: "
_MOST = 1 << 20


@dataclass(frozen=True)
class Report:
    """What was looked at while modules were imported, and which ones there are now.

    ``printed`` says that something was written meanwhile; ``variables`` are names of the
    environment, ``*`` for all of it.
    """

    printed: bool
    variables: frozenset[str]
    modules: frozenset[str]


def report_of(stdout: bytes, stderr: bytes) -> Report | None:
    """The report at the end of what a guest has written; ``None`` where there is none."""
    printed, mark, rest = stdout.rpartition(_MARK)
    if not mark or len(rest) > _MOST:
        return None
    try:
        variables, modules = ast.literal_eval(rest.decode())
        found = frozenset(map(str, variables)), frozenset(map(str, modules))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return Report(bool(printed or stderr), *found)


def reason_of(stderr: bytes) -> str:
    """Why a guest would not come to a moment, in its own words and its monitor's; or nothing."""
    _, mark, rest = stderr.rpartition(_MARK)
    if not mark and not stderr.startswith(_OWN):
        return ""
    lines = (rest if mark else stderr).decode(errors="replace").splitlines()
    return "; ".join(each.removeprefix(_OWN.decode()) for each in lines)
