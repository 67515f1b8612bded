"""What ``limpet run --gdb`` and ``limpet gdb`` share: a bundle under a debugger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpet.cli import say
from limpet.cli.options import Parsed
from limpet.errors import BundleError, RunError
from limpet.running.debugging.places import DEFAULT, Place, place

if TYPE_CHECKING:
    from limpet.building.bundle import Bundle
    from limpet.formats.bundle.read import BundleFile
    from limpet.guests.inside import Inside
    from limpet.planning.options import Options
    from limpet.running.cores.dump import Known

FEATURE, CORES = "gdb", "dumpcore"
_OPTION = "--gdb"
_RING = 3

PLACE: Parsed[Place] = Parsed("place", place)


class WithGdb(click.Command):
    """A command whose ``--gdb`` may stand without a value, which then is the usual place."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Complete the option, if it is one of this command's own words; others stay as they are.

        Else letters that are this command's would be taken out of a word of Python's (``-Xdev``).
        """
        takes = {
            name: isinstance(each, click.Option) and not each.is_flag and not each.count
            for each in self.get_params(ctx)
            for name in each.opts
        }
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "--":
            if args[at] == _OPTION:
                args = [*args[:at], f"{_OPTION}={DEFAULT}", *args[at + 1 :]]
            elif len(args[at]) > 1 and args[at][:2] not in {"--", *takes, *ctx.help_option_names}:
                args = [*args[:at], "--", *args[at:]]
                break
            at += 2 if takes.get(args[at], False) else 1
        return super().parse_args(ctx, args)


def option(command: Any) -> Any:
    """``--gdb``."""
    return click.option(
        _OPTION,
        "gdb",
        type=PLACE,
        metavar="[=HOST:PORT|PATH|-]",
        default=None,
        help=f"Wait for a debugger before the first instruction ({DEFAULT}).",
    )(command)


def debug(path: Path, argv: Sequence[str], at: Place) -> int:
    """Run the bundle at ``path`` under a debugger; its exit status.

    It is made again first, which says what is in it, and that it is what it says.

    Raises:
        LimpetError: it cannot be.
    """
    from limpet.formats.bundle.read import MAX_BUNDLE, parse
    from limpet.formats.files import read_file
    from limpet.formats.tree.layout import record
    from limpet.formats.tree.paths import Paths
    from limpet.running.cores.dump import auxiliary
    from limpet.running.debugging.about import About, thread_local
    from limpet.running.debugging.files import Files
    from limpet.running.debugging.serve import Debugged, run

    bundle = parse(read_file(path, MAX_BUNDLE), path.name)
    made = _made_again(bundle)
    guest = made.plan.guest
    program, paths = guest.path or f"/bin/{guest.image.name}", Paths(guest.tree)

    def content(name: str) -> bytes | None:
        if name == program:
            return guest.image.data
        index = paths.index(name)
        if index is None:
            return None
        known = record(guest.tree.data, index)
        return bytes(guest.tree.data[known["data"] : known["data"] + known["size"]])

    beside = _inside(made)
    if beside.ring != _RING:
        raise RunError(
            f"{path.name}: its guest runs in ring 0, where a debugger cannot follow it",
            hint="build the unikernel for spt, or with Solo5's own start-up code",
        )
    return run(
        Debugged(
            path.absolute(),
            argv,
            beside,
            About(program, Files(content), auxiliary(bundle), thread_local(guest.image.data)),
            _vectors(made.plan.options, FEATURE),
        ),
        at,
        say.note,
    )


def known() -> Known:
    """What a core file is to know of a bundle."""
    from limpet.audit.verify import options
    from limpet.running.cores.dump import Known

    return Known(
        lambda bundle: _inside(_made_again(bundle)),
        lambda bundle: _vectors(options(bundle), CORES),
    )


def _inside(made: Bundle) -> Inside:
    from limpet.guests.registry import kind_of
    from limpet.tools.cache import Cache

    return kind_of(made.plan.image).inside(made.plan, made.symbols, Cache.default())


def _made_again(bundle: BundleFile) -> Bundle:
    from limpet.audit.verify import made_again
    from limpet.tools.cache import Cache

    made = made_again(bundle, Cache.default())
    if made.data != bundle.data:
        raise BundleError(
            f"{bundle.name}: made again it is another bundle: what is in it cannot be told",
            hint="see what differs: limpet verify; or debug the program itself",
        )
    return made


def _vectors(options: Options, feature: str) -> int:
    """The bytes of vector registers on kvm that may be seen by ``feature`` of the monitor's
    filter."""
    from limpet.arch.x86_64 import machine

    return machine.CPU_LEVELS[options.cpu].vector_state if feature in options.features else 0
