"""Builds the native targets: the C of the monitors and of the library OS under libFuzzer."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import limpet
from fuzz import HERE, seeds
from limpet import contract
from limpet.arch.x86_64 import sites
from limpet.arch.x86_64.host import REQUESTS, host_numbers_h
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.host_abi import call_name, monitor_calls
from limpet.errors import ToolchainError
from limpet.formats.destinations import destination
from limpet.formats.image import Access
from limpet.formats.tree import layout as tree
from limpet.guests import registry
from limpet.guests.linux import layout as linux_layout
from limpet.guests.linux.dispatch import dispatch_c
from limpet.guests.linux.parts import served
from limpet.guests.solo5 import layout as solo5_layout
from limpet.loading import guest
from limpet.loading.files import pack
from limpet.planning import monitor, seccomp
from limpet.planning.broker import policy
from limpet.planning.plan import Plan
from limpet.sources import C_ROOT, GUEST_INCLUDES, GUEST_ROOT, MONITOR_INCLUDES

SOURCES = HERE / "native"
FLAGS = (
    *("-std=gnu11", "-O1", "-g", "-fno-strict-aliasing", "-fno-omit-frame-pointer"),
    *("-fsanitize=undefined", "-fno-sanitize-recover=undefined"),
    *("-Wno-unused", "-Wno-incompatible-library-redeclaration"),
)
DISK = 0x12345600
"""Bytes of each disk in the target ``hypercalls``."""


@cache
def native(target: str) -> Path:
    """The fuzzer of a native target, built in a folder for temporary files.

    Raises:
        ToolchainError: there is no clang, or it does not compile.
    """
    make, compile_all = _NATIVE[target]
    sources = make()
    folder = Path(tempfile.gettempdir()) / f"limpet-fuzz-{target}-{_digest(sources)}"
    output = folder / target
    if not output.exists():
        folder.mkdir(exist_ok=True)
        for name, text in sources.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        compile_all(folder, output)
    return output


def _digest(sources: dict[str, str]) -> str:
    state = hashlib.sha256(repr((sorted(sources.items()), FLAGS)).encode())
    for root in (SOURCES, C_ROOT):
        for path in sorted(root.rglob("*.[chS]")):
            state.update(path.read_bytes())
    return state.hexdigest()[:16]


def clang(*arguments: str | Path) -> None:
    """Run clang.

    Raises:
        ToolchainError: it is not there, or not content.
    """
    found = shutil.which("clang")
    if not found:
        raise ToolchainError("clang is not installed", hint="apt-get install clang")
    argv = [found, *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"clang: {done.stderr}", hint="report this: a fault of Limpet's")


# --- the handlers of hypercalls ---


def _planned(code: bytes, notes: tuple[bytes, ...], base: int, options: limpet.Options) -> Plan:
    read = registry.read_image(seeds.elf(code, *notes, base=base), "fuzzed")
    return limpet.plan(guest.Guest(read, sites.scan(read)), options)


def _hypercalls() -> dict[str, str]:
    linux = _planned(
        seeds.SYSCALLS[3],
        (),
        0x400000,
        limpet.Options(
            backends=("kvm",), memory=1 << 20, devices=("block:one", "net:wire", "block:two")
        ),
    )
    notes = seeds.abi(1), seeds.devices((b"one", 1), (b"wire", 2), (b"two", 1))
    hvt = _planned(seeds.RING_0[0], notes, 0x100000, limpet.Options(memory=4 << 20))
    return {
        "contract.h": contract.c_header(),
        "linux/plan.h": linux.sources["plan.h"],
        "host_numbers.h": host_numbers_h(map(call_name, monitor_calls()), REQUESTS),
        "hvt/plan.h": hvt.sources["plan.h"],
        "linux.c": _linux_c(linux),
        "hvt.c": _hvt_c(hvt),
    }


_HEAD = """\
#define LIMPET_MONITOR
#include "fake.h"
#include "core/monitor.h"
#include "features/devices/devices.h"
#include "core/guest_range.h"
static void hypercall_made(u32 number) { (void)number; }
static void memory_filled(u64 at, u64 size) { (void)at, (void)size; }
static long bytes_brought(long count) { return count; }
static long bytes_taken(long count) { return count; }
"""

_START = """\
static void start(void) {
    static const struct mft_entry entries[] = {
        {.type = 1U << 30},
        {.type = DEVICE_BLOCK, .capacity = DISK, .block_size = 512, .handle = DEVICE_FD + 1},
        {.type = DEVICE_NET, .capacity = 1500UL << 48, .handle = DEVICE_FD + 2},
        {.type = DEVICE_BLOCK, .capacity = DISK, .block_size = 512, .handle = DEVICE_FD + 3},
    };
    MANIFEST->version = 1;
    MANIFEST->count = 4;
    for (u64 i = 0; i < 4; i++)
        MANIFEST->entries[i] = entries[i];
    MORE
}
"""


def _linux_c(plan: Plan) -> str:
    includes = monitor.includes(
        "core/guest_block.h", *(f"hypercalls/{c.name}/kvm.c" for c in plan.hypercalls)
    )
    return _monitor(plan, includes, "linux", "")


_SOLO5_START = """\
    HVT_BOOT->mem_size = MEMORY_DEFAULT;
"""
_SOLO5_STUBS = """\
static u64 take_arguments(u64 *stack) { return *stack; }
static void options_taken(void) {}
static void place_devices(void) {}
static void map_memory(u64 low, u64 high) { (void)low, (void)high; }
"""


def _hvt_c(plan: Plan) -> str:
    calls = [f"hypercalls/{call.name}/kvm.c" for call in plan.hypercalls]
    includes = _SOLO5_STUBS + monitor.includes("solo5/frames.h", "solo5/hvt.c", *calls)
    return _monitor(plan, includes, "hvt", _SOLO5_START)


def _monitor(plan: Plan, includes: str, name: str, more: str) -> str:
    """The handlers of one monitor, its dispatcher, and what the harness has to know of it."""
    (each,) = plan.filters.values()
    regions = [
        (
            region.address,
            region.end,
            int(Access.WRITE in region.access),
            int(region.name == "boot" and Access.WRITE not in region.access),
        )
        for region in plan.regions
        if region.size
    ]
    place = plan.layout
    if isinstance(place, solo5_layout.Solo5Layout):
        table, blocks = place.boot_info + solo5_layout.MANIFEST_AT, place.shim_data
    else:
        assert isinstance(place, linux_layout.Layout)
        table, blocks = place.devices, place.signal_stack
    ends = {end for region in regions for end in region[:2]} | {table, blocks, DISK, DISK - 512}
    values = sorted(ends | {1, 2, 512, 1 << 20, 1 << 16, 1518})
    text = _HEAD + includes + monitor.serve(plan.hypercalls)
    text += f"#define DISK {DISK:#x}UL\n" + _START.replace("MORE", more.strip())
    text += _array(
        "struct memory", "memory", [f"{{{a:#x}, {b:#x}, {w}, {o}}}" for a, b, w, o in regions]
    )
    text += _array("struct rule", "rules", [*_rules(each), "{0, 255, 0, {{0}}}"])
    text += _array("u16", "ports", [f"{call.port:#x}" for call in plan.hypercalls])
    text += _array("u64", "interesting", [f"{value:#x}" for value in values])
    return text + (
        f"const struct monitor monitor_{name} = {{memory, rules, ports, {each.guest[0]:#x}UL, "
        f"{each.guest[1]:#x}UL, {blocks:#x}UL, start, serve, interesting}};\n"
    )


def _array(kind: str, name: str, rows: list[str]) -> str:
    end = [] if name == "rules" else ["{0}" if kind.startswith("struct") else "0"]
    return (
        f"static const {kind} {name}[] = {{\n" + "".join(f"    {r},\n" for r in rows + end) + "};\n"
    )


def _rules(of: seccomp.Filter) -> Iterable[str]:
    """The rules as ranges of arguments, once for each choice of values."""
    for rule in of.rules:
        for pins in _choices(rule.pins, of.guest):
            rows = ", ".join(
                f"{{{i}, {own}, {low:#x}UL, {high:#x}UL}}" for i, own, low, high in pins
            )
            yield f"{{{NUMBERS[rule.call]}, {len(pins)}, 0, {{{rows or '{0}'}}}}}"


Row = tuple[int, int, int, int]


def _choices(pins: tuple[contract.Pin, ...], memory: tuple[int, int]) -> list[list[Row]]:
    found: list[list[Row]] = [[]]
    for pin in pins:
        if pin.slot:
            continue  # the end of the disk: fake_host looks at it for every transfer
        rows: list[Row] = [(pin.index, 0, value, value) for value in pin.values]
        if pin.range:
            rows = [(pin.index, 1, 0, 0)]
        elif pin.guest:
            rows = [(pin.index, 0, memory[0], memory[1] - 1)]
        elif pin.max is not None:
            rows = [(pin.index, 0, 0, pin.max)]
        found = [[*before, row] for before in found for row in rows]
    return found


def _compile_hypercalls(folder: Path, output: Path) -> None:
    """Both monitors, with the sanitizers, and what drives them."""
    includes = [f"-I{SOURCES}", f"-I{folder}", *MONITOR_INCLUDES]
    flags = [*FLAGS, "-fsanitize=address", "-fsanitize=fuzzer-no-link", *includes]
    objects = []
    for name in ("linux", "hvt"):
        objects.append(folder / f"{name}.o")
        clang(*flags, f"-I{folder / name}", "-c", folder / f"{name}.c", "-o", objects[-1])
    objects.append(folder / "hypercalls.o")
    clang(*flags, "-c", SOURCES / "hypercalls.c", "-o", objects[-1])
    clang("-fsanitize=address,undefined,fuzzer", *objects, "-o", output)


# --- the broker ---


def _broker() -> dict[str, str]:
    connect = ("api.test:443", "*.wild.test:443", "10.1.0.0/16:80-90")
    words = ", ".join(map(str, policy([destination(each) for each in connect])))
    return {
        "contract.h": contract.c_header(),
        "host_numbers.h": host_numbers_h(NUMBERS, ()),
        "policy.h": f"static const _Alignas(8) u8 policy[] = {{{words}}};\n",
    }


def _compile_broker(folder: Path, output: Path) -> None:
    includes = [f"-I{SOURCES}", f"-I{folder}", *MONITOR_INCLUDES]
    clang(*FLAGS, "-fsanitize=address,fuzzer", *includes, SOURCES / "broker.c", "-o", output)


# --- the porter ---


def _porter() -> dict[str, str]:
    return {"contract.h": contract.c_header(), "host_numbers.h": host_numbers_h(NUMBERS, ())}


def _compile_porter(folder: Path, output: Path) -> None:
    includes = [f"-I{SOURCES}", f"-I{folder}", *MONITOR_INCLUDES]
    clang(*FLAGS, "-fsanitize=address,fuzzer", *includes, SOURCES / "porter.c", "-o", output)


# --- the library OS ---

LEFT_OUT = ("arch_prctl", "rt_sigreturn", "clone", "clone3")
"""Calls that change the registers of the process that they run in, or its stack."""

OWN_NAMES = ("memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp")
LIBOS_FLAGS = (
    *FLAGS,
    *("-ffreestanding", "-fno-sanitize=null,alignment,pointer-overflow,function", "-fcommon"),
    *(f"-D{name}=os_{name}" for name in OWN_NAMES),
    "-fno-sanitize=object-size",
)


def _libos() -> dict[str, str]:
    calls = [call for call in served().values() if call.name not in LEFT_OUT]
    return {
        "contract.h": contract.c_header(),
        "tree_format.h": tree.c_header(),
        "dispatch.c": dispatch_c(calls),
        **_tree(),
    }


def _tree() -> dict[str, str]:
    """A small packed tree."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "d").mkdir()
        (root / "dev").mkdir()
        (root / "a").write_bytes(b"a" * 100)
        (root / "d" / "b").write_bytes(bytes(5000))
        (root / "l").symlink_to("d/b")
        (root / "d" / "l").symlink_to("../d")
        for path in (root / "d" / "b", root / "a", root / "d", root):
            path.chmod(0o755)
            os.utime(path, (1, 1))
        for path in (root / "l", root / "d" / "l"):
            os.utime(path, (1, 1), follow_symlinks=False)
        for path in (root / "dev", root / "d", root):
            os.utime(path, (1, 1))
        data = pack(root).data
    words = ", ".join(map(str, data))
    text = '#include "contract.h"\n_Alignas(4096) const u8 packed_tree[] = {'
    return {
        "tree.c": text + words + "};\n",
        "tree_size.h": f"#define PACKED_TREE_SIZE {len(data)}UL\n",
    }


def _compile_libos(folder: Path, output: Path) -> None:
    """Every file of the library OS but its entries, its data in sections of their own."""
    folders = ("core", "x86_64", "parts/*")
    sources = [path for folder in folders for path in GUEST_ROOT.glob(f"{folder}/*.c")]
    sources = sorted(
        path
        for path in sources
        if not path.stem.startswith(("trap_", "start")) and path.parent.name not in ABSENT
    )
    objects = []
    includes = (f"-I{folder}", *GUEST_INCLUDES)
    for source in (*sources, folder / "dispatch.c"):
        made = folder / (f"{source.parent.name}-{source.stem}.o")
        clang(*LIBOS_FLAGS, "-fsanitize=fuzzer-no-link", *includes, "-c", source, "-o", made)
        moved = [f"--rename-section={old}={new}" for old, new in RENAMED.items()]
        subprocess.run(["objcopy", *moved, made], check=True)
        objects.append(made)
    for source in (folder / "tree.c", SOURCES / "libos.c"):
        objects.append(folder / f"{source.stem}.o")
        clang(*LIBOS_FLAGS, *includes, "-c", source, "-o", objects[-1])
    clang("-fsanitize=undefined,fuzzer", *objects, "-o", output)


ABSENT = ("outside", "snapshot", "trace", "volumes")
"""Parts that only generated C of other plans reaches."""

RENAMED = {
    ".data": "osdata,alloc,load,data,contents",
    ".bss": "osbss,alloc",
    ".bss..large": "osbss,alloc",
    ".bss..stack": "osbss,alloc",
}

_NATIVE: Mapping[str, tuple[Callable[[], dict[str, str]], Callable[[Path, Path], None]]] = {
    "hypercalls": (_hypercalls, _compile_hypercalls),
    "libos": (_libos, _compile_libos),
    "broker": (_broker, _compile_broker),
    "porter": (_porter, _compile_porter),
}
"""What each native target is made from, and how."""
