"""Options that commands share, and the types of what they take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from limpet.cli import say

if TYPE_CHECKING:
    from limpet.cli.job import Packing
    from limpet.formats.destinations import Destination
    from limpet.formats.ports import Port
    from limpet.planning.options import Options
    from limpet.running.devices import Block, Network, Volume

Command = Callable[..., Any]
T = TypeVar("T")

FILE = click.Path(path_type=Path)


class Parsed(click.ParamType[T], Generic[T]):
    """A value that a function makes of the text; its ``ValueError`` says what is wrong."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Parse ``value`` if it is text still: defaults are not."""
        if not isinstance(value, str):
            parsed: T = value
            return parsed
        try:
            return self._parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx=ctx, param=param) from None


def _size(text: str) -> int:
    from limpet.tools import units

    return units.size(text)


def _milliseconds(text: str) -> int:
    from limpet.tools import units

    return units.milliseconds(text)


def _user(text: str) -> tuple[int, int]:
    uid, colon, gid = text.partition(":")
    if not uid.isdecimal() or not (gid.isdecimal() or not colon):
        raise ValueError(f"{text!r} is not UID or UID:GID, two numbers")
    return int(uid), int(gid) if colon else int(uid)


def _block(text: str) -> Block:
    from limpet.running import devices

    return devices.block(text)


def _network(text: str) -> Network:
    from limpet.running import devices

    return devices.network(text)


def _port(text: str) -> Port:
    from limpet.formats import ports

    return ports.port(text)


def _destination(text: str) -> Destination | str:
    from limpet.formats import bounds, destinations, ports

    if bounds.is_chosen(text):
        return str(ports.endpoint(text))
    return text if text == destinations.ANY else destinations.destination(text)


def _volume(text: str) -> Volume:
    from limpet.running import devices

    return devices.volume(text)


def _mount(text: str) -> str:
    from limpet.running import devices

    return f"volume:{devices.mount_only(text)}"


def _named(kind: str) -> Parsed[str]:
    def parse(text: str) -> str:
        from limpet.running import devices

        return f"{kind}:{devices.name_only(kind, text)}"

    return Parsed("name", parse)


SIZE = Parsed("size", _size)
TIME = Parsed("time", _milliseconds)

_SAYING = tuple(
    click.option(*names, is_flag=True, expose_value=False, callback=say.choose, help=text)
    for *names, text in (
        ("-q", "--quiet", "Say nothing but errors."),
        ("-v", "--verbose", "Say what is being done."),
    )
)
"""Before the command or behind it."""

_GUEST = (
    click.option("--root", type=FILE, help="Pack this folder as /."),
    click.option("--file", "files", multiple=True, metavar="HOST:GUEST", help="Pack one file."),
    click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        help="Pack files or folders of this host where they are: what a program loads by itself.",
    ),
    click.option(
        "--keep-times",
        is_flag=True,
        help="Packed files keep their times; else all are of 1980, and copies make equal bundles.",
    ),
    click.option(
        "--backend",
        type=click.Choice(["auto", "kvm", "process", "both"]),
        default="auto",
        show_default=True,
        help="Virtual machine or jailed process; auto takes kvm where it works.",
    ),
    click.option(
        "--memory",
        type=SIZE,
        default=0,
        help="All the memory that the guest can get (128M; of a unikernel 512M in all).",
    ),
    click.option("--timeout", type=TIME, default=0, help="End it after that time."),
    click.option("--max-output", type=SIZE, default=0, help="End it when it has written more."),
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Give the guest a variable; without a value, the one of the moment. It has no other.",
    ),
    click.option(
        "--cpu",
        type=click.Choice(["v2", "v3"]),
        default="v2",
        show_default=True,
        help="x86-64 level that a kvm guest sees.",
    ),
    click.option("--no-rewrite", is_flag=True, help="Trap every system call; for comparison."),
    click.option(
        "--tty/--no-tty",
        "tty",
        default=None,
        help="The program may set the modes of the terminal; run: where there is one.",
    ),
    click.option("--jit", is_flag=True, help="The program may run code that it makes."),
    click.option(
        "--connect",
        multiple=True,
        type=Parsed("destination", _destination),
        metavar="[NAME=]WHERE:PORTS",
        help="Where it may connect: a name, *.name, an address, a network or any; nowhere else. "
        "With NAME= the start of a bundle chooses one address and port of these.",
    ),
    click.option(
        "--log",
        default="",
        metavar="FILE",
        help="Where to add a line for each refused name or connection (standard error).",
    ),
    click.option(
        "--sockets",
        type=int,
        default=0,
        metavar="N",
        help="Connections that it has at once (1024).",
    ),
    click.option(
        "--feature",
        "features",
        multiple=True,
        metavar="NAME[=NUMBER]",
        help="Give the monitor a feature that only comes when it is asked for.",
    ),
    click.option(
        "--serve",
        multiple=True,
        metavar="NAME",
        help="Serve a system call though nothing was found to lead to it; all: every one.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Start with every protection or not at all; those that cost time as well.",
    ),
    click.option(
        "--user",
        type=Parsed("user", _user),
        default=(65534, 65534),
        metavar="UID[:GID]",
        help="Whom a monitor becomes that root starts (65534:65534).",
    ),
)

_PUBLISHED = click.option(
    "-p",
    "--publish",
    multiple=True,
    type=Parsed("port", _port),
    metavar="[NAME=][ADDR:]HOST:GUEST",
    help="Lead a port of this host to the guest, from 127.0.0.1 unless ADDR says otherwise; "
    "with NAME= the start of a bundle chooses ADDR and HOST of a network and a range; "
    "fd:N:GUEST: a socket that the starter gives (LISTEN_FDS).",
)

_DECLARED = (
    _PUBLISHED,
    click.option(
        "--block",
        multiple=True,
        metavar="NAME",
        type=_named("block"),
        help="The program has a block device.",
    ),
    click.option(
        "--net",
        multiple=True,
        metavar="NAME",
        type=_named("net"),
        help="The program has a network.",
    ),
    click.option(
        "--volume",
        multiple=True,
        metavar="GUEST[:ro]",
        type=Parsed("path", _mount),
        help="The program has a folder of the host's there.",
    ),
)

_ATTACHED = (
    click.option(
        "--block",
        multiple=True,
        type=Parsed("block", _block),
        metavar="NAME=PATH[:ro][,sector=N]",
        help="Attach a block device.",
    ),
    click.option(
        "--net",
        multiple=True,
        type=Parsed("net", _network),
        metavar="NAME=tap:IFACE|user[,mac=A][,mtu=N]",
        help="Attach a network: a TAP interface, or the host's sockets through passt.",
    ),
    click.option(
        "--volume",
        multiple=True,
        type=Parsed("volume", _volume),
        metavar="HOST:GUEST[:ro]",
        help="The guest has a folder of the host's, and nothing above it.",
    ),
    _PUBLISHED,
    click.option(
        "--no-given",
        is_flag=True,
        help="Do not give the guest the files that its words name, as they are now.",
    ),
)


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def saying(command: Command) -> Command:
    """``--quiet`` and ``--verbose``."""
    return _with(command, _SAYING)


def about_guest(command: Command) -> Command:
    """What is decided about a guest when its bundle is made."""
    return saying(_with(command, _GUEST))


def declared(command: Command) -> Command:
    """The devices of a bundle that is not started now, by name."""
    return _with(command, _DECLARED)


def attached(command: Command) -> Command:
    """Devices and what they are attached to, and whether files that are named are given."""
    return _with(command, _ATTACHED)


def chosen(
    given: dict[str, Any], devices: tuple[str, ...] = (), publish: tuple[str, ...] = ()
) -> Options:
    """``Options`` as given; ``backends`` stays empty for ``--backend auto``."""
    from limpet.planning.options import Options

    return Options(
        backends=backends(given["backend"]),
        memory=given["memory"],
        timeout=given["timeout"],
        max_output=given["max_output"],
        cpu=given["cpu"],
        rewrite=not given["no_rewrite"],
        environment=tuple(given["environment"]),
        devices=devices,
        features=asked_features(given["features"], given["tty"], given["jit"]),
        publish=publish,
        connect=tuple(map(str, given["connect"])),
        sockets=given["sockets"],
        log=given["log"],
        serve=tuple(given["serve"]),
        strict=given["strict"],
        uid=given["user"][0],
        gid=given["user"][1],
    )


def asked_features(given: Iterable[str], tty: bool | None, jit: bool | None) -> tuple[str, ...]:
    """What ``--feature`` says, with those that ``--tty`` and ``--jit`` are short for."""
    short = {"terminal": tty, "jit": jit}
    return tuple(dict.fromkeys([*given, *(name for name, wanted in short.items() if wanted)]))


def backends(choice: str) -> tuple[Any, ...]:
    """What ``--backend`` says."""
    return {"auto": (), "both": ("kvm", "process")}.get(choice, (choice,))


def packing(given: dict[str, Any]) -> Packing:
    """What ``--root``, ``--file``, ``--include`` and ``--keep-times`` say.

    Raises:
        TreeError: a ``--file`` is not written as it should be, or is given twice.
    """
    from limpet.cli.job import Packing

    return Packing(
        given["root"], packed_files(given["files"]), given["keep_times"], tuple(given["include"])
    )


def packed_files(given: tuple[str, ...]) -> dict[str, Path]:
    """What ``--file`` says: files of the host by their path in the guest.

    Raises:
        TreeError: one is not written as it should be, or is given twice.
    """
    from limpet.errors import TreeError

    files: dict[str, Path] = {}
    for each in given:
        host, colon, guest = each.rpartition(":")
        if not colon or not host or not guest:
            raise TreeError(f"--file {each}: not HOST:GUEST", hint="--file data.csv:/data/data.csv")
        if guest in files:
            raise TreeError(f"--file {each}: {guest} is given twice", hint="leave one out")
        files[guest] = Path(host)
    return files
