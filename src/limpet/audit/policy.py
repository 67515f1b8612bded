"""What an operator allows: a TOML file that ``audit --policy`` holds a bundle against.

Every key is optional; what is not named is not limited, and an empty list allows nothing::

    backends = ["kvm"]
    host_calls = ["write", "ioctl", "exit_group"]   # left behind the filter
    setup_calls = ["openat", "mmap", "..."]         # anywhere in the monitor's code
    requests = ["KVM_RUN", "..."]                   # ioctl requests
    hypercalls = ["exit", "console_out"]
    devices = []                                    # that the guest's manifest asks for
    published = ["127.0.0.1:*"]                     # where ports of the host lead to the guest
    endpoints = ["192.0.2.1:443"]                   # that the guest may connect to
    opens = ["/dev/kvm"]                            # paths that the monitor opens
    files = ["/", "/usr/*"]                         # packed files, as shell patterns
    protections = ["guest in ring 3"]               # must be present
    max_monitor_bytes = 12000
    max_bundle_bytes = 4000000
    max_snapshot_bytes = 0                          # no guest that goes on from a moment
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from limpet.audit.model import Audit
from limpet.errors import PolicyError

_LISTS: dict[str, tuple[str, Callable[[Audit], Iterable[str]]]] = {
    "backends": ("backend", lambda a: a.backends),
    "host_calls": ("host call", lambda a: (r.call for f in a.filters for r in f.rules)),
    "setup_calls": ("call of the monitor", lambda a: (n for c in a.calls for n in c.calls)),
    "requests": ("ioctl request", lambda a: a.requests),
    "hypercalls": ("hypercall", lambda a: (h.name for h in a.hypercalls)),
    "devices": ("device", lambda a: a.devices),
    "published": ("published port", lambda a: a.published),
    "endpoints": ("endpoint", lambda a: a.endpoints),
    "opens": ("opened path", lambda a: a.opens),
    "files": ("packed file", lambda a: (f.path for f in a.files)),
}
_SIZES: dict[str, tuple[str, Callable[[Audit], int]]] = {
    "max_monitor_bytes": ("monitor", lambda a: a.monitor_bytes),
    "max_bundle_bytes": ("bundle", lambda a: a.size),
    "max_snapshot_bytes": ("snapshot", lambda a: a.snapshot_bytes),
}


@dataclass(frozen=True)
class Policy:
    """What is allowed, by key."""

    lists: dict[str, tuple[str, ...]]
    sizes: dict[str, int]
    protections: tuple[str, ...]

    def violations(self, audit: Audit) -> Iterator[str]:
        """Everything that ``audit`` found and this does not allow."""
        for key, allowed in self.lists.items():
            word, values = _LISTS[key]
            for value in sorted(set(values(audit))):
                if value not in allowed and not any(fnmatchcase(value, each) for each in allowed):
                    yield f"{word} {value} is not among {key}"
        for key, most in self.sizes.items():
            word, size = _SIZES[key]
            if size(audit) > most:
                yield f"the {word} has {size(audit)} bytes, more than {key} = {most}"
        present = {each.name for each in audit.protections if each.present}
        for name in self.protections:
            if name not in present:
                yield f"protection {name} is required and absent"


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: it cannot be read or does not say what a policy says.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(
            f"{path}: cannot be read: {error.strerror}", hint="give a TOML file to --policy"
        ) from None
    except (ValueError, RecursionError) as error:  # a number without end, nesting without end
        raise PolicyError(f"{path}: {error}", hint="mend the file") from None
    known = {*_LISTS, *_SIZES, "protections"}
    unknown = table.keys() - known
    if unknown:
        raise PolicyError(
            f"{path}: unknown key {min(unknown)}", hint=f"known are {', '.join(sorted(known))}"
        )
    return Policy(
        {key: _strings(path, key, table[key]) for key in _LISTS if key in table},
        {key: _size(path, key, table[key]) for key in _SIZES if key in table},
        _strings(path, "protections", table.get("protections", [])),
    )


def _strings(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise PolicyError(f"{path}: {key} must be a list of strings", hint=f'{key} = ["..."]')
    return tuple(value)


def _size(path: Path, key: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise PolicyError(f"{path}: {key} must be a number of bytes", hint=f"{key} = 12000")
    return value
