"""Which compiler flags a ``limpet.toml`` may have.

It may come from a stranger, and some flags write files anywhere (``-MF``), load code into the
compiler (``-fplugin``) or are words for another tool (``-Wl,``, ``-Xclang``).  So there is a list
of what is allowed, and it has what programs need.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from limpet.errors import ManifestError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ALLOWED = re.compile(
    "|".join(
        (
            r"-O[0-3sgz]?|-Ofast",
            r"-std=[a-z0-9+:]+|-ansi|-pedantic(-errors)?|-w|-pthread|-g[0-3]?|-s",
            rf"-D{_NAME}(\([A-Za-z0-9_,.]*\))?(=.*)?|-U{_NAME}",
            r"-(I|iquote|isystem|idirafter|L).+",
            r"-l[A-Za-z0-9_+.-]+",
            r"-W(?!l,|a,|p,)[A-Za-z0-9+=-]*",
            r"-m(?!llvm|main-)[a-z0-9][a-z0-9.=_-]*",
            r"-f(no-)?(strict-(aliasing|overflow)|omit-frame-pointer|inline(-functions)?|builtin"
            r"|exceptions|unwind-tables|asynchronous-unwind-tables|common|wrapv|trapv"
            r"|stack-protector(-strong|-all)?|(un)?signed-(char|bitfields)|short-enums|math-errno"
            r"|fast-math|finite-math-only|trapping-math|rounding-math|unroll-loops|vectorize"
            r"|tree-vectorize|slp-vectorize|(function|data)-sections|pic|pie|PIC|PIE|lto"
            r"|gnu89-inline|ms-extensions|delete-null-pointer-checks|strict-float-cast-overflow)",
            r"-fvisibility=(default|hidden)|-fno-builtin-[a-z0-9_]+|-ffp-contract=(on|off|fast)",
        )
    ),
    re.DOTALL,
)
_WITH_A_WORD = ("-I", "-iquote", "-isystem", "-idirafter", "-L", "-include", "-D", "-U", "-l")
"""Flags whose value may be the next word."""


def check_flags(flags: Sequence[str], where: str) -> None:
    """Nothing, or an error that names the first flag that is not allowed.

    Raises:
        ManifestError: there is one; ``where`` is the file that it stands in.
    """
    rest = iter(flags)
    for each in rest:
        if each in _WITH_A_WORD:
            value = next(rest, None)
            if value is None or value[:1] in ("-", "@", ""):
                raise ManifestError(
                    f"{where}: the flag {each!r} wants a word behind it that does not start with - "
                    "or @",
                    hint="add it, or write it without a space between",
                )
        elif not _ALLOWED.fullmatch(each):
            raise ManifestError(
                f"{where}: the flag {each!r:.200} is not among those that a program may set",
                hint="optimisation, language, warnings, -D, -I, -l and code generation are",
            )
