"""The kind of guest that is a Solo5 unikernel, for hvt or spt."""

from __future__ import annotations

from limpet.guests.kind import Kind
from limpet.guests.solo5.inside import inside
from limpet.guests.solo5.link import link, measure
from limpet.guests.solo5.peek import USUAL
from limpet.guests.solo5.plan import plan
from limpet.guests.solo5.read import read

KIND = Kind(
    name="solo5",
    images=frozenset(USUAL),
    read=read,
    defaults=lambda image, options: USUAL[image.kind].complete(options),
    room=measure,
    measure=measure,
    plan=plan,
    link=link,
    inside=inside,
)
