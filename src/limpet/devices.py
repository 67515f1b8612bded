"""Devices as the command line names them, in the words that a bundle takes when it starts."""

from __future__ import annotations

from collections.abc import Sequence

from limpet.errors import PlanError

_BLOCK = "--block {}: not NAME=PATH or NAME=PATH:ro"
_NET = "--net {}: not NAME=tap:INTERFACE, NAME=fd:N or NAME=user"


def bundle_words(block: Sequence[str], net: Sequence[str], ports: Sequence[str]) -> list[str]:
    """The bundle's options for ``--block``, ``--net`` and ``-p``; starts what they need.

    Raises:
        PlanError: one is not written as it should be.
        HostError: the host cannot give it.
    """
    words = [_block(each) for each in block]
    users = 0
    for each in net:
        name, equals, what = each.partition("=")
        kind, _, rest = what.partition(":")
        if not equals or not name:
            raise PlanError(_NET.format(each), hint="for example --net service=tap:tap0")
        if what == "user":
            from limpet.usernet import start

            users += 1
            words.append(f"--net:{name}=@{start(ports)}")
        elif kind == "tap" and rest:
            words.append(f"--net:{name}={rest}")
        elif kind == "fd" and rest.isdigit():
            words.append(f"--net:{name}=@{rest}")
        else:
            raise PlanError(_NET.format(each), hint="for example --net service=tap:tap0")
    if ports and users != 1:
        raise PlanError("-p needs one --net NAME=user", hint="a TAP interface has its own ports")
    return words


def declared(block: Sequence[str], net: Sequence[str]) -> list[str]:
    """``Options.devices`` for ``--block`` and ``--net``, whose values here may be names alone."""
    words = [("block", each) for each in block] + [("net", each) for each in net]
    return [f"{kind}:{word.partition('=')[0]}" for kind, word in words]


def names_only(block: Sequence[str], net: Sequence[str]) -> None:
    """``--block`` and ``--net`` of a bundle that is not started now.

    Raises:
        PlanError: a value says what to attach.
    """
    for kind, word in [("block", each) for each in block] + [("net", each) for each in net]:
        name, equals, what = word.partition("=")
        if equals:
            raise PlanError(
                f"--{kind} {word}: only a name; what it is attached to is said at each start",
                hint=f"--{kind} {name}, and then: ./BUNDLE --{kind}:{name}={what or 'PATH'}",
            )


def _block(given: str) -> str:
    name, equals, path = given.partition("=")
    if not equals or not name or not path:
        raise PlanError(_BLOCK.format(given), hint="for example --block storage=disk.img")
    if path.endswith(":ro"):
        return f"--block-readonly:{name}={path.removesuffix(':ro')}"
    return f"--block:{name}={path}"
