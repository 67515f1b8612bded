"""What a debugger has to know of a unikernel: there is no library OS, and it has one thread."""

from __future__ import annotations

from collections.abc import Mapping

from limpet.guests.inside import Inside
from limpet.guests.solo5.layout import Solo5Layout
from limpet.planning.plan import Plan
from limpet.tools.cache import Cache


def inside(plan: Plan, _symbols: Mapping[str, int], _cache: Cache) -> Inside:
    """What there is of ``plan``."""
    place, entry = plan.layout, plan.image.entry
    assert isinstance(place, Solo5Layout)
    pages = plan.supervisor
    first = place.shim_entry("shim_start") if pages and pages.user else entry
    return Inside(first, entry, 3 if not pages or pages.user else 0, None)
