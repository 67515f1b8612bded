"""Plain data crosses as it is, and nothing else is ever made of what was sent."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.sandbox.guest.values import DEEPEST, decode, encode

KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
PLAIN = st.recursive(
    KEYS | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False),
    lambda each: (
        st.lists(each, max_size=4)
        | st.lists(each, max_size=4).map(tuple)
        | st.dictionaries(KEYS, each, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=12,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: (
        st.lists(each)
        | st.dictionaries(st.text() | st.just("$"), each)
        | st.tuples(
            st.sampled_from(["int", "float", "complex", "bytes", "dict", "tuple", "set"]), each
        ).map(lambda pair: {"$": list(pair)})
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_it_comes_back(value: Any) -> None:
    """With its types, also those that JSON does not have."""
    back = decode(json.loads(json.dumps(encode(value), allow_nan=False)))
    assert back == value
    assert repr(type(back)) == repr(type(value))


@given(JSON)
def test_forged(value: Any) -> None:
    """Whatever is sent gives plain data, or an error."""
    try:
        found = decode(value)
    except ValueError:
        return
    encode(found)


@pytest.mark.parametrize(
    "value",
    [
        {"$": ["object", "x"]},
        {"$": ["int", 3]},
        {"$": ["int", "0x"]},
        {"$": ["float", "1e999"]},
        {"$": ["bytes", "é"]},
        {"$": ["bytes", "A"]},
        {"$": ["dict", [[[], 1]]]},
        {"$": ["dict", [[1, 2, 3]]]},
        {"$": ["set", [[1]]]},
        {"$": ["complex", [1.0]]},
        {"$": ["tuple"]},
        {"$": ["tuple", []], "more": 1},
        {"$": [["tuple"], []]},
        {"$": {}},
        object(),
    ],
    ids=lambda value: "object" if type(value) is object else repr(value),
)
def test_what_nobody_writes(value: Any) -> None:
    """One error for each way to be wrong."""
    with pytest.raises(ValueError, match=r"."):
        decode(value)


def test_depth() -> None:
    """A value in a value in a value ends somewhere, on both sides."""
    deep: Any = 1
    for _ in range(DEEPEST + 1):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper"):
        encode(deep)
    with pytest.raises(ValueError, match="deeper"):
        decode(deep)
    assert decode(deep[0]) == encode(deep[0])


def test_a_table_that_takes_hours() -> None:
    """Numbers with the same hash make a dictionary slow: they are refused before it is made."""
    alike = [[encode(number * ((1 << 61) - 1)), 0] for number in range(1, 1000)]
    for sent in ({"$": ["dict", alike]}, {"$": ["set", [key for key, _ in alike]]}):
        with pytest.raises(ValueError, match="same hash"):
            decode(sent)


@pytest.mark.parametrize(
    "value", [object(), print, Exception(), {1: object()}, [print]], ids=range(5)
)
def test_what_is_no_data(value: Any) -> None:
    """What has behaviour stays where it is."""
    with pytest.raises(TypeError, match="not plain data"):
        encode(value)


def test_numbers_that_json_lacks() -> None:
    """Not a number is sent too."""
    assert math.isnan(decode(encode(math.nan)))
    assert decode(encode(-math.inf)) == -math.inf
    assert decode(encode(1 << 200)) == 1 << 200
