"""Memory of a sandbox as a file, and back.

The file has what the guest had in memory, and says which bundle that fits: one whose fixed parts
are the same bytes, of this Limpet and of one backend.  Nothing in it is ever run on the host or
names a file of it: whoever writes such a file makes memory of a guest, and no more.  The digest at
its end finds damage, and no enemy.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from limpet.contract.limits import CONTRACT_VERSION
from limpet.errors import BadAnswer, BuildError, BundleError, PlanError, VersionError
from limpet.plain import plain
from limpet.sandbox.memory import Memory
from limpet.sandbox.prepared import Prepared
from limpet.version import __version__

_MAGIC = b"limpet memory 1\n"
_MOST_HEAD = 1 << 16
_DIGEST = 32
_PIECE = 1 << 20
_ASKED = ("python", "packages", "warm", "memory", "jit")
_TAKE_AGAIN = "take it again, and save that"


def write(prepared: Prepared, memory: Memory, path: Path) -> None:
    """Write ``memory``, which fits ``prepared``, to a file.

    Raises:
        BuildError: the place cannot be written.
    """
    head = json.dumps(_head(prepared) | {"size": memory.size}).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("xb") as stream:
            os.fchmod(stream.fileno(), 0o600)  # what code had in memory may be secret
            digest = hashlib.sha256()
            parts = (_MAGIC, len(head).to_bytes(4, "little"), head, *memory.pieces(_PIECE))
            for each in parts:
                stream.write(each)
                digest.update(each)
            stream.write(digest.digest())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BuildError(f"{path}: cannot be written: {error.strerror}") from error


def load(prepared: Prepared, path: Path) -> Memory:
    """What :func:`write` wrote.

    Raises:
        BundleError: it is no such file, or damaged.
        VersionError: it is of another Limpet.
        PlanError: it is of another backend, or of another interpreter.
    """
    room = prepared.room()
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return _read(stream, size, prepared, room, str(path))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}", hint="check it") from error


def _read(stream: BinaryIO, size: int, prepared: Prepared, room: Memory, name: str) -> Memory:
    digest = hashlib.sha256()

    def take(count: int) -> bytes:
        data = stream.read(count)
        digest.update(data)
        return data

    head = _read_head(take, name)
    if head["limpet"] != __version__ or head["contract"] != int(CONTRACT_VERSION):
        raise VersionError(
            f"{name}: of Limpet {plain(str(head['limpet']))[:99]}, contract {head['contract']}; "
            f"here is {__version__}, contract {int(CONTRACT_VERSION)}",
            hint=f"load it with that Limpet, or {_TAKE_AGAIN}",
        )
    left = size - stream.tell() - _DIGEST
    if left != head["size"]:
        raise _damaged(name, f"it has {left} bytes of memory, not {head['size']}")
    _check_fits(head, prepared, name)
    try:
        while left and not room.is_whole:
            data = take(min(left, _PIECE))
            left -= len(data)
            rest = room.take(data)
            if rest or not data:
                raise _damaged(name, "its pieces of memory are none")
    except BadAnswer as error:
        raise _damaged(name, error.message) from error
    if left or not room.is_whole:
        raise _damaged(name, "its pieces of memory are none")
    if stream.read() != digest.digest():
        raise _damaged(name, "its bytes are not those that were written")
    return room


def _read_head(take: Callable[[int], bytes], name: str) -> dict[str, Any]:
    if take(len(_MAGIC)) != _MAGIC:
        hint = "write one: Sandbox.snapshot().save(path)"
        raise BundleError(f"{name}: no snapshot of a sandbox", hint=hint)
    length = int.from_bytes(take(4), "little")
    try:
        head = json.loads(take(length)) if length <= _MOST_HEAD else None
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or {each: type(head.get(each)) for each in _KINDS} != _KINDS:
        raise _damaged(name, "it does not say what it fits")
    return head


_KINDS: Mapping[str, type] = {
    "limpet": str,
    "contract": int,
    "backend": str,
    "fixed": str,
    "size": int,
    "python": str,
    "packages": list,
    "warm": str,
    "memory": int,
    "jit": bool,
}


def _damaged(name: str, what: str) -> BundleError:
    return BundleError(f"{name}: damaged: {what}", hint="copy it again")


def _head(prepared: Prepared) -> dict[str, Any]:
    """What memory of ``prepared`` fits, in the words of who made it."""
    recipe = prepared.recipe
    return {
        "limpet": __version__,
        "contract": int(CONTRACT_VERSION),
        "backend": recipe.backend,
        "fixed": _fixed(prepared.bundle),
        "python": os.fspath(recipe.interpreter),
        "packages": list(recipe.packages),
        "warm": recipe.warm,
        "memory": recipe.memory,
        "jit": recipe.jit,
    }


def _check_fits(head: Mapping[str, Any], prepared: Prepared, name: str) -> None:
    here = _head(prepared)
    if head["backend"] != here["backend"]:
        raise PlanError(
            f"{name}: taken with backend={plain(head['backend'])[:99]!r}, not with "
            f"{here['backend']!r}: the library OS in its memory calls the monitor of that backend",
            hint="prepare with that backend",
        )
    other = [each for each in _ASKED if head[each] != here[each]]
    if other:
        theirs = ", ".join(f"{each}={plain(repr(head[each]))[:99]}" for each in other)
        raise PlanError(
            f"{name}: taken of another interpreter, with {theirs}", hint="prepare with the same"
        )
    if head["fixed"] != here["fixed"]:
        raise PlanError(
            f"{name}: the interpreter, its modules or Limpet have changed since it was taken",
            hint=_TAKE_AGAIN,
        )


@cache
def _fixed(bundle: Path) -> str:
    """A digest of what no start changes: memory that points there fits no other bytes.

    The monitor is not of it: it knows by chance which pages are hot.  Neither is what was sealed
    at the moment, which is memory: a loader seals what it has found of its processor.
    """
    from limpet.formats.bundle.read import taken_apart

    found = taken_apart(bundle.read_bytes(), str(bundle))
    digest = hashlib.sha256()
    for each in found.parts:
        if "w" in each.rights or each is found.monitor:
            continue
        for low, high in _left(each.address, each.end, found.record.sealed):
            digest.update(f"{low:#x} {high:#x}\n".encode())
            digest.update(found.memory(low, high - low))
    return digest.hexdigest()


def _left(low: int, high: int, runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of [low, high) is in none of ``runs``, which ascend."""
    for start, end in runs:
        if start < high and low < end:
            if low < start:
                yield low, start
            low = end
    if low < high:
        yield low, high
