"""``explain``: a plan in words — what is in, what is out, and the reason for each.

The order is fixed, so that two explanations can be compared line by line.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from limpet.contract import BESIDE, whose
from limpet.contract.slots import HELD
from limpet.formats.image import Access
from limpet.loading.files import TIME
from limpet.loading.verdict import Asked
from limpet.plain import quoted
from limpet.planning.plan import Plan


def _rights(access: Access) -> str:
    return "".join(
        letter if each in access else "-"
        for letter, each in (("r", Access.READ), ("w", Access.WRITE), ("x", Access.EXECUTE))
    )


def as_data(plan: Plan) -> dict[str, Any]:
    """The explanation as plain data, for ``--json``."""
    scan, rewriting = plan.scan, plan.rewriting
    reached = plan.reached or scan
    return {
        "verdict": None if plan.verdict is None else [_asked(each) for each in plan.verdict],
        "guest": {
            "name": plan.image.name,
            "sha256": plan.image.digest,
            "kind": plan.image.kind,
            "entry": plan.image.entry,
        },
        "plan": plan.digest(),
        "backends": list(plan.options.backends),
        "limits": {
            "memory": plan.options.memory,
            "timeout_ms": plan.options.timeout,
            "max_output": plan.options.max_output,
        },
        "sites": {
            "found": len(scan.sites),
            "hidden": scan.hidden,
            "rewritten": len(scan.sites) - len(rewriting.kept) - len(rewriting.direct),
            "direct": len(rewriting.direct),
            "trapped": [{"address": s.address, "why": why} for s, why in rewriting.kept],
            "unreached": len(scan.sites) - len(reached.sites),
            "unresolved": [{"address": s.address, "why": s.evidence} for s in reached.unresolved],
        },
        "decisions": [
            {"subject": d.subject, "name": d.name, "included": d.included, "why": d.why}
            for d in plan.decisions
        ],
        "notes": {call.name: call.note for call in plan.calls if call.note},
        "filters": {
            backend: [
                {
                    "call": rule.call,
                    "why": rule.why,
                    "arguments": [_pin(pin) for pin in rule.pins],
                    "from": rule.label or _ANYWHERE.get(backend, "anywhere in the monitor"),
                }
                for rule in each.rules
            ]
            for backend, each in sorted(plan.filters.items())
        },
        "regions": [
            {
                "name": region.name,
                "address": region.address,
                "size": region.size,
                "access": _rights(region.access),
                "why": region.why,
            }
            for region in plan.regions
        ],
        "objects": [
            {"path": each.path, "sha256": each.image.digest} for each in plan.guest.objects
        ],
        "not_placed": dict(plan.guest.left),
        "packed_for": list(plan.guest.why),
        "may_load": [asdict(each) for each in plan.guest.offers],
        "files": [asdict(e) for e in plan.guest.tree.entries],
        "warnings": list(plan.warnings),
    }


_ANYWHERE = {each: f"anywhere in the {each}" for each in BESIDE}


def _asked(each: Asked) -> dict[str, Any]:
    return {
        "certainty": each.certainty.name.lower(),
        "what": each.what,
        "calls": list(each.calls),
        "consequence": each.consequence,
        "evidence": list(each.evidence),
    }


def _pin(pin: Any) -> str:
    name = f"argument {pin.index + 1}"
    if pin.guest:
        return f"{name} in guest memory"
    if pin.range is not None:
        return f"{name} in {pin.range[0]:#x} to {pin.range[1]:#x}"
    if pin.max is not None:
        return f"{name} at most {pin.max}"
    if pin.slot:
        which, handle = pin.slot
        return f"{name} {HELD[which].format(handle)}"
    return f"{name} is {' or '.join(f'{value:#x}' for value in pin.values)}"


def as_text(plan: Plan) -> str:
    """The explanation for people."""
    data = as_data(plan)
    lines = [
        *_verdict_lines(plan),
        f"guest     {plan.image.name} ({plan.image.kind}), sha256 {plan.image.digest}",
        f"plan      {data['plan']}",
        f"backends  {', '.join(plan.options.backends)}",
        f"memory    {plan.options.memory >> 20} MiB",
    ]
    if plan.options.words:
        lines.append(f"started   as {shlex.join(map(quoted, plan.options.words))}")
    said = [each.sentence(plan.image.name) for each in plan.verdict or ()]
    lines += [f"warning   {warning}" for warning in plan.warnings if warning not in said]
    lines += _object_lines(plan)
    lines += ["", "system call sites", *_site_lines(data["sites"])]
    for subject in dict.fromkeys(each.subject for each in plan.decisions):
        for included in (True, False):
            head = f"{subject}s {'in' if included else 'out'}"
            chosen = [d for d in plan.decisions if d.subject == subject and d.included == included]
            if chosen:
                lines += ["", head] + [f"  {d.name:<18} {d.why}" for d in chosen]
    if data["notes"]:
        lines += ["", "limits of what is served"]
        lines += [f"  {name:<18} {note}" for name, note in data["notes"].items()]
    for backend, rules in data["filters"].items():
        lines += ["", f"host system calls left to the {whose(backend)}"]
        for rule in rules:
            pins = "; ".join(rule["arguments"]) or "any arguments"
            lines.append(f"  {rule['call']:<18} {rule['why']} ({pins})")
    lines += ["", "guest memory"]
    lines += [
        f"  {r['address']:#014x} {r['size']:>11} {r['access']} {r['name']:<12} {r['why']}"
        for r in data["regions"]
    ]
    if data["files"]:
        lines += ["", f"packed files: {len(data['files'])} (listed with --json); {_times(data)}"]
        lines += [f"  {why}" for why in data["packed_for"]]
    return "\n".join(lines) + "\n"


def _times(data: dict[str, Any]) -> str:
    """Which times the packed files have."""
    own = [each for each in data["files"] if each["modified"] != TIME]
    if not own:
        return "times: 1 February 1980 for all (--keep-times keeps their own)"
    rest = len(data["files"]) - len(own)
    return (
        f"times: their own of {len(own)}, 1 February 1980 for {rest}"
        if rest
        else "times: their own"
    )


def _verdict_lines(plan: Plan) -> list[str]:
    if plan.verdict is None:
        return []
    lines = []
    for each in plan.verdict:
        lines += [each.sentence(plan.image.name), *(f"  {why}" for why in each.evidence)]
    return [*(lines or [f"{plan.image.name} asks for nothing that is not served"]), ""]


def _object_lines(plan: Plan) -> list[str]:
    """The shared objects, and what looks like one and has no place."""
    objects, left = plan.guest.objects, plan.guest.left
    lines = ["", "shared objects"] if objects else []
    lines += [f"  {quoted(each.path)} ({each.image.digest[:16]})" for each in objects]
    lines += [f"  {quoted(path)} has no place: {why}" for path, why in left]
    if plan.guest.offers:
        lines += ["", "what it names, may load by itself, and does not have"]
        lines += [
            f"  {quoted(each.name)}, in {quoted(each.by)}: --include {shlex.quote(each.path)}"
            for each in plan.guest.offers
        ]
    return lines


def _site_lines(sites: dict[str, Any]) -> list[str]:
    """Sites in a few lines: those of which the same is said share one."""
    if not sites["found"] and not sites["hidden"]:
        return ["  none: the program makes no system calls"]
    lines = [f"  {sites['found']} found, {sites['rewritten']} rewritten to function calls"]
    if sites["direct"]:
        count = f"{sites['direct']} stay as they are"
        lines = [f"  {sites['found']} found, {count}: the filter sees each call"]
        if sites["rewritten"]:
            lines.append(f"  {sites['rewritten']} are replaced by other instructions")
    lines += _grouped(sites["trapped"], "trapped: {}")
    if sites["unreached"]:
        lines.append(f"  {sites['unreached']} are out of reach: nothing was found to lead to them")
    lines += _grouped(sites["unresolved"], "unresolved: {}; the set is widened")
    if sites["hidden"]:
        lines.append(
            f"  {sites['hidden']} more byte pairs 0f 05 are parts of other instructions, or data"
        )
    return lines


def _grouped(sites: list[dict[str, Any]], text: str) -> list[str]:
    """One line for each reason, with the address of a single site or how many there are."""
    addresses: dict[str, list[int]] = {}
    for each in sites:
        addresses.setdefault(each["why"], []).append(each["address"])
    return [
        f"  {where[0]:#x} is {text.format(why)}"
        if len(where) == 1
        else f"  {len(where)} are {text.format(why)}"
        for why, where in addresses.items()
    ]
