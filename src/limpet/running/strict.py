"""Which protections this host gives to a bundle, for ``doctor`` and ``run --strict``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.contract import landlock
from limpet.errors import HostError
from limpet.formats.bundle.read import read_bundle
from limpet.formats.manifest import VOLUME, declared
from limpet.running import host, kvm


@dataclass(frozen=True)
class Protection:
    """A barrier that depends on the host: whether it stands here, and what is so without it."""

    name: str
    active: bool
    detail: str


def _virtual_machine() -> Protection:
    problem = kvm.kvm_problem()
    detail = "KVM" if problem is None else f"{problem}: guests run as jailed processes"
    return Protection("virtual machine", problem is None, detail)


def _filter() -> Protection:
    check = host.seccomp_check()
    return Protection("system call filter", check.ok, check.detail)


def _no_execute() -> Protection:
    active = host.has_processor_flag("nx")
    return Protection("no-execute pages", active, "NX" if active else "data can be executed")


def _execute_only() -> Protection:
    active = host.has_protection_keys()
    detail = "protection keys" if active else "no protection keys: code of hvt guests can be read"
    return Protection("code that cannot be read", active, detail)


def _landlock() -> Protection:
    version = host.landlock_version()
    detail = f"version {version}" if version else "the kernel has none"
    _, ports, scopes = landlock.rights_of(version)
    if version and not scopes:
        detail += ": files" + (" and TCP" if ports else "") + ", not signals and abstract sockets"
    return Protection("Landlock", version >= landlock.NEWEST, detail)


def _mounts() -> Protection:
    active = host.makes_mounts()
    detail = "mounts of their own" if active else "this user can make no mount: devices are refused"
    return Protection("devices on volumes", active, detail)


def protections() -> list[Protection]:
    """Those that ``limpet doctor`` states."""
    found = _virtual_machine(), _filter(), _landlock(), _mounts(), _no_execute(), _execute_only()
    return list(found)


def missing(bundle: Path, warnings: Sequence[str]) -> list[Protection]:
    """What the bundle counts on, by its record, or could have, and does not get here.

    Args:
        warnings: what its plan warned about, which is why a guest is in ring 0.

    Raises:
        BundleError: it has no record.
        PlanError: it names a device that there cannot be.
    """
    record = read_bundle(bundle).record
    machine, backends = record.machine, record.options.get("backends")
    devices = record.options.get("devices", ())
    wanted = [_filter(), _landlock(), _no_execute()]
    if isinstance(backends, tuple) and "kvm" in backends:
        wanted.append(_virtual_machine())
    if isinstance(devices, tuple) and any(each.kind == VOLUME for each in declared(devices)):
        wanted.append(_mounts())
    if machine and machine.execute_only:
        wanted.append(_execute_only())
    if machine and machine.ring == 0:
        wanted.append(Protection("guest in ring 3", False, "; ".join(warnings)))
    return [each for each in wanted if not each.active]


def refuse_if_missing(name: str, bundle: Path, warnings: Sequence[str]) -> None:
    """Nothing, or an error that names each protection that is missing.

    Raises:
        HostError: one is.
        BundleError: the bundle has no record.
    """
    lacking = missing(bundle, warnings)
    if lacking:
        names = "; ".join(f"{each.name} ({each.detail})" for each in lacking)
        raise HostError(
            f"{name}: --strict: missing here: {names}",
            hint="run it without --strict to accept that, or see: limpet doctor",
        )
