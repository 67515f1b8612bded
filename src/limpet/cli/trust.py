"""The commands for those who did not make a bundle: audit, verify and rebuild."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from limpet.cli import chosen_backends, guest_options, note, packed_files, saying_options
from limpet.errors import BuildError

if TYPE_CHECKING:
    from limpet.audit.inspect import Audit
    from limpet.formats.tree.layout import Tree

DISAGREES, REFUSED, GREW = 3, 4, 5
"""Exit statuses, in falling weight (docs/exit-status.md)."""

_FILE = click.Path(path_type=Path)


@click.command()
@saying_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a page with pictures there too.")
@click.option("--against", type=_FILE, metavar="OLD", help="Say what grew since that bundle.")
@click.option("--policy", type=_FILE, metavar="FILE", help="Refuse what that TOML file does not.")
@click.argument("bundle", type=_FILE)
def audit(
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


@click.command()
@saying_options
@click.argument("bundle", type=_FILE)
def verify(bundle: Path) -> None:
    """Make BUNDLE again from the guest inside it and compare byte for byte.

    Exit status 3: it came out otherwise; 1: it was made with another Limpet or toolchain.
    """
    from limpet.audit import verify as verifying

    verdict = verifying.verify(bundle)
    if verdict.same:
        tools = f"Limpet {verdict.limpet}, {verdict.toolchain}"
        click.echo(f"{bundle}: the same, byte for byte, made again with {tools}")
        return
    for each in verdict.differences:
        click.echo(
            f"limpet: {bundle}: {each.part} differs: {each.count} bytes, "
            f"the first at offset {each.offset:#x}",
            err=True,
        )
    sys.exit(DISAGREES)


@click.command()
@guest_options
@click.option("-o", "--output", type=_FILE, required=True, help="Where to put the new bundle.")
@click.argument("bundle", type=_FILE)
def rebuild(bundle: Path, output: Path, **given: Any) -> None:
    """Bundle the guest inside BUNDLE again, with this Limpet.

    Options that are not given stay as they were.
    """
    from limpet.audit import verify as verifying

    context = click.get_current_context()
    chosen = {
        name: value
        for name, value in given.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    made = verifying.rebuild(bundle, _options(chosen), _tree(chosen))
    made.write(output)
    note(f"{output}: {len(made.data)} bytes")


def _options(chosen: dict[str, Any]) -> dict[str, Any]:
    names = ("memory", "timeout", "max_output", "cpu")
    changed = {name: chosen[name] for name in names if name in chosen}
    if "backend" in chosen:
        changed["backends"] = chosen_backends(chosen["backend"])
    if "no_rewrite" in chosen:
        changed["rewrite"] = False
    if "environment" in chosen:
        changed["environment"] = tuple(chosen["environment"])
    return changed


def _tree(chosen: dict[str, Any]) -> Tree | None:
    if not {"root", "files"} & chosen.keys():
        return None
    from limpet.loading.files import pack

    files = packed_files(chosen.get("files", ()))
    return pack(chosen.get("root"), files, keep_times="keep_times" in chosen)


COMMANDS = {"audit": audit, "verify": verify, "rebuild": rebuild}
