"""The record in a bundle: how to make it again, and what its bytes ought to be.

``audit`` believes none of it: it reads the bytes and says where they and the record disagree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from limpet.contract import CONTRACT_VERSION, Pin
from limpet.formats import packed_guest
from limpet.formats.elfwriter import Load
from limpet.planning.plan import Plan
from limpet.planning.seccomp import Filter, Rule

LOCATE = 8
"""Hex digits for each packed file: to say which one differs; the tree's own SHA-256 decides."""


def record(plan: Plan, segments: Sequence[Load], toolchain: str, version: str) -> bytes:
    """The record of the bundle of ``plan`` with ``segments``, as JSON."""
    known: dict[str, Any] = {
        "limpet": version,
        "toolchain": toolchain,
        "contract": CONTRACT_VERSION,
        "guest": packed_guest.described(plan.image),
        "options": asdict(plan.options),
        "plan": plan.digest(),
        "hypercalls": [call.name for call in plan.hypercalls],
        "system_calls": [call.name for call in plan.calls],
    }
    known["parts"] = [
        {
            "name": each.name,
            "address": each.address,
            "size": each.size,
            "flags": each.flags,
            "sha256": hashlib.sha256(each.content).hexdigest(),
        }
        for each in segments
    ]
    places = plan.blobs.filter_addresses(plan.filters)
    known["filters"] = {
        name: _filter(each, places[name], plan.layout.filter_copy(name))
        for name, each in plan.filters.items()
    }
    pages = plan.supervisor
    known["machine"] = (
        {"ring": 3 if pages.user else 0, "execute_only": pages.execute_only} if pages else None
    )
    known["ports"] = [call.port for call in plan.hypercalls] if plan.supervisor else []
    tree = plan.packed
    if tree and tree.content:
        known["tree"] = {
            "address": tree.address,
            "size": len(tree.content),
            "sha256": hashlib.sha256(tree.content).hexdigest(),
            "files": "".join(each.sha256[:LOCATE] for each in plan.guest.tree.entries),
        }
    return json.dumps(known, sort_keys=True, separators=(",", ":")).encode()


def _filter(each: Filter, address: int, copy: int) -> dict[str, Any]:
    known = {"default": each.default, "rules": [_rule(rule, each) for rule in each.rules]}
    return known | ({"template": address, "copy": copy, "slots": each.slots} if each.slots else {})


def _rule(rule: Rule, each: Filter) -> dict[str, Any]:
    arguments = {str(pin.index): _values(pin, each.guest) for pin in rule.pins}
    known = {"call": rule.call, "why": rule.why, "arguments": arguments, "stub": rule.label or ""}
    slots = {str(pin.index): pin.slot for pin in rule.pins if pin.slot}
    return known | {"half": rule.origin >> 32} | ({"slots": slots} if slots else {})


def _values(pin: Pin, guest: tuple[int, int]) -> list[tuple[int, int]]:
    """What a pin lets through, as inclusive ranges."""
    if pin.guest or pin.range is not None:
        low, high = guest if pin.range is None else pin.range
        return [(low, high - 1)]
    if pin.max is not None:
        return [(0, pin.max)]
    if pin.slot:
        return [(0, 0xFFFFFFFF if pin.slot[0] == "sector" else (1 << 64) - 1)]
    return sorted((value, value) for value in pin.values)
