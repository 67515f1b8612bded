"""Every byte of an answer may be forged: it is one, or there is one kind of error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.errors import BadAnswer
from limpet.sandbox.answers import (
    Answer,
    Output,
    Raised,
    Reader,
    ToolCall,
    plain_of,
    shown_of,
    value_of,
)
from limpet.sandbox.guest.channel import MOST_ANSWER, MOST_OUTPUT, MOST_SHOWN


def framed(kind: bytes, data: Any) -> bytes:
    """A frame as the agent makes it."""
    contents = data if isinstance(data, bytes) else json.dumps(data).encode()
    return kind + len(contents).to_bytes(4, "little") + contents


RAISED = {"type": "ValueError", "message": "no", "traceback": "..."}
GOOD = [
    (framed(b"o", b"text"), Output(b"text")),
    (framed(b"a", {"id": 3, "ok": [1, {"a": 2}]}), Answer(3, [1, {"a": 2}])),
    (framed(b"a", {"id": 3, "exit": 7}), Answer(3, exit=7)),
    (framed(b"a", {"id": 3, "ok": None, "shown": [1]}), Answer(3, shown=(1,))),
    (
        framed(b"a", {"id": 3, "raised": RAISED}),
        Answer(3, raised=Raised("ValueError", "no", "...")),
    ),
    (
        framed(b"c", {"id": 3, "tool": "f", "arguments": [[1], {"x": 2}]}),
        ToolCall(3, "f", [1], {"x": 2}),
    ),
]


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_good(step: int) -> None:
    """Frames come out whole, however their bytes arrive."""
    data = b"".join(sent for sent, _ in GOOD)
    reader = Reader()
    found = [each for at in range(0, len(data), step) for each in reader.feed(data[at : at + step])]
    assert found == [frame for _, frame in GOOD]
    assert not reader.rest


def test_alone() -> None:
    """An answer that came alone is the same; whatever else came is not taken for one."""
    reader = Reader()
    for sent, frame in GOOD:
        assert reader.only(sent) == (frame if isinstance(frame, Answer) else None)
        assert reader.only(sent[:-1]) is reader.only(sent + b"a") is None and not reader.rest
    assert list(reader.feed(GOOD[1][0] + b"a")) and reader.only(GOOD[1][0]) is None


BAD = {
    "kind": b"x\0\0\0\0",
    "length of output": b"o" + (MOST_OUTPUT + 1).to_bytes(4, "little"),
    "length of an answer": b"a" + (MOST_ANSWER + 1).to_bytes(4, "little"),
    "output of nothing": framed(b"o", b""),
    "no JSON": framed(b"a", b"{"),
    "no text": framed(b"a", b"\xff"),
    "no object": framed(b"a", [1]),
    "deep": framed(b"a", b"[" * 100_000),
    "not a number": framed(b"a", b'{"id": 1, "ok": NaN}'),
    "infinite": framed(b"a", b'{"id": 1, "ok": 1e999}'),
    "digits": framed(b"a", b'{"id": 1, "ok": ' + b"9" * 401 + b"}"),
    "no id": framed(b"a", {"ok": 1}),
    "id is text": framed(b"a", {"id": "1", "ok": 1}),
    "id is true": framed(b"a", {"id": True, "ok": 1}),
    "no outcome": framed(b"a", {"id": 1}),
    "two outcomes": framed(b"a", {"id": 1, "ok": 1, "exit": 0}),
    "another outcome": framed(b"a", {"id": 1, "pickle": ""}),
    "shown is no list": framed(b"a", {"id": 1, "ok": 1, "shown": {}}),
    "too many shown": framed(b"a", {"id": 1, "ok": 1, "shown": [None] * (MOST_SHOWN + 1)}),
    "only shown": framed(b"a", {"id": 1, "shown": []}),
    "exit is true": framed(b"a", {"id": 1, "exit": True}),
    "exit is large": framed(b"a", {"id": 1, "exit": 256}),
    "raised": framed(b"a", {"id": 1, "raised": {**RAISED, "more": 1}}),
    "raised with a number": framed(b"a", {"id": 1, "raised": {**RAISED, "type": 1}}),
    "tool": framed(b"c", {"id": 1, "tool": "a.b", "arguments": [[], {}]}),
    "tool's arguments": framed(b"c", {"id": 1, "tool": "f", "arguments": [1]}),
    "tool's names": framed(
        b"c", {"id": 1, "tool": "f", "arguments": [[], {"$": ["dict", [[1, 1]]]}]}
    ),
    "tool's name": framed(b"c", {"id": 1, "tool": "f", "arguments": [[], {"": 1}]}),
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_bad(sent: bytes) -> None:
    """One error for each way to be wrong, as soon as it can be told."""
    with pytest.raises(BadAnswer, match="the guest's answer") as caught:
        list(Reader().feed(sent))
    if sent[:1] == b"a" and len(sent) - 5 == int.from_bytes(sent[1:5], "little"):
        with pytest.raises(BadAnswer, match="the guest's answer"):
            Reader().only(sent)
    assert caught.value.hint and caught.value.message.isprintable()


@given(st.binary(max_size=200) | st.sampled_from(list(BAD.values())))
def test_any_bytes(sent: bytes) -> None:
    """Nothing but frames and that error."""
    reader = Reader()
    try:
        list(reader.feed(sent))
    except BadAnswer:
        return
    assert len(reader.rest) <= len(sent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda each: (
            st.lists(each)
            | st.dictionaries(st.text() | st.sampled_from(["text", "mime", "data", "$"]), each)
        ),
    )
)
def test_any_value(sent: Any) -> None:
    """A value is one, or there is that error."""
    for read in (value_of, plain_of, lambda sent: shown_of([sent])):
        try:
            read(sent)
        except BadAnswer:
            continue


def test_values() -> None:
    """Text, data and pictures."""
    value = value_of({"text": "1", "data": 1, "mime": {"image/png": "cG5n"}})
    assert value and value.data == 1 and value.is_data and value.mime == {"image/png": b"png"}
    assert repr(value) == "1"
    other = value_of({"text": "x", "mime": {}})
    assert other and not other.is_data
    for bad in (
        {"text": "1"},
        {"text": "1", "mime": {"../x": ""}},
        {"text": "1", "mime": {"image/png": "?"}},
    ):
        with pytest.raises(BadAnswer):
            value_of(bad)
