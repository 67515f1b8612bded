"""Each filter lets through what a list written by hand says, and nothing else.

``test_filter_proof.py`` holds a program against the rules of its plan, which come from the same
declarations; here a rule that is too wide in a declaration is seen as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from limpet.formats.image import Access
from limpet.planning.broker import broker_filter
from tests.support import bpf, filter_rules, may_pass, may_pass_datagrams, may_pass_volumes
from tests.support.filter_rules import Policy
from tests.support.may_pass import Call
from tests.support.proved import LINUX, SOLO5, Proved

LARGE = ("63 devices",)


def _cases(names: Iterable[str]) -> list[Any]:
    """Large filters take seconds each."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow) if name in LARGE else name for name in names]


def check(found: Proved, calls: Iterable[Call], default: int, **place: Any) -> None:
    """Prove the program against the list; its stubs are those that the list names."""
    listed = list(calls)
    stubs = {each.stub for each in listed if each.stub}
    assert stubs == found.labels.keys()
    policy = Policy(
        tuple(each.allowed(found.labels, **place) for each in listed),
        tuple((found.labels[stub],) * 2 for stub in stubs),
        default,
    )
    filter_rules.prove(found.program, policy)


def _arena(found: Proved) -> tuple[int, int]:
    """From the start of a program's memory to the end of its stack."""
    places = {each.name: each for each in found.plan.regions}
    return places["arena"].address, places["stack"].end


def _program(found: Proved) -> list[tuple[int, int, bool]]:
    """The program's segments, in whole pages, and whether it can write each."""
    return [
        (each.address, each.end, Access.WRITE in each.access)
        for each in found.plan.regions
        if each.name.startswith("image")
    ]


SOCKETS = ("published", "endpoints", "names", "sockets", "datagrams", "log", "chosen")


def _ways(found: Proved, *, kvm: bool) -> Iterable[Call]:
    """The list for what leads out: the table of endpoints lies in the monitor's constants."""
    options = found.plan.options
    if "broker" in found.plan.filters:
        yield from may_pass.broker(0, 1024, kvm=kvm)
        yield from may_pass.sockets(0, {}, 1024, kvm=kvm, broker=True)
        return
    carriers = sum(each.endswith("udp") for each in options.publish)
    ports, slots, asks = len(options.publish) - carriers, options.sockets or 1024, False
    ends = _ends(found)
    if carriers or options.log:
        yield from may_pass.broker(ports + carriers, slots, kvm=kvm)
        ends, asks = {} if carriers else ends, True
    yield from may_pass.sockets(ports, ends, slots, kvm=kvm, broker=asks, carriers=carriers)


def _ends(found: Proved) -> dict[int, list[int]]:
    """Where the addresses of endpoints are, by their length: in the monitor's constants, and, of
    what a start chooses, behind the ports in the table that it closes."""
    options = found.plan.options
    at = 0x20_0000_0000 + 96 * len(options.publish)
    table = next((each.address for each in found.plan.regions if each.name == "devices"), 0)
    table += 112 + 150 * sum("=" in each for each in options.publish)
    ends: dict[int, list[int]] = {}
    for index, each in enumerate(each for each in options.connect if "=" not in each):
        ends.setdefault(28 if each.startswith("[") else 16, []).append(at + 32 * index)
    for index, each in enumerate(each for each in options.connect if "=" in each):
        ends.setdefault(28 if "=[" in each else 16, []).append(table + 150 * index)
    return ends


def folders_of(name: str) -> tuple[list[int], list[int]]:
    """Which devices of a case are volumes, and which of them can be written."""
    words = LINUX[name].get("devices", ())
    assert isinstance(words, tuple)
    folders = [at for at, word in enumerate(words, 1) if word.startswith("volume:")]
    return folders, [each for each in folders if not words[each - 1].endswith(":ro")]


def of_linux(found: Proved, name: str, backend: str) -> list[Call]:
    """The list for a program with these options."""
    words = LINUX[name].get("devices", ())
    assert isinstance(words, tuple)
    networks = [at for at, word in enumerate(words, 1) if word.startswith("net:")]
    folders, writable = folders_of(name)
    if name in ("arranging", "jit", *SOCKETS):
        words = ("more",)
    ways = list(_ways(found, kvm=backend == "kvm")) if name in SOCKETS else []
    terminal, ticks = name == "terminal", name in ("threads", "arranging", "jit")
    if backend == "kvm":
        more = may_pass.more_kvm(len(networks), hears=terminal) if words or ticks else ()
        more = (*more, *may_pass.TERMINAL_KVM) if terminal else more
        more = (*more, *may_pass.TRACE_KVM) if name == "trace" else more
        more += may_pass.TICK_KVM if ticks or terminal else ()
        devices = [*may_pass.devices_kvm(found.disks, networks), *ways]
        return [
            *may_pass.HELLO_KVM,
            *more,
            *devices,
            *may_pass_volumes.volumes(folders, writable, kvm=True),
        ]
    more = may_pass.more_process(len(networks), hears=terminal) if words or ticks else ()
    more = (*more, *may_pass.TERMINAL_PROCESS) if terminal else more
    more = (*more, *may_pass.TRACE_PROCESS) if name == "trace" else more
    more += may_pass.TICK_PROCESS if ticks or terminal else ()
    alarm = may_pass.TIMEOUT_PROCESS if "timeout" in LINUX[name] else ()
    devices = [*may_pass.devices_process(found.disks, networks)]
    devices += may_pass_volumes.volumes(folders, writable, kvm=False)
    own = (*may_pass.arranging(_arena(found), _program(found)),) if ticks else ()
    own += (*may_pass.executing(_arena(found)),) if name == "jit" else ()
    return [*may_pass.HELLO_PROCESS, *more, *alarm, *devices, *own, *ways]


@pytest.mark.parametrize("name", _cases(LINUX))
@pytest.mark.parametrize("backends", ["kvm", "process", "kvm+process", "process+kvm"])
def test_linux(linux: Callable[[str, str], Proved], backends: str, name: str) -> None:
    """Programs, by every option that changes the filter."""
    found = linux(backends, name)
    backend = backends.partition("+")[0]
    regions = found.plan.regions
    guest = min(each.address for each in regions), max(each.end for each in regions)
    default = may_pass.KILL_PROCESS if backend == "kvm" else may_pass.TRAP
    calls = of_linux(found, name, backend)
    check(found, calls, default, half=0x20, guest=guest)


@pytest.mark.parametrize("name", _cases(SOLO5))
@pytest.mark.parametrize("target", ["hvt", "spt"])
@pytest.mark.parametrize("timeout", [0, 500])
def test_solo5(solo5: Callable[..., Proved], target: str, name: str, timeout: int) -> None:
    """Unikernels, whose memory is below 4 GiB."""
    found = solo5(target, name, timeout)
    networks = [at for at, kind in enumerate(SOLO5[name], 1) if kind == "net"]
    if target == "hvt":
        calls = list(may_pass.hvt(found.disks, networks))
        place = {"half": 0x20, "guest": (0x10000, 1 << 32)}
    else:
        calls = list(may_pass.spt(found.disks, networks))
        calls += may_pass.TIMEOUT_PROCESS if timeout else ()
        place = {"half": 0, "guest": None}
    check(found, calls, may_pass.KILL_PROCESS, **place)


@pytest.mark.parametrize("name", ["volumes", "volumes to read"])
def test_namer(linux: Callable[[str, str], Proved], name: str) -> None:
    """The filter of the process that changes names below the volumes of a process, or tells owners
    alone."""
    plan = linux("process", name).plan
    folders, writable = folders_of(name)
    policy = Policy(
        tuple(
            each.allowed({}, half=0x20, guest=None)
            for each in may_pass_volumes.namer(folders, writable)
        ),
        (),
        may_pass.KILL_PROCESS,
    )
    filter_rules.prove(bpf.decode(plan.filters["namer"].assemble({})), policy)


def test_porter(linux: Callable[[str, str], Proved]) -> None:
    """The filter of the process that has ports of UDP, and makes sockets for its guest."""
    found = linux("process", "datagrams")
    calls = may_pass_datagrams.porter(_ends(found))
    rules = tuple(each.allowed({}, half=0x20, guest=None) for each in calls)
    policy = Policy(rules, (), may_pass.KILL_PROCESS)
    filter_rules.prove(bpf.decode(found.plan.filters["porter"].assemble({})), policy)


def test_broker() -> None:
    """The filter of a broker, which is the same for every guest."""
    policy = Policy(
        tuple(each.allowed({}, half=0x20, guest=None) for each in may_pass.BROKER),
        (),
        may_pass.KILL_PROCESS,
    )
    filter_rules.prove(bpf.decode(broker_filter().assemble({})), policy)
