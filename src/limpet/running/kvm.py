"""Whether a virtual machine can be made here: a sandbox whose user names no backend asks that."""

from __future__ import annotations

import errno
import fcntl
import os

KVM_DEVICE = "/dev/kvm"
_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01


def kvm_problem() -> str | None:
    """Why the kvm backend cannot be used here, or ``None`` when it can."""
    return problem_and_hint()[0]


def problem_and_hint() -> tuple[str | None, str]:
    """The same, and what to type about it."""
    try:
        device = os.open(KVM_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return "/dev/kvm is not there", "enable virtualization in the firmware, modprobe kvm"
        if error.errno in (errno.EACCES, errno.EPERM):
            return "/dev/kvm: permission denied", "sudo usermod -aG kvm $USER, then log in again"
        return f"/dev/kvm: {error.strerror}", "modprobe kvm_amd or kvm_intel"
    try:
        version = fcntl.ioctl(device, _KVM_GET_API_VERSION, 0)
        if version != 12:
            return f"/dev/kvm speaks version {version}, not 12", "is it really KVM?"
        machine = fcntl.ioctl(device, _KVM_CREATE_VM, 0)
        os.close(machine)
    except OSError as error:
        return f"/dev/kvm cannot make a machine: {error.strerror}", "see dmesg"
    finally:
        os.close(device)
    return None, ""
