"""``plan`` under hypothesis: what must be so in every plan, whatever the program and options."""

from __future__ import annotations

import sys
import time
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import limpet
from fuzz import seeds
from limpet.arch.x86_64 import sites
from limpet.errors import LimpetError
from limpet.formats.image import Access
from limpet.formats.tree import layout as tree
from limpet.guests import registry
from limpet.loading import guest
from limpet.planning.plan import Plan
from limpet.planning.regions import Region

PAGE = 4096
BUILD_EACH = 50
"""How many plans for one that is built, twice: that takes a second."""
SAME = 100
"""Programs of a run that is the same each time."""

code = st.lists(
    st.one_of(st.sampled_from([*seeds.SYSCALLS, *seeds.RING_0]), st.binary(max_size=40)),
    max_size=12,
).map(b"".join)
linux_code = st.lists(
    st.one_of(st.sampled_from(seeds.SYSCALLS), st.binary(max_size=40)), min_size=1, max_size=12
).map(lambda parts: b"".join(parts) + b"\xb8\x02\x00\x00\x00\x0f\x05")
bases = st.sampled_from([0x10000, 0x100000, 0x400000, 0x7FFF000, 0x10000000])
names = st.lists(st.sampled_from(["block", "net"]), max_size=5).map(
    lambda kinds: tuple(f"{kind}:d{i}" for i, kind in enumerate(kinds))
)
options = st.builds(
    limpet.Options,
    backends=st.sampled_from([(), ("kvm",), ("process",), ("kvm", "process")]),
    memory=st.sampled_from([0, 1 << 20, 5 << 20, (1 << 30) + 4096, 4 << 30, 1 << 35]),
    timeout=st.sampled_from([0, 1, 60000]),
    max_output=st.sampled_from([0, 1, 1 << 30]),
    cpu=st.sampled_from(["v2", "v3"]),
    rewrite=st.booleans(),
    environment=st.sampled_from([(), ("A=b",), ("HOME", "X=1 2"), ("LONG=" + "x" * 9000,)]),
    devices=names,
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A small ELF file of one of the kinds that there are."""
    kind = draw(st.sampled_from(["static", "static", "static-pie", "hvt", "spt"]))
    if kind == "static":
        return seeds.elf(draw(linux_code), base=draw(bases), tls=draw(st.booleans()))
    if kind == "static-pie":
        return seeds.elf(draw(linux_code), kind=3, base=0)
    named = draw(st.lists(st.sampled_from([1, 2]), max_size=4))
    devices = seeds.devices(*((f"d{i}".encode(), each) for i, each in enumerate(named)))
    base = draw(st.sampled_from([0x100000, 0x200000]))
    notes = seeds.abi(1 if kind == "hvt" else 2), devices
    return seeds.elf(draw(code) + b"\x90", *notes, base=base)


def planned(data: bytes, chosen: limpet.Options) -> Plan | None:
    """Its plan, ``None`` where it is refused."""
    try:
        read = registry.read_image(data, "generated")
        packed = tree.Tree()
        return limpet.plan(guest.Guest(read, sites.scan(read), packed), chosen)
    except LimpetError as error:
        assert error.message and error.hint
        return None


def check(plan: Plan) -> None:
    """No overlap, no W+X, only what is declared, each page of the program where it was."""
    regions = sorted(plan.regions, key=lambda region: region.address)
    for region in regions:
        assert region.address % PAGE == 0 and region.size >= 0, region.name
        assert not (Access.WRITE in region.access and Access.EXECUTE in region.access), region.name
        assert region.content is None or len(region.content) <= region.size, region.name
    for one, other in pairwise(regions):
        assert one.end <= other.address, (one.name, other.name)
    if plan.supervisor:
        low, high = plan.supervisor.base, plan.supervisor.base + plan.supervisor.size
        assert all(region.end <= low or region.address >= high for region in regions)
    for segment in plan.image.segments:
        inside = [r for r in regions if r.address < segment.end and segment.address < r.end]
        assert inside or not segment.memory_size
        assert all(r.access & ~segment.access == Access(0) or _shared(r, plan) for r in inside)
    check_patches(plan)
    check_calls(plan)


def _shared(region: Region, plan: Plan) -> bool:
    """Whether more than one segment of the program lies in the region's pages."""
    found = [s for s in plan.image.segments if s.address < region.end and region.address < s.end]
    return len(found) > 1


def check_patches(plan: Plan) -> None:
    """Code is changed at the places that the plan names, and nowhere else."""
    changed = {
        at
        for patch in plan.rewriting.patches
        for at in range(patch.address, patch.address + len(patch.content))
    }
    for segment in plan.image.segments:
        for region in plan.regions:
            low, high = max(region.address, segment.address), min(region.end, segment.end)
            if region.content is None or low >= high:
                continue
            content = region.content.ljust(region.size, b"\0")
            before = segment.data.ljust(segment.memory_size, b"\0")
            for at in range(low, min(high, low + len(segment.data))):
                if content[at - region.address] != before[at - segment.address]:
                    assert at in changed, hex(at)


def check_calls(plan: Plan) -> None:
    """Hypercalls, devices and host calls are those of the declared plan."""
    kinds = {word.partition(":")[0] for word in plan.options.devices}
    if plan.image.devices:
        kinds = {device.kind for device in plan.image.devices}
    for call in plan.hypercalls:
        assert not call.device or call.device in kinds, call.name
    for backend, each in plan.filters.items():
        known = {host.call for call in plan.hypercalls for host in call.host}
        own = {"kvm": {"ioctl", "write"}, "process": {"write", "exit_group"}}[backend]
        if plan.image.kind != "spt":
            assert set(each.calls) <= known | own, each.calls
        labels = {
            rule.label: rule.origin + 8 * i for i, rule in enumerate(each.rules) if rule.label
        }
        assert len(each.assemble(labels)) == 8 * each.length


def one(data: bytes, chosen: limpet.Options, *, build: bool = False) -> None:
    """Everything, of one program and its options."""
    plan = planned(data, chosen)
    if plan is None:
        return
    check(plan)
    again = planned(data, chosen)
    assert again is not None and again.digest() == plan.digest()
    assert again.sources == plan.sources and again.regions == plan.regions
    if build:
        assert limpet.build(plan).data == limpet.build(again).data


def look(seconds: int) -> int:
    """Generate for so long, or for 0 the same few programs each time; 0 when nothing was found."""
    end = time.monotonic() + seconds
    count = 0

    @settings(
        max_examples=200 if seconds else SAME,
        derandomize=not seconds,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(files(), options)
    def some(data: bytes, chosen: limpet.Options) -> None:
        nonlocal count
        if not seconds or time.monotonic() < end:
            count += 1
            one(data, chosen, build=count % BUILD_EACH == 1)

    some()
    while time.monotonic() < end:
        some()
    sys.stderr.write(f"plan: {count} programs\n")
    return 0
