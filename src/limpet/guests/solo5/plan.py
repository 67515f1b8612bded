"""``plan`` for Solo5 guests: the same Plan, decided from a manifest instead of system calls."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from limpet import contract
from limpet.arch.x86_64 import machine
from limpet.arch.x86_64.paging import Mapping
from limpet.arch.x86_64.rewrite import Patch, Rewriting
from limpet.arch.x86_64.sites import Scan, Site
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import DEVICE_FD, Filtered, Hypercall, Pin
from limpet.contract.limits import EPOLL_FD, FRAMES_US, STDOUT, TIMER_FD
from limpet.errors import PlanError
from limpet.formats.image import Access, Image
from limpet.formats.manifest import Device
from limpet.formats.symbols import code_sections
from limpet.guests.solo5 import layout as solo5_layout
from limpet.guests.solo5.frames import GATE_SIZE, Gathered, gates_c, gathered
from limpet.guests.solo5.generate import CORES, plan_h, shim_table_c, shim_table_size
from limpet.guests.solo5.layout import Solo5Layout
from limpet.guests.solo5.peek import USUAL
from limpet.guests.solo5.privileged import Privileged, privileged
from limpet.loading.guest import Guest
from limpet.planning.blobs import blobs
from limpet.planning.features import choose, facts, with_parts
from limpet.planning.filters import has_device, resolved
from limpet.planning.monitor import host_numbers, monitor_c
from limpet.planning.options import Options
from limpet.planning.plan import Decision, Plan
from limpet.planning.processor import machine_decisions, may_ask_cpuid
from limpet.planning.regions import Region, gaps, patched
from limpet.planning.seccomp import KILL_PROCESS, Filter, Rule
from limpet.tools.freestanding import Sizes

ARCH_SET_FS = 0x1002


def hvt_rules(hypercalls: tuple[Hypercall, ...], devices: Sequence[Device]) -> list[Rule]:
    """What the handlers of an hvt guest's monitor ask of the host."""
    whys: dict[tuple[str, tuple[Pin, ...]], list[str]] = {}
    for hypercall in hypercalls:
        for host in hypercall.host:
            for pins in resolved(host, "kvm", devices):
                whys.setdefault((host.call, pins), []).append(f"{hypercall.name}: {host.why}")
    return [Rule(call, "; ".join(why), pins) for (call, pins), why in whys.items()]


def spt_rules(devices: Sequence[Device], scan: Scan, sets_fs_base: bool) -> list[Rule]:
    """What an spt guest's own system calls may be: its devices, its clocks, the console."""
    origin = solo5_layout.GUEST_BASE

    def rule(call: str, why: str, *pins: Pin) -> Rule:
        return Rule(call, why, pins, None, origin)

    rules = []  # devices first: the filter is run from its start for every call
    for device in devices:
        fd = Pin(0, (DEVICE_FD + device.handle,))
        if device.kind == "net":
            rules.append(rule("read", f"a frame from {device.name}", fd))
            rules.append(rule("write", f"a frame to {device.name}", fd))
        else:
            size = Pin(2, slot=("sector", device.handle))
            offset = Pin(3, slot=("last", device.handle))
            rules.append(rule("pread64", f"a sector of {device.name}", fd, size, offset))
            rules.append(rule("pwrite64", f"a sector of {device.name}", fd, size, offset))
    rules += [
        rule("epoll_pwait", "waits for a frame or the timer", Pin(0, (EPOLL_FD,)), Pin(4, (0,))),
        rule("timerfd_settime", "sets the timer", Pin(0, (TIMER_FD,)), Pin(1, (0, 1))),
        rule("clock_gettime", "the two clocks", Pin(0, (0, 1))),
        rule("write", "the console", Pin(0, (STDOUT,))),
        rule("exit_group", "ends the guest"),
    ]
    if not sets_fs_base:
        rules.append(rule("arch_prctl", "sets the TLS base", Pin(0, (ARCH_SET_FS,))))
    return [each for each in rules if _possible(each, scan)]


def _possible(rule: Rule, scan: Scan) -> bool:
    """Whether the program can make the call at all."""
    numbers = {number for site in scan.sites for number in site.numbers}
    return bool(scan.unresolved) or NUMBERS[rule.call] in numbers


_MOV_ARCH_PRCTL = b"\xb8\x9e\x00\x00\x00\x0f\x05"  # mov $158, %eax; syscall
_WRFSBASE = b"\xf3\x48\x0f\xae\xd6\x31\xc0"  # wrfsbase %rsi; xor %eax, %eax


def fs_base_patches(image: Image, scan: Scan) -> tuple[Patch, ...] | None:
    """WRFSBASE in the place of arch_prctl's SYSCALLs, ``None`` when one cannot be replaced.

    The ABI allows that call only with ARCH_SET_FS, which needs no kernel since FSGSBASE (Linux
    5.9).  Number and SYSCALL must stand together, and nothing may jump between them.
    """
    found = []
    for site in scan.sites:
        if NUMBERS["arch_prctl"] not in site.numbers:
            continue
        start = site.address - 5
        segment = next(s for s in image.executable if s.address <= start < s.end)
        code = segment.data[start - segment.address :][:7]
        entered = any(address in scan.targets for address in range(start + 1, start + 7))
        if code != _MOV_ARCH_PRCTL or entered or not site.reached:
            return None
        found.append(Patch(start, _WRFSBASE))
    return None if scan.unresolved else tuple(found)


def plan(guest: Guest, options: Options, shim: Sizes) -> Plan:
    """Decide everything about the bundle of a Solo5 guest.

    Args:
        shim: what the shim of an hvt guest takes at most, without its table.

    Raises:
        PlanError: the options or the guest cannot be honoured.
    """
    image = guest.image
    _check(guest, options)
    privilege = privileged(image) if image.kind == "hvt" else None
    if privilege:
        shim = replace(shim, rodata=shim.rodata + shim_table_size(privilege.emulated))
    frames = _frames(image, privilege)
    place = solo5_layout.lay_out(image, options.memory, shim, gathers=bool(frames))
    fs_base = fs_base_patches(image, guest.scan) if image.kind == "spt" else None
    patches = privilege.patches if privilege else fs_base or ()
    gates = range(solo5_layout.GATES, solo5_layout.SHIM, GATE_SIZE)
    patches += tuple(each.patch(gate) for each, gate in zip(frames, gates, strict=False))
    made = _Parts(guest, options, place, privilege, fs_base is not None, frames)
    return made.plan(Rewriting(patches, b"", (), direct=_left(made.shown, patches)))


def _frames(image: Image, privilege: Privileged | None) -> tuple[Gathered, ...]:
    """The hypercalls about frames that the shim of an hvt guest in ring 3 serves."""
    if not privilege or privilege.obstacle or not any(d.kind == "net" for d in image.devices):
        return ()
    return gathered(image)[: solo5_layout.GATES_SIZE // GATE_SIZE]


def _left(scan: Scan, patches: Sequence[Patch]) -> tuple[Site, ...]:
    """The sites that no patch replaces."""
    gone = {at for each in patches for at in range(each.address, each.address + len(each.content))}
    return tuple(site for site in scan.sites if site.address not in gone)


def _in_code(image: Image, scan: Scan) -> Scan:
    """``scan`` without what lies in sections of data, which is in one segment with the code.

    A guest gains nothing by a table of sections that lies: the filter is made from ``scan`` itself.
    """
    code = code_sections(image.data)
    if not code:
        return scan
    sites = [each for each in scan.sites if any(each.address in run for run in code)]
    data = len(scan.sites) - len(sites)
    return replace(scan, sites=tuple(sites), hidden=scan.hidden + data)


def _check(guest: Guest, options: Options) -> None:
    target, name = guest.image.kind, guest.image.name
    (backend,) = USUAL[target].backends
    if options.backends != (backend,):
        raise PlanError(
            f"{name}: a Solo5 unikernel for {target} runs on the backend {backend} only",
            hint=f"leave out --backend, or build it for {'spt' if backend == 'kvm' else 'hvt'}",
        )
    if options.devices:
        raise PlanError(
            f"{name}: a Solo5 unikernel has the devices of its manifest, and no others",
            hint="give --block and --net to limpet run, or to the bundle when it starts",
        )
    if options.snapshot:
        raise PlanError(
            f"{name}: a unikernel cannot be a snapshot: its devices are not in its memory",
            hint="take one of a Linux program",
        )
    if options.publish or options.connect or options.sockets:
        raise PlanError(
            f"{name}: a Solo5 unikernel has no sockets but those of its own protocols",
            hint="leave out -p and --connect, or give it a network: --net NAME=user",
        )
    if options.words:
        raise PlanError(
            f"{name}: a Solo5 unikernel is started with its own words alone", hint="leave out words"
        )
    if guest.tree.data or options.environment:
        raise PlanError(
            f"{name}: a Solo5 unikernel has neither files nor an environment",
            hint="leave out --root, --file and --env; attach a --block device",
        )


@dataclass(frozen=True)
class _Parts:
    guest: Guest
    options: Options
    place: Solo5Layout
    privilege: Privileged | None
    fs_base: bool
    frames: tuple[Gathered, ...]

    @property
    def shown(self) -> Scan:
        """The sites to speak of."""
        return _in_code(self.guest.image, self.guest.scan)

    @property
    def _is_hvt(self) -> bool:
        return self.privilege is not None

    @property
    def _ring_3(self) -> bool:
        return self.privilege is not None and self.privilege.obstacle is None

    def plan(self, rewriting: Rewriting) -> Plan:
        image, options, place = self.guest.image, self.options, self.place
        level = machine.CPU_LEVELS[options.cpu]
        asks = may_ask_cpuid(image)
        hypercalls = self._hypercalls()
        regions = tuple(patched(region, rewriting.patches) for region in place.regions())
        pages = self._supervisor(regions, hypercalls)
        kvm = blobs(
            pages,
            level,
            start=place.shim_entry("shim_start"),
            syscall=place.shim_entry("shim_syscall"),
            asks_cpuid=asks,
        )
        rules, (backend,) = self._rules(hypercalls), options.backends
        kind = image.kind
        gathers = ["gathers"] if self.frames else []
        if gathers:
            kvm = kvm.with_tables({"FRAMES_TIME": struct.pack("<4q", 0, 0, 0, FRAMES_US * 1000)})
        known = facts(["solo5", kind, *gathers], image.devices, rules, kvm.fixed, table=True)
        chosen = choose(options, known)
        allowed = with_parts(chosen, backend, rules)
        filters: dict[Filtered, Filter] = {backend: Filter(allowed, KILL_PROCESS, place.guest)}
        sources = {
            "plan.h": plan_h(image, place, options, filters, kvm, pages, chosen),
            "host_numbers.h": host_numbers(chosen, hypercalls),
            "monitor.c": monitor_c(
                CORES[kind], chosen, hypercalls, options.backends, gaps(regions, pages)
            ),
        }
        if self.privilege:
            sources["shim_table.c"] = shim_table_c(self.privilege.emulated)
        if self.frames:
            sources["gates.c"] = gates_c(self.frames)
        decisions = (
            *self._decisions(hypercalls),
            *chosen.decisions(),
            *machine_decisions(pages, asks),
        )
        return Plan(
            guest=self.guest,
            scan=self.shown,
            image=image,
            options=options,
            layout=place,
            regions=regions,
            hypercalls=hypercalls,
            filters=filters,
            rewriting=rewriting,
            supervisor=pages,
            blobs=kvm,
            sources=sources,
            decisions=decisions,
            warnings=(*image.warnings, *self._warnings()),
        )

    def _hypercalls(self) -> tuple[Hypercall, ...]:
        if not self._is_hvt:
            return ()
        return tuple(
            call for call in contract.hvt_hypercalls() if has_device(call, self.guest.image.devices)
        )

    def _supervisor(
        self, regions: tuple[Region, ...], hypercalls: tuple[Hypercall, ...]
    ) -> machine.Supervisor | None:
        if not self._is_hvt:
            return None
        mappings = [
            Mapping(
                region.address,
                region.size,
                Access.WRITE in region.access,
                Access.EXECUTE in region.access,
                self._ring_3,
                Access.READ in region.access,
            )
            for region in regions
            if region.mapped
        ]
        base = self.place.supervisor
        ports = [call.port for call in hypercalls]
        pages = machine.supervisor(base, mappings, ports, gigabytes=4)
        if base + pages.size > self.place.image_lo:
            raise PlanError(
                f"{self.guest.image.name}: its page tables do not fit below the program",
                hint="report this: the program is unusually large",
            )
        return pages

    def _rules(self, hypercalls: tuple[Hypercall, ...]) -> list[Rule]:
        devices = self.guest.image.devices
        if self._is_hvt:
            return hvt_rules(hypercalls, devices)
        return spt_rules(devices, self.guest.scan, self.fs_base)

    def _decisions(self, hypercalls: tuple[Hypercall, ...]) -> list[Decision]:
        found = [
            Decision("device", device.name, True, f"a {device.kind} device of the manifest")
            for device in self.guest.image.devices
        ]
        if self.privilege:
            found.append(self._ring_decision(self.privilege))
            found += self._keys_decision()
            found += self._frames_decision()
            for call in contract.hvt_hypercalls():
                included = call in hypercalls
                why = "the ABI has it" if included else "the manifest has no device for it"
                found.append(Decision("hypercall", call.name, included, why))
        elif self.fs_base:
            why = "its SYSCALL is replaced by WRFSBASE"
            found.append(Decision("system call", "arch_prctl", False, why))
        return found

    def _ring_decision(self, privilege: Privileged) -> Decision:
        why = (
            f"{len(privilege.patches)} ring-0 instructions are replaced, "
            f"{len(privilege.emulated)} trap into the shim"
        )
        if privilege.obstacle:
            why = f"ring 0, since {privilege.obstacle} cannot be replaced"
        return Decision("processor feature", "ring 3", not privilege.obstacle, why)

    def _keys_decision(self) -> list[Decision]:
        if all(Access.READ in region.access for region in self.place.image):
            return []
        why = "code that may only be executed cannot be read, on processors with protection keys"
        if not self._ring_3:
            why = "in ring 0 they do not protect"
        return [Decision("processor feature", "protection keys", self._ring_3, why)]

    def _frames_decision(self) -> list[Decision]:
        if not self.frames:
            return []
        places = ", ".join(f"{each.address:#x}" for each in self.frames)
        why = f"its hypercalls for frames at {places} go through its shim"
        return [Decision("processor feature", "several frames an exit", True, why)]

    def _warnings(self) -> list[str]:
        if self.privilege and self.privilege.obstacle:
            return [f"{self.guest.image.name} runs in ring 0: {self.privilege.obstacle}"]
        return []
