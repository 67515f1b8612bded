"""The contract between guest and monitor: every hypercall, structure and number, declared once.

From here come the C header both sides compile (``header``), the monitor's dispatch, the guest's
gates, the seccomp filter, ``docs/hypercalls.md`` (``reference``) and :meth:`Struct.pack`; no number
of the interface stands anywhere else.  A bundle's record names the contract's version.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limpet.contract.backends import BACKENDS, BESIDE, Backend, Filtered, whose
    from limpet.contract.header import c_header
    from limpet.contract.hypercall import (
        HostCall,
        Hypercall,
        Pin,
        hvt_hypercalls,
        hypercalls,
        least,
        on_kvm,
    )
    from limpet.contract.limits import CONTRACT_VERSION, DEVICE_FD, FRAME_MOST, PORT_BASE
    from limpet.contract.reference import markdown
    from limpet.contract.structures import (
        GUEST_INFO,
        MFT_ENTRY,
        PLACED_OBJECT,
        PLACED_SEGMENT,
        SPAN,
        SYMBOL_ENTRY,
        Field,
        Struct,
    )

__all__ = [
    "BACKENDS",
    "BESIDE",
    "CONTRACT_VERSION",
    "DEVICE_FD",
    "FRAME_MOST",
    "GUEST_INFO",
    "MFT_ENTRY",
    "PLACED_OBJECT",
    "PLACED_SEGMENT",
    "PORT_BASE",
    "SPAN",
    "SYMBOL_ENTRY",
    "Backend",
    "Field",
    "Filtered",
    "HostCall",
    "Hypercall",
    "Pin",
    "Struct",
    "c_header",
    "hvt_hypercalls",
    "hypercalls",
    "least",
    "markdown",
    "on_kvm",
    "whose",
]

_HOMES = ("backends", "limits", "structures", "hypercall", "header", "reference")
"""The modules that these names are from; the later ones import the earlier."""


def __getattr__(name: str) -> object:
    """Import on first use: who needs one number reads no hypercall's metadata for it."""
    if name in __all__:
        for home in _HOMES:
            found = vars(import_module(f"limpet.contract.{home}"))
            if name in found:
                return globals().setdefault(name, found[name])
    raise AttributeError(f"module 'limpet.contract' has no attribute {name!r}")
