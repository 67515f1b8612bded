"""``limpet audit``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limpet.cli.options import FILE, saying
from limpet.errors import BuildError
from limpet.plain import plain

if TYPE_CHECKING:
    from limpet.audit.against import Change
    from limpet.audit.model import Audit

DISAGREES, REFUSED, GREW, NOT_REMADE, ONLY_READ = 3, 4, 5, 1, 6
"""Exit statuses, in falling weight (docs/exit-status.md)."""


@click.command("audit")
@saying
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--html", type=FILE, metavar="FILE", help="Write a page with pictures there too.")
@click.option("--read-only", is_flag=True, help="Do not make it again; never ends with 0.")
@click.option("--against", type=FILE, metavar="OLD", help="Say what grew since that bundle.")
@click.option("--policy", type=FILE, metavar="FILE", help="Refuse what that TOML file does not.")
@click.argument("bundle", type=FILE)
def command(
    bundle: Path,
    as_json: bool,
    html: Path | None,
    read_only: bool,
    against: Path | None,
    policy: Path | None,
) -> None:
    """Say what BUNDLE can do, and make it again to prove it.

    Exit status 0: it is what this Limpet makes of the guest inside, byte for byte, and nothing is
    wrong; 3: something is; 4: the policy does not allow it; 5: it asks more of the host than OLD;
    1: it cannot be made again here; 6: --read-only.
    """
    from limpet.audit.against import changes
    from limpet.audit.inspect import audit_bundle
    from limpet.audit.policy import read_policy
    from limpet.audit.reading import read_own
    from limpet.audit.remade import NOT_TRIED, remake

    rules = read_policy(policy) if policy else None
    read = read_own(bundle)
    found = replace(audit_bundle(read), remade=NOT_TRIED if read_only else remake(read))
    grown = changes(found, audit_bundle(read_own(against))) if against else []
    violations = list(rules.violations(found)) if rules else []
    if html:
        _write_page(html, found)
    if as_json:
        more = {"violations": violations, "changes": [[c.sign, c.what] for c in grown]}
        click.echo(json.dumps(found.as_data() | more, indent=2))
    else:
        _show(found, [f"{c.sign} {c.what}" for c in grown] if against else None, violations)
    sys.exit(_status(found, violations, grown))


def _status(found: Audit, violations: Sequence[str], grown: Sequence[Change]) -> int:
    from limpet.audit.against import grew

    if found.findings or found.remade.outcome == "differs":
        return DISAGREES
    if violations or grew(grown):
        return REFUSED if violations else GREW
    return {"same": 0, "impossible": NOT_REMADE}.get(found.remade.outcome, ONLY_READ)


def _show(found: Audit, grown: Iterable[str] | None, violations: list[str]) -> None:
    from limpet.audit.text import as_text, findings

    if grown is None:
        click.echo(as_text(found), nl=False)
    else:
        for line in [found.remade.headline, *findings(found), *grown]:
            click.echo(plain(line))
    for each in violations:
        click.echo(plain(f"limpet: {found.name}: policy: {each}"), err=True)


def _write_page(path: Path, found: Audit) -> None:
    from limpet.audit.html import as_html

    try:
        path.write_text(as_html(found), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise BuildError(
            f"{path}: cannot be written: {error.strerror}", hint="choose another place for --html"
        ) from error
