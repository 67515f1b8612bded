"""Which variables of an environment would have been seen before the moment: none may be."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from limpet.loading.guest import Guest

_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_", "GLIBC_", "LOCPATH", "__PYVENV")
"""How the names begin that the interpreter and the C library look for when they start."""

_KNOWN = ("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2")
"""Objects whose variables stand in :data:`_AT_START`; they know many more that come later."""


def seen_early(given: Iterable[str], variables: Collection[str], guest: Guest) -> str:
    """The first variable of ``given``, as options spell them, that was looked for; or nothing.

    Args:
        variables: what the interpreter was asked for meanwhile.
        guest: whose shared objects may have asked by themselves: their text has the name.
    """
    names = [each.partition("=")[0] for each in given]
    if names and "*" in variables:
        return names[0]
    for name in names:
        if name.startswith(_AT_START) or name in variables or _named_in(name, guest):
            return name
    return ""


def _named_in(name: str, guest: Guest) -> bool:
    word = b"\0%s\0" % name.encode(errors="surrogateescape")
    others = (each for each in guest.objects if not each.path.endswith(_KNOWN))
    return any(word in each.image.data for each in others)
