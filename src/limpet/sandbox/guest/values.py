"""Plain data as JSON and back: what crosses between host and guest, in both directions.

None, booleans, numbers, texts and lists are themselves, and so is a dictionary with texts as keys.
What JSON does not have stands as ``{"$": [KIND, CONTENTS]}``.  Reading builds nothing but these
types and calls nothing that was sent, so that a forged answer is at worst wrong data.

This runs in guests too, under Python 3.9.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

TAG: Final = "$"
DEEPEST: Final = 64
"""Values in values."""

_PLAIN_INT, _LEAST_INT = 1 << 53, -1 << 53
"""Between these every reader of JSON takes a number for the same one."""

_EQUAL_HASHES: Final = 64
"""Keys that may have the hash of another: a dictionary of a million such takes hours to make."""

_SEQUENCES: Final = {"tuple": tuple, "set": set, "frozenset": frozenset}


def encode(value: Any, deepest: int = DEEPEST) -> Any:
    """``value`` as JSON has it.

    Raises:
        TypeError: it is, or holds, something that is not plain data.
        ValueError: it is deeper than ``deepest``.
    """
    if deepest < 0:
        raise ValueError(f"it is deeper than {DEEPEST} values in values")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int and _LEAST_INT <= value <= _PLAIN_INT:
        return value
    return _encoded(value, deepest)


def _encoded(value: Any, deepest: int) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if _LEAST_INT <= value <= _PLAIN_INT else _tagged("int", hex(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _tagged("float", repr(float(value)))
    if isinstance(value, complex):
        return _tagged("complex", [encode(value.real), encode(value.imag)])
    if isinstance(value, (bytes, bytearray)):
        return _tagged("bytes", base64.b64encode(value).decode("ascii"))
    if isinstance(value, dict):
        return _encoded_dictionary(value, deepest - 1)
    if isinstance(value, list):
        return [encode(each, deepest - 1) for each in value]
    for kind, made in _SEQUENCES.items():
        if isinstance(value, made):
            return _tagged(kind, [encode(each, deepest - 1) for each in value])
    return encode(_number_of(value), deepest - 1)


def _tagged(kind: str, contents: Any) -> dict[str, Any]:
    return {TAG: [kind, contents]}


def _encoded_dictionary(value: dict[Any, Any], deepest: int) -> dict[str, Any]:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: encode(each, deepest) for key, each in value.items()}
    pairs = [[encode(key, deepest), encode(each, deepest)] for key, each in value.items()]
    return _tagged("dict", pairs)


def _number_of(value: Any) -> Any:
    """The plain number that a number of NumPy's is."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        number = value.item()
        if isinstance(number, (bool, int, float, complex)):
            return number
    raise TypeError(f"a value of type {type(value).__name__} is not plain data")


def decode(value: Any, deepest: int = DEEPEST) -> Any:
    """The value that :func:`encode` was given.

    Args:
        value: what a reader of JSON made; it may be anybody's.

    Raises:
        ValueError: it is nothing that :func:`encode` writes.
    """
    if deepest < 0:
        raise ValueError(f"it is deeper than {DEEPEST} values in values")
    if value is None or isinstance(value, (bool, str, int, float)):
        return value
    if isinstance(value, list):
        return [decode(each, deepest - 1) for each in value]
    if not isinstance(value, dict):
        raise ValueError("it is no JSON")
    if TAG not in value:
        return {key: decode(each, deepest - 1) for key, each in value.items()}
    tagged = value[TAG]
    if len(value) != 1 or not isinstance(tagged, list) or len(tagged) != 2:
        raise ValueError("a value is tagged in a way that is not known")
    kind, contents = tagged
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise ValueError("a value is of a kind that is not known")
    return reader(contents, deepest - 1)


def _integer(contents: Any, _: int) -> int:
    if not isinstance(contents, str):
        raise ValueError("a whole number is not text")
    return int(contents, 16)  # takes time that grows with its length, not with the square of it


def _float(contents: Any, _: int) -> float:
    if contents not in ("nan", "inf", "-inf"):
        raise ValueError("a number is not one that JSON has no word for")
    return float(contents)


def _complex(contents: Any, deepest: int) -> complex:
    parts = [decode(each, deepest) for each in contents] if isinstance(contents, list) else []
    if len(parts) != 2 or not all(type(each) is float for each in parts):
        raise ValueError("a complex number is not two others")
    return complex(*parts)


def _bytes(contents: Any, _: int) -> bytes:
    if not isinstance(contents, str):
        raise ValueError("bytes are not text")
    try:
        return base64.b64decode(contents, validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("bytes are not base64") from error


def _dictionary(contents: Any, deepest: int) -> dict[Any, Any]:
    if not isinstance(contents, list):
        raise ValueError("a dictionary is not a list of pairs")
    pairs = [decode(each, deepest) for each in contents]
    if not all(isinstance(each, list) and len(each) == 2 for each in pairs):
        raise ValueError("a dictionary is not a list of pairs")
    _check_hashes(key for key, _ in pairs)
    return {key: each for key, each in pairs}  # noqa: C416  pairs are lists


def _sequence(make: Callable[[list[Any]], Any]) -> Callable[[Any, int], Any]:
    def read(contents: Any, deepest: int) -> Any:
        if not isinstance(contents, list):
            raise ValueError("what should be a sequence is not")
        members = [decode(each, deepest) for each in contents]
        if make is not tuple:
            _check_hashes(members)
        return make(members)

    return read


def _check_hashes(keys: Iterable[Hashable]) -> None:
    """Nothing, or an error for keys that cannot be ones, or were made to have the same hash.

    Hashes of numbers are not random: a guest knows which are alike, and what a table of them costs.
    """
    try:
        hashes = [hash(key) for key in keys]
    except TypeError as error:
        raise ValueError("a key is a list or a dictionary") from error
    if len(hashes) - len(set(hashes)) > _EQUAL_HASHES:
        raise ValueError("too many keys have the same hash")


_READERS: Final[dict[str, Callable[[Any, int], Any]]] = {
    "int": _integer,
    "float": _float,
    "complex": _complex,
    "bytes": _bytes,
    "dict": _dictionary,
    **{kind: _sequence(make) for kind, make in _SEQUENCES.items()},
}
