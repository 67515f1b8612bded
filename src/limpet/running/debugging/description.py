"""The registers of an x86-64 guest as gdb numbers them, and the XML that tells it so.

Vector registers lie in the area that XSAVE writes.  Sources: gdb's ``features/i386/*.xml``; Intel
SDM volume 1, chapter 13.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

GENERAL = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"),
    *(f"r{number}" for number in range(8, 16)),
    "rip",
)
_NARROW = ("eflags", "cs", "ss", "ds", "es", "fs", "gs")
_POINTERS = {"rbp": "data_ptr", "rsp": "data_ptr", "rip": "code_ptr"}
_STATE = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")

LEGACY_SIZE = 512
"""Bytes that FXSAVE writes; behind them are the header of XSAVE and its other parts."""

_STATES_AT, _UPPER_AT, _UPPER_SIZE, _UPPER = 512, 576, 256, 4


@dataclass(frozen=True)
class Register:
    """A register: bytes, and where they lie in the area of XSAVE, -1 for a general one."""

    name: str
    size: int
    at: int = -1
    state: int = 0  # the bit of XSTATE_BV that says that it is not in its first state


def registers(upper: bool) -> tuple[Register, ...]:
    """All of them in gdb's order; ``upper``: with the upper halves of AVX."""
    return tuple(_registers(upper))


def _registers(upper: bool) -> Iterator[Register]:
    yield from (Register(name, 8) for name in GENERAL)
    yield from (Register(name, 4) for name in _NARROW)
    yield from (Register(f"st{number}", 10, 32 + 16 * number, 1) for number in range(8))
    yield from (Register(name, 4, 0, 1) for name in _STATE)
    yield from (Register(f"xmm{number}", 16, 160 + 16 * number, 2) for number in range(16))
    yield Register("mxcsr", 4, 24, 0)
    yield from (Register(name, 8) for name in ("orig_rax", "fs_base", "gs_base"))
    if upper:
        yield from (
            Register(f"ymm{number}h", 16, _UPPER_AT + 16 * number, _UPPER) for number in range(16)
        )


def has_upper(area: bytes) -> bool:
    """Whether an area of XSAVE has the upper halves of AVX."""
    return len(area) >= _UPPER_AT + _UPPER_SIZE


_CONTROL = {"fctrl": 0, "fstat": 2, "fop": 6, "fioff": 8, "fiseg": 12, "fooff": 16, "foseg": 20}
_WORDS = ("fctrl", "fstat", "fop", "fiseg", "foseg")


def value(register: Register, general: Mapping[str, int], area: bytes | None) -> bytes | None:
    """A register's bytes; ``None``: nobody knows them."""
    if register.at < 0:
        found = general.get(register.name)
        if found is None:
            return None
        return (found & (1 << 8 * register.size) - 1).to_bytes(register.size, "little")
    if area is None or len(area) < LEGACY_SIZE:
        return None
    if register.name in _STATE:
        return _control(register.name, area).to_bytes(4, "little")
    return area[register.at : register.at + register.size]


def _control(name: str, area: bytes) -> int:
    if name == "ftag":
        return _full_tags(area)
    at = _CONTROL[name]
    return int.from_bytes(area[at : at + (2 if name in _WORDS else 4)], "little")


def _full_tags(area: bytes) -> int:
    """Two bits for each register of the x87, as FSAVE has them; FXSAVE says which are empty."""
    top = int.from_bytes(area[2:4], "little") >> 11 & 7
    tags = 0
    for number in range(8):
        if not area[4] >> number & 1:
            kind = 3
        else:
            at = 32 + 16 * ((number - top) & 7)
            kind = _kind(area[at : at + 10])
        tags |= kind << 2 * number
    return tags


def _kind(number: bytes) -> int:
    exponent = int.from_bytes(number[8:10], "little") & 0x7FFF
    fraction = int.from_bytes(number[:8], "little")
    if exponent == 0x7FFF or (exponent and not fraction >> 63):
        return 2
    if not exponent:
        return 2 if fraction else 1
    return 0


def with_value(register: Register, data: bytes, area: bytes) -> bytes:
    """``area`` with one of its registers changed."""
    changed = bytearray(area)
    if register.name == "ftag":
        tags = int.from_bytes(data[:2], "little")
        changed[4] = sum((tags >> 2 * n & 3 != 3) << n for n in range(8))
    elif register.name in _STATE:
        at, size = _CONTROL[register.name], 2 if register.name in _WORDS else 4
        changed[at : at + size] = data[:size]
    else:
        changed[register.at : register.at + register.size] = data[: register.size]
    if len(changed) > _STATES_AT:
        changed[_STATES_AT] |= register.state
    return bytes(changed)


def _reg(name: str, bits: int, kind: str, more: str = "") -> str:
    return f'<reg name="{name}" bitsize="{bits}" type="{kind}"{more}/>'


_VECTORS = """\
<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/></union>
"""
_FLAGS = (
    *(("CF", 0), ("", 1), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9)),
    *(("DF", 10), ("OF", 11), ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("ID", 21)),
)
_ROUNDING = ["IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM"]


def _flags(name: str, bits: Iterator[tuple[str, int]] | tuple[tuple[str, int], ...]) -> str:
    fields = "".join(f'<field name="{each}" start="{at}" end="{at}"/>' for each, at in bits)
    return f'<flags id="{name}" size="4">{fields}</flags>'


def _core() -> Iterator[str]:
    yield _flags("i386_eflags", _FLAGS)
    for name in GENERAL:
        yield _reg(name, 64, _POINTERS.get(name, "int64"))
    for name in _NARROW:
        yield _reg(name, 32, "i386_eflags" if name == "eflags" else "int32")
    yield from (_reg(f"st{number}", 80, "i387_ext") for number in range(8))
    yield from (_reg(name, 32, "int", ' group="float"') for name in _STATE)


def _sse() -> Iterator[str]:
    yield _VECTORS
    yield _flags("i386_mxcsr", (*zip(_ROUNDING, range(13), strict=True), ("FZ", 15)))
    yield from (_reg(f"xmm{number}", 128, "vec128") for number in range(16))
    yield _reg("mxcsr", 32, "i386_mxcsr", ' group="vector"')


def _segments() -> Iterator[str]:
    yield from (_reg(name, 64, "int") for name in ("fs_base", "gs_base"))


def _avx() -> Iterator[str]:
    yield from (_reg(f"ymm{number}h", 128, "uint128") for number in range(16))


def xml(upper: bool, *, linux: bool) -> str:
    """The target description of :func:`registers`, of a program of Linux or of none."""
    features = {
        "core": _core(),
        "sse": _sse(),
        "linux": iter([_reg("orig_rax", 64, "int", ' group="system"')]),
        "segments": _segments(),
        **({"avx": _avx()} if upper else {}),
    }
    body = "".join(
        f'<feature name="org.gnu.gdb.i386.{name}">{"".join(parts)}</feature>\n'
        for name, parts in features.items()
    )
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE target SYSTEM "gdb-target.dtd">\n<target>\n'
        f"<architecture>i386:x86-64</architecture>\n<osabi>{'GNU/Linux' if linux else 'none'}"
        f"</osabi>\n{body}</target>\n"
    )
