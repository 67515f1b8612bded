"""The record of a bundle that is being made, from its plan and its segments."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

from limpet.contract import CONTRACT_VERSION, Pin, on_kvm
from limpet.formats.bundle import record
from limpet.formats.bundle.packed_guest import runs
from limpet.formats.bundle.record import LOCATE, Range, Record
from limpet.formats.bundle.write import Load
from limpet.planning.plan import Plan
from limpet.planning.seccomp import Filter, Rule


def record_of(plan: Plan, segments: Sequence[Load], toolchain: str, version: str) -> Record:
    """The record of the bundle of ``plan`` with ``segments``."""
    image = plan.image
    places = plan.blobs.filter_addresses(plan.filters)
    memory = plan.guest.memory
    return Record(
        limpet=version,
        toolchain=toolchain,
        contract=CONTRACT_VERSION,
        guest=record.Guest(
            image.name, image.digest, len(image.data), tuple(runs(image)), plan.guest.path
        ),
        options=asdict(plan.options),
        plan=plan.digest(),
        hypercalls=tuple(call.name for call in plan.hypercalls),
        system_calls=tuple(call.name for call in plan.calls),
        parts=tuple(_part(each, plan) for each in segments),
        filters={
            name: _filter(each, places[name], plan.layout.filter_copy(name))
            for name, each in plan.filters.items()
        },
        machine=_machine(plan),
        ports=tuple(call.port for call in on_kvm(plan.hypercalls)) if plan.supervisor else (),
        tree=_tree(plan),
        hot=memory.hot if memory else (),
        loaded=memory.loaded if memory else (),
        sealed=memory.sealed if memory else (),
        idle=memory.idle if memory else (),
        hidden=memory.hidden if memory else (),
    )


def _machine(plan: Plan) -> record.Machine | None:
    pages = plan.supervisor
    return record.Machine(3 if pages.user else 0, pages.execute_only) if pages else None


def _part(each: Load, plan: Plan) -> record.Part:
    if plan.packed and each.address == plan.packed.address:
        tree = plan.guest.tree
        digest = tree.digest_with(each.content[len(tree.data) :])
    else:
        digest = hashlib.sha256(each.content).hexdigest()
    return record.Part(each.name, each.address, each.size, each.flags, digest)


def _tree(plan: Plan) -> record.Tree | None:
    tree = plan.guest.tree
    if plan.packed is None:
        return None
    files = "".join(each.sha256[:LOCATE] for each in tree.entries)
    return record.Tree(plan.packed.address, len(tree.data), tree.digest, files)


def _filter(each: Filter, address: int, copy: int) -> record.Filter:
    slots = each.slots
    template = record.Template(address, copy, slots) if slots else None
    return record.Filter(each.default, tuple(_rule(rule, each) for rule in each.rules), template)


def _rule(rule: Rule, each: Filter) -> record.Rule:
    return record.Rule(
        call=rule.call,
        why=rule.why,
        stub=rule.label or "",
        half=rule.origin >> 32,
        arguments={pin.index: _values(pin, each.guest) for pin in rule.pins},
        slots={pin.index: pin.slot for pin in rule.pins if pin.slot},
    )


def _values(pin: Pin, guest: tuple[int, int]) -> tuple[Range, ...]:
    """What a pin lets through."""
    if pin.guest or pin.range is not None:
        low, high = guest if pin.range is None else pin.range
        return ((low, high - 1),)
    if pin.max is not None:
        return ((0, pin.max),)
    if pin.slot:
        return ((0, 0xFFFFFFFF if pin.slot[0] == "sector" else (1 << 64) - 1),)
    return tuple(sorted((value, value) for value in pin.values))
