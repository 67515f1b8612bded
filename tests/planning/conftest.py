"""Filters of plans of every kind, completed as a start completes them."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import limpet
from limpet import contract
from limpet.formats.manifest import Device
from limpet.planning.seccomp import Filter
from limpet.sources import MONITOR_INCLUDES
from limpet.tools.toolchain import zig
from tests.support import unikernels
from tests.support.bundles import Maker
from tests.support.filter_rules import Disk
from tests.support.proved import (
    ARRANGING_C,
    DEVICES_C,
    LINUX,
    SOLO5,
    THREADS,
    Completed,
    Proved,
    completing_c,
    disks_of,
    proved,
)
from tests.support.sources import HELLO, SOCKETS


@pytest.fixture(scope="session")
def completed(tmp_path_factory: pytest.TempPathFactory) -> Completed:
    """What the monitor's own C makes of a program at the start."""
    folder = tmp_path_factory.mktemp("filter")
    (folder / "contract.h").write_text(contract.c_header())

    def complete(each: Filter, program: bytes, disks: dict[int, Disk]) -> bytes:
        if not each.slots:
            return program
        text = folder / f"filter{len(list(folder.iterdir()))}.c"
        text.write_text(completing_c(each, len(program) // 8, disks))
        output = text.with_suffix(".so")
        argv: list[str | Path] = [
            zig(),
            "cc",
            "-shared",
            "-fPIC",
            "-O1",
            f"-I{folder}",
            *MONITOR_INCLUDES,
        ]
        subprocess.run([*argv, "-o", output, text], check=True)
        loaded = ctypes.CDLL(str(output))
        loaded.complete.restype = ctypes.c_void_p
        return ctypes.string_at(loaded.complete(program), len(program))

    return complete


@pytest.fixture(scope="session")
def linux(make: Maker, completed: Completed) -> Callable[[str, str], Proved]:
    """The filter of a program for one backend of its plan."""
    hello = limpet.load(make.compile(HELLO, "hello"))
    devices = limpet.load(make.compile(DEVICES_C.read_text(encoding="utf-8"), "devices"))
    threads = limpet.load(make.compile_folder(THREADS))
    arranging = limpet.load(make.compile(ARRANGING_C.read_text(encoding="utf-8"), "arranging"))

    sockets = limpet.load(make.compile(SOCKETS, "sockets"))

    def get(backends: str, name: str) -> Proved:
        used, _, other = backends.partition("+")
        both = tuple(sorted(each for each in (used, other) if each))
        guest = devices if "devices" in LINUX[name] else hello
        guest = sockets if {"publish", "connect"} & LINUX[name].keys() else guest
        guest = {"arranging": arranging, "jit": arranging, "threads": threads}.get(name, guest)
        plan = limpet.plan(guest, replace(limpet.Options(backends=both), **LINUX[name]))  # type: ignore[arg-type]
        blocks = [
            handle
            for handle, word in enumerate(plan.options.devices, 1)
            if word.startswith("block:")
        ]
        return proved(plan, plan.filters[used], disks_of(blocks), completed)  # type: ignore[index]

    return get


@pytest.fixture(scope="session")
def solo5(tmp_path_factory: pytest.TempPathFactory, completed: Completed) -> Callable[..., Proved]:
    """The filter of a unikernel with devices of these kinds."""
    folder = tmp_path_factory.mktemp("unikernels")
    guests = {
        target: limpet.load(unikernels.build(folder, target, devices=True))
        for target in ("hvt", "spt")
    }

    def get(target: str, name: str, timeout: int = 0) -> Proved:
        guest = guests[target]
        devices = tuple(
            Device(f"d{handle}", "net" if kind == "net" else "block", handle)
            for handle, kind in enumerate(SOLO5[name], 1)
        )
        image = replace(guest.image, devices=devices)
        plan = limpet.plan(replace(guest, image=image), limpet.Options(timeout=timeout))
        blocks = [device.handle for device in devices if device.kind == "block"]
        (each,) = plan.filters.values()
        return proved(plan, each, disks_of(blocks), completed)

    return get
