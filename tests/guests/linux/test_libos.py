"""The library OS's own algorithms, compiled as for a guest and called in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.native import EINVAL, INT, PTR, S64, U64, Library, quick


@pytest.fixture(scope="session")
def string(native: Callable[[str], Library]) -> Library:
    """core/string.c."""
    return native("string")


texts = st.binary(max_size=80).map(lambda b: b.replace(b"\0", b"\1"))


@quick
@given(data=st.binary(min_size=1, max_size=300), spans=st.tuples(*[st.integers(0, 300)] * 3))
def test_moving_bytes(string: Library, data: bytes, spans: tuple[int, int, int]) -> None:
    """memmove by any overlap, memcpy by none, memset: as Python's slices."""
    size = len(data)
    to, source, n = (each % size for each in spans)
    n = min(n, size - max(to, source))
    buffer = ctypes.create_string_buffer(data, size)
    at = ctypes.addressof(buffer)
    expected = bytearray(data)
    expected[to : to + n] = data[source : source + n]
    assert string("move", PTR, PTR, PTR, U64)(at + to, at + source, n) == at + to
    assert buffer.raw == bytes(expected)
    other = ctypes.create_string_buffer(size)
    assert string("copy", PTR, PTR, PTR, U64)(other, at, size) == ctypes.addressof(other)
    assert other.raw == bytes(expected)
    string("set", PTR, PTR, INT, U64)(at + to, 0x1A5, n)
    expected[to : to + n] = b"\xa5" * n
    assert buffer.raw == bytes(expected)


@quick
@given(a=texts, b=texts, common=texts)
def test_comparing(string: Library, a: bytes, b: bytes, common: bytes) -> None:
    """memcmp, strcmp and strlen, bytes unsigned."""

    def sign(x: int) -> int:
        return (x > 0) - (x < 0)

    a, b = common + a, common + b
    expected = (a > b) - (a < b)
    assert sign(string("compare_strings", INT, ctypes.c_char_p, ctypes.c_char_p)(a, b)) == expected
    assert string("length", U64, ctypes.c_char_p)(a) == len(a)
    n = min(len(a), len(b))
    expected = (a[:n] > b[:n]) - (a[:n] < b[:n])
    compare = string("compare", INT, ctypes.c_char_p, ctypes.c_char_p, U64)
    assert sign(compare(a, b, n)) == expected
    assert compare(a, b, 0) == 0


@pytest.fixture
def entropy(native: Callable[[str], Library]) -> Library:
    """parts/entropy, as at the start of a guest."""
    library = native("entropy")
    library("start", None)()
    return library


def _block(entropy: Library, key: bytes, counter: int, nonce: bytes = bytes(12)) -> bytes:
    out = ctypes.create_string_buffer(64)
    call = entropy("block", None, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_char_p, PTR)
    call(key, counter, nonce, out)
    return out.raw


# RFC 8439, section 2.3.2 and appendix A.1: key, counter, nonce, key stream.
RFC_8439 = [
    (
        bytes(range(32)),
        1,
        "000000090000004a00000000",
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    ),
    (
        bytes(32),
        0,
        "000000000000000000000000",
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        bytes(32),
        1,
        "000000000000000000000000",
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        bytes(31) + b"\1",
        1,
        "000000000000000000000000",
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        b"\0\xff" + bytes(30),
        2,
        "000000000000000000000000",
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
        "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ),
    (
        bytes(32),
        0,
        "000000000000000000000002",
        "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
    ),
]


@pytest.mark.parametrize("vector", RFC_8439)
def test_chacha20(entropy: Library, vector: tuple[bytes, int, str, str]) -> None:
    """The block function of RFC 8439."""
    key, counter, nonce, stream = vector
    assert _block(entropy, key, counter, bytes.fromhex(nonce)).hex() == stream


def _stream(entropy: Library, sizes: Sequence[int]) -> bytes:
    """Fast key erasure: of what is made each time, as much as is wanted, the first 32 bytes are the
    next key; of 512 at most."""
    key, rest, out, since, seeds = bytes(32), b"", b"", 1 << 20, 0
    for size in sizes:
        end = len(out) + size
        while len(out) + len(rest) < end:
            if since >= 1 << 20:
                seeds += 1
                key, since = bytes(a ^ seeds for a in key), 0
            out += rest
            blocks = -(-(32 + min(end - len(out), 480)) // 64)
            made = b"".join(_block(entropy, key, counter) for counter in range(blocks))
            key, rest, since = made[:32], made[32:], since + len(made) - 32
        out, rest = out + rest[: end - len(out)], rest[end - len(out) :]
    return out


def _random(entropy: Library, size: int, flags: int = 0) -> bytes:
    out = ctypes.create_string_buffer(size + 1)
    assert entropy("get_random", S64, PTR, U64, S64)(out, size, flags) == size
    assert out.raw[size] == 0
    return out.raw[:size]


@quick
@given(sizes=st.lists(st.integers(0, 1500), max_size=8))
def test_random_stream(entropy: Library, sizes: list[int]) -> None:
    """The generator gives its key stream, however it is asked, and keeps none of it."""
    entropy("start", None)()
    given_out = b"".join(_random(entropy, size) for size in sizes)
    assert given_out == _stream(entropy, sizes)
    state = ctypes.create_string_buffer(1024)
    kept = state.raw[: entropy("state", U64, PTR)(state)]
    assert len(kept) == 32 + 512
    assert not any(given_out[at : at + 16] in kept for at in range(0, len(given_out) - 15, 16))


def test_random_reseeds(entropy: Library) -> None:
    """The host is asked again after a mebibyte."""
    assert _random(entropy, 3 << 20) == _stream(entropy, [3 << 20])
    assert entropy("seeded_times", INT)() == 3
    call = entropy("get_random", S64, PTR, U64, S64)
    assert [call(None, 0, flags) for flags in (1, 2, 4, 6, 8)] == [0, 0, 0, -EINVAL, -EINVAL]
