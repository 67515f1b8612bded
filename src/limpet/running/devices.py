"""Devices as the command line names them, in the words that a bundle takes when it starts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from limpet.errors import PlanError

_BLOCK = "--block {}: not NAME=PATH[:ro][,sector=SIZE]"
_NET = "--net {}: not NAME=tap:INTERFACE, NAME=fd:N or NAME=user, with ,mac=ADDRESS or ,mtu=SIZE"
_SETTING = re.compile(r"(.*),(mac|mtu|sector)=([^,]*)")


def bundle_words(block: Sequence[str], net: Sequence[str], ports: Sequence[str]) -> list[str]:
    """The bundle's options for ``--block``, ``--net`` and ``-p``; starts what they need.

    Raises:
        PlanError: one is not written as it should be.
        HostError: the host cannot give it.
    """
    words = [word for each in block for word in _block(each)]
    users = 0
    for each in net:
        name, what, settings = _split(each, _NET, ("mac", "mtu"), "--net service=tap:tap0")
        kind, _, rest = what.partition(":")
        words += [f"--net-{setting}:{name}={value}" for setting, value in settings]
        if what == "user":
            from limpet.running.usernet import start

            users += 1
            words.append(f"--net:{name}=@{start(ports)}")
        elif kind == "tap" and rest and "," not in rest:
            words.append(f"--net:{name}={rest}")
        elif kind == "fd" and rest.isdigit():
            words.append(f"--net:{name}=@{rest}")
        else:
            raise PlanError(_NET.format(each), hint="for example --net service=tap:tap0")
    if ports and users != 1:
        raise PlanError("-p needs one --net NAME=user", hint="a TAP interface has its own ports")
    return words


def _split(
    given: str, message: str, known: Sequence[str], example: str
) -> tuple[str, str, list[tuple[str, str]]]:
    """``NAME=WHAT,SETTING=VALUE``: name, what, and its settings in their order."""
    name, equals, what = given.partition("=")
    settings: list[tuple[str, str]] = []
    while (match := _SETTING.fullmatch(what)) and match[2] in known:
        what = match[1]
        settings.insert(0, (match[2], match[3]))
    if not equals or not name or not what:
        raise PlanError(message.format(given), hint=f"for example {example}")
    return name, what, settings


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


def _block(given: str) -> list[str]:
    name, path, settings = _split(given, _BLOCK, ("sector",), "--block storage=disk.img")
    words = [f"--block-sector-size:{name}={value}" for _, value in settings]
    if path.endswith(":ro"):
        return [*words, f"--block-readonly:{name}={path.removesuffix(':ro')}"]
    return [*words, f"--block:{name}={path}"]
