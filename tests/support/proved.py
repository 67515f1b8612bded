"""Plans of every kind with their filters as they are installed, for proofs about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import limpet
from limpet.planning.monitor import filter_values
from limpet.planning.seccomp import Filter
from tests.support import SUPPORT, bpf, filter_rules
from tests.support.filter_rules import Disk

DEVICES_C = SUPPORT / "programs" / "devices.c"
ARRANGING_C = SUPPORT / "programs" / "arranging.c"
THREADS = SUPPORT / "programs" / "threads"

DISKS = {
    "small": Disk(64 << 10),
    "one sector": Disk(32768, 32768),
    "below 4 GiB": Disk((4 << 30) - 512),
    "4 GiB": Disk(4 << 30, 4096),
    "above": Disk((4 << 30) + 512),
    "odd": Disk((5 << 40) + (700 << 20) + 1536),
}


@dataclass(frozen=True)
class Proved:
    """A filter as it is installed, and what it has to say."""

    plain: bytes
    program: bpf.Program
    policy: filter_rules.Policy
    labels: dict[str, int]
    disks: dict[int, Disk]
    plan: limpet.Plan


PUBLISHED = ("127.0.0.1:8080:80/tcp", "[::1]:8081:80/tcp")
NAMES = ("api.test:443/tcp", "*.b.test:1-9/tcp", "10.0.0.0/8:5432/tcp")
ENDPOINTS = ("192.0.2.1:443/tcp", "[2001:db8::1]:443/tcp", "192.0.2.1:80/tcp")

DATAGRAMS = ("127.0.0.1:5353:53/udp", "[::1]:5353:53/udp")
UDP_ENDPOINTS = ("192.0.2.1:53/udp", "[2001:db8::1]:53/udp")

CHOSEN_PORTS = ("web=8000-8010:80/tcp", "six=[::/0]:1024-65535:80/tcp")
CHOSEN_ENDS = ("api=10.0.0.0/8:443/tcp", "six=[2001:db8::/32]:1-9/tcp")
CHOSEN_UDP = ("dns=192.0.2.0/24:53/udp",)

LINUX: dict[str, dict[str, object]] = {
    "plain": {},
    "trapped": {"rewrite": False},
    "timeout": {"timeout": 1000},
    "max output": {"max_output": 1 << 20},
    "everything": {"timeout": 1, "max_output": 1, "memory": 1 << 32, "cpu": "v3"},
    "arranging": {"memory": 64 << 20},
    "disk": {"devices": ("block:one",)},
    "network": {"devices": ("net:wire",), "timeout": 1000},
    "devices": {"devices": ("block:one", "net:wire", "block:two", "net:other")},
    "volumes": {
        "devices": ("volume:/a:ro", "block:one", "volume:/b"),
        "serve": ("getdents64", "pwrite64", "ftruncate", "unlinkat"),
    },
    "volumes to read": {"devices": ("volume:/a:ro",), "serve": ("fstat", "getdents64")},
    "terminal": {"devices": ("net:wire",), "features": ("terminal",)},
    "threads": {},
    "jit": {"memory": 64 << 20, "features": ("jit",)},
    "trace": {"features": ("trace",)},
    "published": {"publish": PUBLISHED, "sockets": 10},
    "endpoints": {"connect": ENDPOINTS},
    "names": {"connect": NAMES},
    "datagrams": {
        "publish": (*PUBLISHED, *DATAGRAMS),
        "connect": (*ENDPOINTS, *UDP_ENDPOINTS),
        "sockets": 12,
    },
    "log": {"connect": ENDPOINTS, "log": "log"},
    "chosen": {"publish": (*PUBLISHED, *CHOSEN_PORTS), "connect": (*CHOSEN_ENDS, *ENDPOINTS)},
    "sockets": {"publish": PUBLISHED, "connect": ENDPOINTS, "sockets": 16384, "timeout": 1000},
    "63 devices": {"devices": tuple(f"{('block', 'net')[i % 2]}:d{i}" for i in range(63))},
}
SOLO5: dict[str, tuple[str, ...]] = {
    "none": (),
    "disk": ("block",),
    "network": ("net",),
    "both": ("block", "net"),
    "several": ("net", "block", "block", "net", "block"),
    "63 devices": ("block", "net") * 31 + ("block",),
}

Completed = Callable[[Filter, bytes, dict[int, Disk]], bytes]


def completing_c(each: Filter, length: int, disks: dict[int, Disk]) -> str:
    """disk_bounds.c, with the table of devices that a start has found."""
    values = filter_values("process", each, 0)
    values = values.replace("FILTER_PROCESS_AT 0x0UL", "FILTER_PROCESS_AT made")
    found = "".join(
        f"    MANIFEST->entries[{handle}].capacity = {disk.capacity}UL;\n"
        f"    MANIFEST->entries[{handle}].block_size = {disk.sector};\n"
        for handle, disk in disks.items()
    )
    return f"""\
#include "contract.h"
void *memcpy(void *, const void *, size_t);
static const void *program_at;
static u64 made[4096], table[4096];
#define MANIFEST ((struct manifest *)table)
#define FILTER_PROCESS (u64)program_at
#define FILTER_PROCESS_LENGTH {length}
{values}
#include "features/disk_bounds/disk_bounds.c"
#define EXPORT __attribute__((visibility("default")))
EXPORT void *complete(const void *given);
EXPORT void *complete(const void *given) {{
{found}    program_at = given;
    fill_filter_process();
    return made;
}}
"""


def labels_of(each: Filter) -> dict[str, int]:
    """Stubs next to each other and at both ends of a page, as a linker might place them."""
    found = {rule.label: rule.origin for rule in each.rules if rule.label}
    places = [2, 3, 4, 16, 4095, 4096, *range(5000, 9000, 7)]
    return {name: origin + at for (name, origin), at in zip(found.items(), places, strict=False)}


def proved(plan: limpet.Plan, each: Filter, disks: dict[int, Disk], completed: Completed) -> Proved:
    """The program and the rules for it."""
    labels = labels_of(each)
    plain = completed(each, each.assemble(labels), disks)
    return Proved(
        plain, bpf.decode(plain), filter_rules.policy(each, labels, disks), labels, disks, plan
    )


def disks_of(handles: list[int]) -> dict[int, Disk]:
    """A disk of another size for each handle."""
    every = list(DISKS.values())
    return {handle: every[i % len(every)] for i, handle in enumerate(handles)}
