"""Solo5 unikernels as read: their ABI and the devices that their manifest declares.

Both stand in ELF notes named ``Solo5``: ``ABI1`` says which tender the unikernel is made for,
``MFT1`` lists its devices.  Sources: Solo5's ``include/{elf_abi,mft_abi}.h``.  ABI version 1 of
hvt and spt is Solo5 0.7, version 2 is 0.8 and later.  The notes are hostile input.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from limpet.contract.limits import MAX_DEVICES
from limpet.errors import ImageError
from limpet.formats.manifest import (
    ENTRY,
    HEAD,
    KINDS,
    NAME,
    RESERVED_FIRST,
    Device,
    DeviceKind,
)

Target = Literal["hvt", "spt"]

_ABI1, _MFT1 = 0x31494241, 0x3154464D
_TARGETS: dict[int, Target] = {1: "hvt", 2: "spt"}
_OTHER_TARGETS = {3: "virtio", 4: "muen", 5: "genode", 6: "xen"}
_VERSIONS = (1, 2)

_REBUILD = "build the unikernel again with a Solo5 toolchain from 0.7 on"


@dataclass(frozen=True)
class Solo5:
    """What the notes of a unikernel say."""

    target: Target
    version: int
    devices: tuple[Device, ...]


def read(notes: list[bytes], name: str) -> Solo5 | None:
    """What ``notes`` (the contents of the PT_NOTE segments) say, ``None`` without Solo5's.

    Raises:
        ImageError: a note is damaged, or asks for what Limpet does not have.
    """
    found: dict[int, bytes] = {}
    for note in notes:
        for kind, content in _split(note, name):
            if kind in found:
                raise ImageError(f"{name}: two Solo5 notes of one kind", hint=_REBUILD)
            found[kind] = content
    if not found:
        return None
    for kind, what in ((_ABI1, "ABI information"), (_MFT1, "manifest")):
        if kind not in found:
            raise ImageError(f"{name}: a Solo5 unikernel without {what}", hint=_REBUILD)
    target, version = _abi(found[_ABI1], name)
    return Solo5(target, version, tuple(_devices(found[_MFT1], name)))


def _split(note: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """Solo5's notes in a PT_NOTE segment: each of its segments holds one."""
    if len(note) < 12:
        return
    name_size, size, kind = struct.unpack_from("<III", note)
    if note[12 : 12 + name_size] != b"Solo5\0" or name_size != 6:
        return
    start = 12 + 8
    if start + size > len(note):
        raise ImageError(
            f"{name}: its Solo5 note does not fall within valid size: {size} bytes are announced, "
            f"{max(0, len(note) - start)} are there",
            hint=_REBUILD,
        )
    yield kind, note[start : start + size]


def _abi(content: bytes, name: str) -> tuple[Target, int]:
    if len(content) < 8:
        raise ImageError(f"{name}: its Solo5 ABI note is too short", hint=_REBUILD)
    target, version = struct.unpack_from("<II", content)
    if target not in _TARGETS:
        what = _OTHER_TARGETS.get(target, f"number {target}")
        raise ImageError(
            f"{name}: a Solo5 unikernel for the target {what}; Limpet runs hvt and spt",
            hint="build it for hvt or spt, with MirageOS: mirage configure -t hvt",
        )
    if version not in _VERSIONS:
        raise ImageError(
            f"{name}: {_TARGETS[target]} ABI version {version}; Limpet knows 1 (Solo5 0.7) and "
            "2 (0.8 and later)",
            hint=_REBUILD,
        )
    return _TARGETS[target], version


def _devices(content: bytes, name: str) -> Iterator[Device]:
    """The manifest's devices; its note's content is padded by 4 bytes to align the structure."""
    body = content[4:]
    if len(body) < HEAD.size:
        raise ImageError(
            f"{name}: its Solo5 manifest note does not fall within valid size: {len(body)} bytes",
            hint=_REBUILD,
        )
    version, count = HEAD.unpack_from(body)
    if version != 1:
        raise ImageError(f"{name}: Solo5 manifest version {version}, not 1", hint=_REBUILD)
    if not 1 <= count <= MAX_DEVICES + 1:
        raise ImageError(
            f"{name}: {count - 1} devices in its Solo5 manifest; at most {MAX_DEVICES} can be",
            hint=_REBUILD,
        )
    if len(body) != HEAD.size + count * ENTRY.size:
        raise ImageError(
            f"{name}: its Solo5 manifest has {len(body)} bytes, not those of {count} entries",
            hint=_REBUILD,
        )
    seen: set[tuple[DeviceKind, str]] = set()
    for handle in range(count):
        fields = ENTRY.unpack_from(body, HEAD.size + handle * ENTRY.size)
        device = _device(name, handle, fields[0], fields[1], fields[8])
        if device and (device.kind, device.name) in seen:
            raise ImageError(f"{name}: its manifest has {device.name} twice", hint=_REBUILD)
        if device:
            seen.add((device.kind, device.name))
            yield device


def _device(name: str, handle: int, raw: bytes, kind: int, attached: int) -> Device | None:
    label = raw.split(b"\0")[0]
    if attached or (handle == 0) != (kind == RESERVED_FIRST) or (handle == 0 and label):
        raise ImageError(f"{name}: entry {handle} of its Solo5 manifest is damaged", hint=_REBUILD)
    if handle == 0:
        return None
    if kind not in KINDS:
        raise ImageError(
            f"{name}: device {handle} of its manifest is of the unknown type {kind}",
            hint="Limpet knows BLOCK_BASIC (1) and NET_BASIC (2)",
        )
    if not NAME.fullmatch(label.decode("latin-1")) or raw.rstrip(b"\0") != label:
        raise ImageError(
            f"{name}: device {handle} of its manifest has the bad name {label!r}", hint=_REBUILD
        )
    return Device(label.decode(), KINDS[kind], handle)
