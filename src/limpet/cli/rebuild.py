"""``limpet rebuild``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from limpet.cli import say
from limpet.cli.job import on_this_host
from limpet.cli.options import FILE, about_guest, asked_features, backends, packed_files
from limpet.errors import PlanError
from limpet.tools.units import kilobytes

if TYPE_CHECKING:
    from limpet.formats.tree.layout import Tree


@click.command("rebuild")
@about_guest
@click.option("-o", "--output", type=FILE, required=True, help="Where to put the new bundle.")
@click.argument("bundle", type=FILE)
def command(bundle: Path, output: Path, **given: Any) -> None:
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
    say.warn(made.plan.warnings)
    say.note(f"{output}: {kilobytes(len(made.data))}")


def _options(chosen: dict[str, Any]) -> dict[str, Any]:
    names = ("memory", "timeout", "max_output", "cpu")
    changed = {name: chosen[name] for name in names if name in chosen}
    if "backend" in chosen:
        changed["backends"] = backends(chosen["backend"]) or on_this_host()[0]
    if "no_rewrite" in chosen:
        changed["rewrite"] = False
    if "environment" in chosen:
        changed["environment"] = tuple(chosen["environment"])
    if "serve" in chosen:
        changed["serve"] = tuple(chosen["serve"])
    if "strict" in chosen:
        changed["strict"] = True
    if "user" in chosen:
        changed["uid"], changed["gid"] = chosen["user"]
    if {"features", "tty", "jit"} & chosen.keys():
        given = chosen.get("features", ()), chosen.get("tty"), chosen.get("jit")
        changed["features"] = asked_features(*given)
    return changed


def _tree(chosen: dict[str, Any]) -> Tree | None:
    if "include" in chosen:
        raise PlanError(
            "limpet rebuild takes no --include: a bundle does not say where its files came from",
            hint="build it from the program: limpet build --include GLOB PROGRAM",
        )
    if not {"root", "files"} & chosen.keys():
        return None
    from limpet.loading.files import pack

    files = packed_files(chosen.get("files", ()))
    return pack(chosen.get("root"), files, keep_times="keep_times" in chosen)
