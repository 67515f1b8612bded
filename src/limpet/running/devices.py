"""Devices as the command line names them, in the words that a bundle takes when it starts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from limpet.errors import PlanError
from limpet.formats.manifest import check_mount
from limpet.formats.ports import Port
from limpet.plain import quoted

_BLOCK = "--block {}: not NAME=PATH[:ro][,sector=SIZE]"
_NET = "--net {}: not NAME=tap:INTERFACE, NAME=fd:N or NAME=user, with ,mac=ADDRESS or ,mtu=SIZE"
_SETTING = re.compile(r"(.*),(mac|mtu|sector)=([^,]*)")

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Block:
    """A block device and the file or device behind it; ``settings`` may hold its sector size."""

    name: str
    path: str
    read_only: bool = False
    settings: Settings = ()

    kind = "block"

    def words(self) -> Iterator[str]:
        """The options of a bundle that attach it."""
        for _, value in self.settings:
            yield f"--block-sector-size:{self.name}={value}"
        option = "--block-readonly" if self.read_only else "--block"
        yield f"{option}:{self.name}={self.path}"


@dataclass(frozen=True)
class Network:
    """A network and what it is attached to.

    ``way`` is ``tap``, ``fd`` or ``user``, ``end`` the interface or descriptor of the former two;
    ``settings`` are its address and MTU, in the order in which they were given.
    """

    name: str
    way: str
    end: str = ""
    settings: Settings = ()

    kind = "net"

    def words(self, end: str) -> Iterator[str]:
        """The options of a bundle that attach it to the interface ``end``, or descriptor ``@N``."""
        for setting, value in self.settings:
            yield f"--net-{setting}:{self.name}={value}"
        yield f"--net:{self.name}={end}"


@dataclass(frozen=True)
class Volume:
    """A folder of the host's and where it is in the guest."""

    path: str
    name: str
    read_only: bool = False

    kind = "volume"

    def words(self) -> Iterator[str]:
        """The option of a bundle that attaches it."""
        yield f"--volume:{self.name}={self.path}"

    def out_of_reach(self, uid: int, gid: int) -> str | None:
        """What whoever a monitor of root's becomes cannot do there, and what helps, or ``None``.

        By the folder's mode alone: where it has an access control list, nothing is said.
        """
        with suppress(OSError):
            if "system.posix_acl_access" in os.listxattr(self.path):
                return None
            status = os.stat(self.path)
            class_ = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
            wanted = 5 if self.read_only else 7
            missing = wanted & ~(status.st_mode >> class_)
            if missing:
                what, change = (
                    ("read", "chmod o+rx") if missing & 5 else ("written", f"chown {uid}")
                )
                owner = f"--user {status.st_uid}:{status.st_gid}"
                if wanted & ~(status.st_mode >> 6):  # who is kept out, too
                    owner = f"chmod u+{'rx' if self.read_only else 'rwx'} {self.path}"
                root = not status.st_uid or not status.st_gid  # whom no guest is
                return (
                    f"{self.path} cannot be {what} by user {uid}, who a guest is that root starts: "
                    f"{f'{change} {self.path}' if root else owner}"
                )
        return None


def volume(given: str) -> Volume:
    """``--volume HOST:GUEST[:ro]``.

    Raises:
        PlanError: it is not written as it should be, or there is no such folder.
    """
    host, colon, guest = given.removesuffix(":ro").rpartition(":")
    if not colon or not host or not guest:
        raise PlanError(
            f"--volume {given}: not HOST:GUEST[:ro]", hint="for example --volume ./data:/data:ro"
        )
    if ":/" in host:
        _check_end(given, guest)
    check_mount(guest, "", [])
    if os.path.exists(host) and not os.path.isdir(host):
        hint = f"give the folder that it is in, or pack it: --file {host}:{guest}"
        raise PlanError(f"--volume {given}: {host} is not a folder", hint=hint)
    if not os.path.isdir(host):
        hint = f"make it: mkdir -p {host}"
        raise PlanError(f"--volume {given}: {host} is no such folder", hint=hint)
    return Volume(host, guest, given.endswith(":ro"))


def _check_end(given: str, last: str) -> None:
    """Nothing, or an error where what stands behind a path is no path."""
    if not last.startswith("/"):
        raise PlanError(
            f"--volume {given}: only ro can stand behind the path, and not {quoted(last)}",
            hint="leave it out, for a folder that can be written, too",
        )


def mount_only(given: str) -> str:
    """``--volume GUEST[:ro]`` of a bundle that is not started now.

    Raises:
        PlanError: it also says which folder of the host's.
    """
    guest = given.removesuffix(":ro")
    if ":" in guest:
        host, _, guest = guest.rpartition(":")
        _check_end(given, guest)
        raise PlanError(
            f"--volume {given}: only its path in the guest; which folder it is is said at each "
            "start",
            hint=f"--volume {given[len(host) + 1 :]}, and then: ./BUNDLE --volume:{guest}={host}",
        )
    check_mount(guest, "", [])
    return given


def block(given: str) -> Block:
    """``--block NAME=PATH[:ro][,sector=SIZE]``.

    Raises:
        PlanError: it is not written as it should be.
    """
    name, path, settings = _split(given, _BLOCK, ("sector",), "--block storage=disk.img")
    return Block(name, path.removesuffix(":ro"), path.endswith(":ro"), settings)


def network(given: str) -> Network:
    """``--net NAME=tap:INTERFACE``, ``NAME=fd:N`` or ``NAME=user``, with settings.

    Raises:
        PlanError: it is not written as it should be.
    """
    name, what, settings = _split(given, _NET, ("mac", "mtu"), "--net service=tap:tap0")
    way, _, end = what.partition(":")
    good = {
        "user": what == "user",
        "tap": bool(end) and "," not in end,
        "fd": end.isascii() and end.isdigit(),
    }
    if not good.get(way):
        raise PlanError(_NET.format(given), hint="for example --net service=tap:tap0")
    return Network(name, way, end, settings)


def name_only(kind: str, given: str) -> str:
    """``--block NAME`` or ``--net NAME`` of a bundle that is not started now.

    Raises:
        PlanError: it also says what to attach.
    """
    name, equals, what = given.partition("=")
    if equals:
        raise PlanError(
            f"--{kind} {given}: only a name; what it is attached to is said at each start",
            hint=f"--{kind} {name}, and then: ./BUNDLE --{kind}:{name}={what or 'PATH'}",
        )
    return name


_WAYS = {"block": "--block {}=PATH", "net": "--net {}=tap:INTERFACE"}


def check_attached(
    program: str, wanted: Sequence[str], attached: Sequence[Block | Network | Volume]
) -> None:
    """Nothing, or an error when ``attached`` are not the devices that a unikernel brings.

    Args:
        wanted: ``block:NAME`` and ``net:NAME``, as its manifest has them.

    Raises:
        PlanError: one is missing, or one is not there; says how ``limpet run`` spells each.
    """
    given = [f"{each.kind}:{each.name}" for each in attached]
    ways = [_WAYS[kind].format(name) for kind, _, name in (each.partition(":") for each in wanted)]
    hint = f"limpet run {' '.join(ways)}" if ways else "leave it out: its manifest has no device"
    for each in given:
        if each not in wanted:
            kind, _, name = each.partition(":")
            raise PlanError(f"{program} has no {kind} device {name!r} in its manifest", hint=hint)
    for each in wanted:
        if each not in given:
            raise PlanError(f"{program}: its device {each} is not attached", hint=hint)


def check_ports(networks: Sequence[Network], ports: Sequence[Port]) -> None:
    """Nothing, or an error when there is no one network whose ports they could be.

    Raises:
        PlanError: there is none, or more than one.
    """
    users = [each for each in networks if each.way == "user"]
    if ports and len(users) != 1:
        raise PlanError("-p needs one --net NAME=user", hint="a TAP interface has its own ports")
    for each in ports:
        if each.inherited:
            raise PlanError(
                f"-p {each}: a network of kind user opens its ports itself",
                hint="give [ADDRESS:]HOST:GUEST",
            )
        if ":" in each.address:
            raise PlanError(
                f"-p {each}: a network of kind user has IPv4 alone", hint="give an IPv4 address"
            )


def words(
    blocks: Sequence[Block],
    networks: Sequence[Network],
    ports: Sequence[Port],
    volumes: Sequence[Volume] = (),
) -> list[str]:
    """The bundle's options for these devices; starts what they need.

    Raises:
        PlanError: there is no one network whose ports they could be.
        HostError: the host cannot give one.
    """
    check_ports(networks, ports)
    found = [word for each in blocks for word in each.words()]
    found += [word for each in volumes for word in each.words()]
    for each in networks:
        found += each.words(_end(each, ports))
    return found


def _end(network: Network, ports: Sequence[Port]) -> str:
    if network.way == "tap":
        return network.end
    if network.way == "fd":
        return f"@{network.end}"
    from limpet.running.usernet import start

    return f"@{start(ports)}"


def _split(
    given: str, message: str, known: Sequence[str], example: str
) -> tuple[str, str, Settings]:
    """``NAME=WHAT,SETTING=VALUE``: name, what, and its settings in their order."""
    name, equals, what = given.partition("=")
    settings: list[tuple[str, str]] = []
    while (match := _SETTING.fullmatch(what)) and match[2] in known:
        what = match[1]
        settings.insert(0, (match[2], match[3]))
    if not equals or not name or not what:
        raise PlanError(message.format(given), hint=f"for example {example}")
    return name, what, tuple(settings)
