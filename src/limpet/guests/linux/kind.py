"""The kind of guest that is a Linux program."""

from __future__ import annotations

from limpet.guests.kind import Kind
from limpet.guests.linux import most
from limpet.guests.linux.inside import inside
from limpet.guests.linux.link import link
from limpet.guests.linux.options import check
from limpet.guests.linux.peek import USUAL
from limpet.guests.linux.plan import plan
from limpet.guests.linux.read import DYNAMIC, STATIC, STATIC_PIE, read
from limpet.guests.linux.verdict import judge

KIND = Kind(
    name="linux",
    images=frozenset({STATIC, STATIC_PIE, DYNAMIC}),
    read=read,
    defaults=lambda _, options: USUAL.complete(options),
    room=lambda *_: most.ROOM,
    measure=lambda _, cache: most.sizes(cache),
    plan=plan,
    link=link,
    inside=inside,
    check=check,
    judge=judge,
    fallback=True,
)
