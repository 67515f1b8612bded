"""The host kernel as monitors on x86-64 call it: numbers of requests, and ``host_numbers.h``.

System call numbers are in :mod:`limpet.arch.x86_64.syscalls`.  A monitor is compiled with the
numbers of what its parts declare and of nothing else, so that C cannot make an undeclared call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from limpet.arch.x86_64.syscalls import NUMBERS

REQUESTS: Mapping[str, int] = MappingProxyType(
    {
        # uapi linux/kvm.h; the sizes of structures in them are x86-64's
        "KVM_CREATE_VM": 0xAE01,
        "KVM_CREATE_VCPU": 0xAE41,
        "KVM_RUN": 0xAE80,
        "KVM_GET_TSC_KHZ": 0xAEA3,
        "KVM_SET_USER_MEMORY_REGION": 0x4020AE46,
        "KVM_ENABLE_CAP": 0x4068AEA3,
        "KVM_SET_SREGS": 0x4138AE84,
        "KVM_SET_MSRS": 0x4008AE89,
        "KVM_SET_CPUID2": 0x4008AE90,
        "KVM_SET_XCRS": 0x4188AEA7,
        "KVM_SET_SIGNAL_MASK": 0x4004AE8B,
        "KVM_GET_DIRTY_LOG": 0x4010AE42,
        "KVM_CLEAR_DIRTY_LOG": 0xC018AEC0,
        "KVM_GET_XSAVE": 0x9000AEA4,
        "KVM_SET_XSAVE": 0x5000AEA5,
        # uapi asm-generic/ioctls.h
        "TCGETS": 0x5401,
        "TCSETS": 0x5402,
        "TCSETSW": 0x5403,
        "TCSETSF": 0x5404,
        "TIOCGWINSZ": 0x5413,
        # uapi linux/fs.h, linux/userfaultfd.h
        "PROCMAP_QUERY": 0xC0686611,
        "UFFDIO_API": 0xC018AA3F,
        "UFFDIO_REGISTER": 0xC020AA00,
        # uapi linux/if_tun.h, linux/sockios.h
        "TUNSETIFF": 0x400454CA,
        "SIOCGIFFLAGS": 0x8913,
        "SIOCGIFMTU": 0x8921,
        "SIOCETHTOOL": 0x8946,
    }
)
"""``ioctl`` requests by name."""

REQUEST_NAMES: Mapping[int, str] = MappingProxyType({at: name for name, at in REQUESTS.items()})
"""Their names by number."""


def host_numbers_h(calls: Iterable[str], requests: Iterable[str]) -> str:
    """``host_numbers.h``: the system calls and requests that are declared for one bundle."""
    text = "/* Generated: what this bundle's C may ask of the host, by number. */\n"
    for name in sorted(set(calls)):
        text += f"#define NR_{name.upper()} {NUMBERS[name]}\n"
    for name in sorted(set(requests)):
        text += f"#define {name} {REQUESTS[name]:#x}U\n"
    return text
