"""Runs in the guest: what modules made of random numbers or of the time, made anew in each start.

A start has all that was imported before its moment, and so have all others: without this two of
them would have the same secrets.  No module is imported that was not.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # nothing is imported that the script would not find imported
    from typing import Any


def _renew_random(module: Any) -> None:
    """As many bits as there can be chance in; by itself it takes 2,500 bytes for them."""
    module._inst.seed(int.from_bytes(os.urandom(32), "big"))


def _renew_numpy(module: Any) -> None:
    module.seed()


def _renew_uuid(module: Any) -> None:
    """The C library has a node and a sequence of its own, from the first question on: no longer."""
    module._generate_time_safe = module._last_timestamp = None
    module._node = int.from_bytes(os.urandom(6), "big") | 1 << 40  # no interface's: RFC 9562, 6.10


def _renew_tempfile(module: Any) -> None:
    module._name_sequence = None


def _renew_ssl(module: Any) -> None:
    module.RAND_add(os.urandom(32), 32.0)


def _renew_processes(module: Any) -> None:
    config = module._current_process._config
    config["authkey"] = module.AuthenticationString(os.urandom(32))


def _renew_logging(module: Any) -> None:
    time: Any = sys.modules["time"]
    module._startTime = time.time_ns() if type(module._startTime) is int else time.time()


def _renew_polars(module: Any) -> None:
    module.set_random_seed(int.from_bytes(os.urandom(8), "big"))


def _renew_torch(module: Any) -> None:
    module.seed()


def _renew_uuid_utils(module: Any) -> None:
    module.reseed_rng()


_RENEWED = {
    "random": _renew_random,
    "numpy.random": _renew_numpy,
    "uuid": _renew_uuid,
    "tempfile": _renew_tempfile,
    "_ssl": _renew_ssl,
    "multiprocessing.process": _renew_processes,
    "logging": _renew_logging,
    "polars": _renew_polars,
    "torch": _renew_torch,
    "uuid_utils": _renew_uuid_utils,
}


def renew_modules() -> None:
    """What was random, or of the moment, in modules that are imported already."""
    for name, renew in _RENEWED.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            renew(module)
        except AttributeError:  # another one by that name
            continue
