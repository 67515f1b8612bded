"""What a guest sends, read strictly: any byte of it may be forged.

A frame is a byte of its kind, four of its length, and its contents: output, an answer, or a call
of a function of the host's.  A length is believed only up to a bound, JSON is read without the
numbers and names that JSON does not have, and its fields are exactly those that are known.  Nothing
here is looked up, imported or called by a name that a guest sent.

Annotations are no texts here: Python would compile each one of a ``NamedTuple``, 1 ms of an import.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from limpet.errors import BadAnswer, CodeRaised
from limpet.plain import plain
from limpet.sandbox.guest.channel import MOST_ANSWER, MOST_OUTPUT, MOST_SHOWN
from limpet.sandbox.guest.values import decode

_HEAD = 5
_OUTPUT, _ANSWER, _CALL, _MEMORY = b"oacm"
_MOST = {_OUTPUT: MOST_OUTPUT, _ANSWER: MOST_ANSWER, _CALL: MOST_ANSWER, _MEMORY: 0}
_VALUE = {"text", "mime", "data"}
_MOST_DIGITS = 400
_MOST_WHY = 200
_MIME = r"[a-z]{1,16}/[a-z0-9.+-]{1,64}"
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,99}"


class Output(NamedTuple):
    """What the code wrote to its standard output."""

    data: bytes


class Raised(NamedTuple):
    """An exception of the guest's, in its own words."""

    type: str
    message: str
    traceback: str


class Answer(NamedTuple):
    """The end of a request: ``value`` as JSON, an exception, or the status of an exit.

    ``shown`` are values that were shown before it, as JSON.
    """

    number: int
    value: Any = None
    raised: Raised | None = None
    exit: int | None = None
    shown: tuple[Any, ...] = ()


class ToolCall(NamedTuple):
    """A function of the host's is called, with these arguments."""

    number: int
    tool: str
    arguments: list[Any]
    named: dict[str, Any]


class Value(NamedTuple):
    """A value that stays in the guest: its text, its data if it is plain, and its pictures.

    ``mime`` has bytes by kind, ``image/png`` for example.  Both are the guest's own words: who
    shows them to somebody lets no script in them run.
    """

    text: str
    data: Any
    is_data: bool
    mime: dict[str, bytes]

    def __repr__(self) -> str:
        return self.text


class MemoryFollows:
    """What comes next is no frame, but the guest's memory."""


Frame = Output | Answer | ToolCall | MemoryFollows
Read = TypeVar("Read", Answer, ToolCall)


class Reader:
    """Makes frames of bytes as they come; :attr:`rest` is what is no whole frame yet."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def only(self, data: bytes) -> Answer | None:
        """An answer that came alone, as it does as a rule; anything else is for :meth:`feed`.

        Raises:
            BadAnswer: it is none.
        """
        if data[0] != _ANSWER or self.rest:
            return None
        whole = int.from_bytes(data[1:_HEAD], "little") == len(data) - _HEAD
        return _read(data[_HEAD:], _answer) if whole else None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now.

        Raises:
            BadAnswer: what comes next is none.
        """
        self.rest += data
        while len(self.rest) >= _HEAD:
            kind, length = self.rest[0], int.from_bytes(self.rest[1:_HEAD], "little")
            most = _MOST.get(kind)
            if most is None:
                raise BadAnswer("the guest's answer is of a kind that is not known")
            if kind == _OUTPUT and not length:
                raise BadAnswer("the guest's answer is output of nothing")  # and costs us time
            if length > most:
                raise BadAnswer(f"the guest's answer is longer than {most} bytes")
            if len(self.rest) < _HEAD + length:
                return
            contents = bytes(self.rest[_HEAD : _HEAD + length])
            del self.rest[: _HEAD + length]
            if kind == _MEMORY:
                yield MemoryFollows()
                return  # what is there already is for whoever takes it
            yield _frame(kind, contents)


def _frame(kind: int, contents: bytes) -> Frame:
    if kind == _OUTPUT:
        return Output(contents)
    return _read(contents, _answer) if kind == _ANSWER else _read(contents, _call)


def _read(contents: bytes, make: Callable[[Any], Read]) -> Read:
    try:
        text = contents.decode()
        fields, end = (_SHORT if len(text) <= _MOST_DIGITS else _STRICT)(text, 0)
        if end != len(text):
            raise ValueError("something is behind it")
        return make(fields)
    except StopIteration:
        raise BadAnswer("the guest's answer cannot be read: it is no JSON") from None
    except (ValueError, RecursionError) as error:
        raise BadAnswer(
            f"the guest's answer cannot be read: {plain(str(error))[:_MOST_WHY]}"
        ) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _float(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise ValueError("a number is too large")
    return number


def _scanner(parse_int: Callable[[str], int]) -> Any:
    decoder: Any = json.JSONDecoder(
        parse_constant=_no_constant, parse_int=parse_int, parse_float=_float
    )
    return decoder.scan_once


_STRICT, _SHORT = _scanner(_int), _scanner(int)
"""The latter is for a text that has no room for a number of too many digits."""


def _answer(fields: Any) -> Answer:
    number = _number(fields)
    if len(fields) == 2 and "ok" in fields:  # as a rule
        return Answer(number, fields["ok"])
    shown = fields.pop("shown", [])
    if not isinstance(shown, list) or len(shown) > MOST_SHOWN:
        raise ValueError(f"what it shows is no list of at most {MOST_SHOWN}")
    match fields:
        case {"ok": value} if len(fields) == 2:
            return Answer(number, value, shown=tuple(shown))
        case {"exit": int(status)} if len(fields) == 2 and type(status) is int:
            if 0 <= status <= 255:
                return Answer(number, exit=status, shown=tuple(shown))
        case {"raised": {"type": str(kind), "message": str(text), "traceback": str(told)} as all_}:
            if len(fields) == 2 and len(all_) == 3:
                return Answer(number, raised=Raised(kind, text, told), shown=tuple(shown))
    raise ValueError("it has not the fields of an answer")


def _call(fields: Any) -> ToolCall:
    number = _number(fields)
    match fields:
        case {"tool": str(name), "arguments": given} if len(fields) == 3:
            if not re.fullmatch(_NAME, name):
                raise ValueError("a function's name is none")
            match decode(given):
                case [list(arguments), dict(named)] if all(map(_is_name, named)):
                    return ToolCall(number, name, arguments, named)
    raise ValueError("it has not the fields of a call")


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and bool(re.fullmatch(_NAME, key))


def _number(fields: Any) -> int:
    number = fields.get("id") if isinstance(fields, dict) else None
    if type(number) is not int:
        raise ValueError("it has no number")
    return number


def value_of(sent: Any) -> Value | None:
    """The value of code that ran.

    Raises:
        BadAnswer: it is none.
    """
    return None if sent is None else _checked(_value, sent)


def shown_of(sent: Sequence[Any]) -> tuple[Value, ...]:
    """Values that code showed.

    Raises:
        BadAnswer: one is none.
    """
    return tuple(_checked(_value, each) for each in sent)


def _checked(read: Callable[[Any], Any], sent: Any) -> Any:
    try:
        return read(sent)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(
            f"the guest's value cannot be read: {plain(str(error))[:_MOST_WHY]}"
        ) from None


def _value(sent: Any) -> Value:
    if isinstance(sent, dict) and sent.keys() <= _VALUE:
        text, mime = sent.get("text"), sent.get("mime")
        if isinstance(text, str) and isinstance(mime, dict):
            data = decode(sent["data"]) if "data" in sent else None
            pictures = mime and {kind: _picture(kind, each) for kind, each in mime.items()}
            return Value(text, data, "data" in sent, pictures)
    raise ValueError("it has not the fields of a value")


def _picture(kind: str, sent: Any) -> bytes:
    if not re.fullmatch(_MIME, kind) or not isinstance(sent, str):
        raise ValueError("a picture is of no kind")
    try:
        return base64.b64decode(sent, validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("a picture is not base64") from error


def plain_of(sent: Any) -> Any:
    """The plain data that a call returned.

    Raises:
        BadAnswer: it is none.
    """
    return _checked(decode, sent)


def expect_done(answer: Answer) -> None:
    """Nothing, where it went well.

    Raises:
        CodeRaised: it did not.
    """
    if answer.raised:
        raise error_of(answer.raised)
    if answer.exit is not None:
        raise error_of(Raised("SystemExit", str(answer.exit), ""))


def error_of(by: Raised) -> CodeRaised:
    """An exception of the guest's, for who asked for something else than to run code."""
    short = plain(f"{by.type:.200}: {by.message:.400}")
    return CodeRaised(short, by.type, by.message, by.traceback, hint=_hint(by))


def _hint(by: Raised) -> str | None:
    """What to do about a pickle that names what only this program has."""
    if not by.message.startswith("Can't get attribute ") or "'__main__'" not in by.message:
        return None
    return (
        "a pickle has functions and classes by name: define them in a module that packages= packs, "
        'have packages=["cloudpickle"], which sends them whole, or send plain data'
    )
