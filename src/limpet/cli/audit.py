"""``limpet audit``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limpet.cli.options import FILE, saying
from limpet.errors import BuildError

if TYPE_CHECKING:
    from limpet.audit.inspect import Audit

DISAGREES, REFUSED, GREW = 3, 4, 5
"""Exit statuses, in falling weight (docs/exit-status.md)."""


@click.command("audit")
@saying
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--html", type=FILE, metavar="FILE", help="Write a page with pictures there too.")
@click.option("--against", type=FILE, metavar="OLD", help="Say what grew since that bundle.")
@click.option("--policy", type=FILE, metavar="FILE", help="Refuse what that TOML file does not.")
@click.argument("bundle", type=FILE)
def command(
    bundle: Path, as_json: bool, html: Path | None, against: Path | None, policy: Path | None
) -> None:
    """Say what BUNDLE can do, from its bytes, and whether its record is true.

    Exit status 3: it is not; 4: the policy does not allow it; 5: it asks more of the host than OLD.
    """
    from limpet.audit.against import changes, grew
    from limpet.audit.inspect import audit as look
    from limpet.audit.policy import read_policy

    rules = read_policy(policy) if policy else None
    found = look(bundle)
    grown = changes(found, look(against)) if against else []
    violations = list(rules.violations(found)) if rules else []
    if html:
        _write_page(html, found)
    if as_json:
        more = {"violations": violations, "changes": [[c.sign, c.what] for c in grown]}
        click.echo(json.dumps(found.as_data() | more, indent=2))
    else:
        _show(found, [f"{c.sign} {c.what}" for c in grown] if against else None, violations)
    sys.exit(DISAGREES if found.findings else REFUSED if violations else GREW if grew(grown) else 0)


def _show(found: Audit, grown: Iterable[str] | None, violations: list[str]) -> None:
    from limpet.audit.text import as_text, findings

    if grown is None:
        click.echo(as_text(found), nl=False)
    else:
        for line in [*findings(found), *grown]:
            click.echo(line)
    for each in violations:
        click.echo(f"limpet: {found.name}: policy: {each}", err=True)


def _write_page(path: Path, found: Audit) -> None:
    from limpet.audit.html import as_html

    try:
        path.write_text(as_html(found), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise BuildError(
            f"{path}: cannot be written: {error.strerror}", hint="choose another place for --html"
        ) from error
